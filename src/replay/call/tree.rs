//! The recorded calls and conversations of a session as a tree: their heads are the roots, each
//! message of a client leads to a child. So what a client has said is one node, however many
//! recordings agree with it.
//!
//! The nodes are groups of the session's index: the key of a root is its calls' match key, that of
//! a child its parent's number and the message's print. A group's occurrences are the recordings
//! that come past the node or end there.
//!
//! A call whose request is recorded whole ends at a node and agrees with a client that ends there
//! too. One whose request is recorded only in part is open: past the node where its record ends it
//! agrees with whatever a client says.

use std::collections::HashMap;

use crate::exchange::{After, Body, Compression, Exchange, Message, Payload, Request, Response};
use crate::grpc;
use crate::matching::{MessagePrint, PRINT_BYTES};
use crate::replay::index::{self, Index};

use super::{Protocol, part};
use crate::ws::handshake;

/// Stands for "no node".
const NONE: u32 = u32::MAX;

/// The text that a request's match key begins with is never so long, so that no child's key is one.
const CHILD: [u8; 4] = [0xff; 4];

const CHILD_KEY_BYTES: usize = CHILD.len() + size_of::<u32>() + PRINT_BYTES;

#[derive(Debug, Default)]
pub(in crate::replay) struct Tree {
    /// By the index's groups; empty in a session without calls.
    nodes: Box<[Node]>,
    /// By recording; likewise.
    leaves: Box<[Leaf]>,
    /// By recording: a number for each part of its answer, equal where the answers are equal up to
    /// there. Only of calls that compete; empty where none do.
    said: Box<[Box<[u32]>]>,
    /// By group, of roots and of what is no call `NONE`; empty where no calls compete.
    parents: Box<[u32]>,
    /// Of nodes where calls compete and nothing is settled.
    early: HashMap<u32, Early>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    /// The least that the answer of a recording from here on waits for.
    pub(super) earliest: After,
    /// A recording that isn't open ends here.
    pub(super) ends: bool,
    /// An open recording ends here.
    pub(super) opens: bool,
    /// Nothing that a client says from here on tells the recordings that agree so far apart.
    pub(super) is_settled: bool,
    /// Of a root: some of its answers begin before the client's words have settled which it is.
    pub(super) competes: bool,
}

/// What the answers have in common at a node where calls compete and nothing is settled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Early {
    /// So many first parts are the same in all, and perhaps more.
    pub(super) alike: usize,
    /// The least that any of them waits for before a part.
    after: [After; EARLY_PARTS],
}

/// Parts that are looked at: the head, and what a server may say before its client does.
const EARLY_PARTS: usize = 8;

impl Early {
    /// Whether a part may be due in one of the answers; false is certain.
    pub(super) fn may_be_due(&self, part: u32, now: After) -> bool {
        self.after.get(part as usize).is_none_or(|after| *after <= now)
    }
}

/// Where a recording's client stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leaf {
    pub(super) node: u32,
    pub(super) messages: u32,
    pub(super) is_open: bool,
    /// Its answer stops without anything to show for it, so that whoever knows what a client says
    /// behind this place answers it better.
    pub(super) is_silent: bool,
}

impl Leaf {
    /// Whether nothing that a client says tells the two apart.
    fn is_like(&self, other: &Leaf) -> bool {
        (self.node, self.is_open) == (other.node, other.is_open)
    }
}

impl Tree {
    pub(super) fn node(&self, node: u32) -> Option<&Node> {
        self.nodes.get(node as usize)
    }

    pub(super) fn early(&self, node: u32) -> Option<&Early> {
        self.early.get(&node)
    }

    pub(super) fn leaf(&self, recording: u32) -> Option<&Leaf> {
        self.leaves.get(recording as usize)
    }

    /// The number for the first `parts` parts of a recording's answer; 0 for none.
    pub(super) fn said(&self, recording: u32, parts: u32) -> Option<u32> {
        let Some(last) = parts.checked_sub(1) else { return Some(0) };
        self.said.get(recording as usize)?.get(last as usize).copied()
    }

    /// From a node up to its root; only where calls compete.
    pub(super) fn path(&self, node: u32) -> impl Iterator<Item = u32> {
        path(&self.parents, node)
    }

    /// The node that a message leads to.
    pub(super) fn child(&self, index: &Index, node: u32, print: MessagePrint) -> Option<u32> {
        index.find_group(&child_key(node, print))
    }
}

fn child_key(parent: u32, print: MessagePrint) -> [u8; CHILD_KEY_BYTES] {
    let mut key = [0xff; CHILD_KEY_BYTES];
    let (number, rest) = key[CHILD.len()..].split_at_mut(size_of::<u32>());
    number.copy_from_slice(&parent.to_le_bytes());
    rest.copy_from_slice(&print.to_bytes());
    key
}

/// What a recorded exchange went on in message by message; none where it is an ordinary one. That
/// of a handshake doesn't depend on how it was answered, since a live one knows no more.
pub(in crate::replay) fn protocol(exchange: &Exchange) -> Option<Protocol> {
    let Request { head, body, .. } = &exchange.request;
    if exchange.is_conversation() || handshake::is_asked_by(head) {
        return Some(Protocol::WebSocket);
    }
    let is_call = grpc::is_call(&head.fields) && matches!(body, Body::Messages(_) | Body::Absent);
    is_call.then_some(Protocol::Grpc)
}

/// The messages of a recorded client, up to the first that can't be compared with one that comes.
pub(in crate::replay) fn messages(exchange: &Exchange) -> &[Message] {
    let Body::Messages(messages) = &exchange.request.body else { return &[] };
    let is_conversation = exchange.is_conversation();
    let is_comparable = |message: &Message| match message.payload {
        // The beginning of one.
        Payload::Rest(_) => false,
        // Nobody can tell what it says: it was compressed with what had been said before.
        _ => !is_conversation || message.compression != Compression::On,
    };
    let end = messages.iter().position(|message| !is_comparable(message));
    messages.get(..end.unwrap_or(messages.len())).unwrap_or_default()
}

/// Whether it is known only in part what the client said.
fn is_open(exchange: &Exchange) -> bool {
    let Request { body, is_whole, .. } = &exchange.request;
    !is_whole || matches!(body, Body::Messages(all) if all.len() > messages(exchange).len())
}

/// A recorded call: which, where its client stops, and what it was answered.
type Entry<'e> = (u32, Leaf, &'e Response);

/// A tree while calls are put into it.
#[derive(Default)]
pub(in crate::replay) struct Builder {
    /// By group; of roots and of what is no call `NONE`.
    parents: Vec<u32>,
    leaves: Vec<Leaf>,
}

impl Builder {
    /// Puts in a call: by its match key, and the prints of its `messages`.
    ///
    /// Errors: the first that a print comes with.
    pub(in crate::replay) fn put<E>(
        &mut self,
        index: &mut index::Builder,
        (recording, exchange): (u32, &Exchange),
        key: &[u8],
        prints: impl Iterator<Item = Result<MessagePrint, E>>,
    ) -> Result<(), E> {
        let mut leaf = Leaf {
            node: index.put(key, recording),
            messages: 0,
            is_open: is_open(exchange),
            is_silent: part::is_silence(&exchange.response),
        };
        for print in prints {
            let parent = leaf.node;
            leaf.node = index.put(&child_key(parent, print?), recording);
            leaf.messages += 1;
            set(&mut self.parents, leaf.node, parent, NONE);
        }
        let none = Leaf { node: NONE, messages: 0, is_open: false, is_silent: false };
        set(&mut self.leaves, recording, leaf, none);
        Ok(())
    }

    pub(in crate::replay) fn finish(mut self, index: &Index, exchanges: &[Exchange]) -> Tree {
        if self.leaves.is_empty() {
            return Tree::default();
        }
        self.parents.resize(index.group_count(), NONE);
        let leaves = self.leaves.iter().zip(exchanges).zip(0..);
        let mut calls: Vec<Entry<'_>> = leaves
            .filter(|((leaf, _), _)| leaf.node != NONE)
            .map(|((leaf, exchange), recording)| (recording, *leaf, &exchange.response))
            .collect();
        let mut nodes = self.nodes(&calls);
        for (_, leaf, response) in &calls {
            if self.answers_unsettled(&nodes, *leaf, response.after) {
                nodes[self.root(leaf.node) as usize].competes = true;
            }
        }
        calls.retain(|(_, leaf, _)| nodes[self.root(leaf.node) as usize].competes);
        let said = said(&calls);
        let early = self.early(&nodes, &calls, &said);
        let parents = if calls.is_empty() { Vec::new() } else { self.parents };
        let (nodes, leaves) = (nodes.into(), self.leaves.into());
        Tree { nodes, leaves, said, parents: parents.into(), early }
    }

    fn root(&self, node: u32) -> u32 {
        path(&self.parents, node).last().unwrap_or(node)
    }

    fn nodes(&self, calls: &[Entry<'_>]) -> Vec<Node> {
        let unknown = Node {
            earliest: After::End,
            ends: false,
            opens: false,
            is_settled: true,
            competes: false,
        };
        let mut nodes = vec![unknown; self.parents.len()];
        // The one place where all that come past a node end, as far as is known.
        let mut only: Vec<Option<Leaf>> = vec![None; self.parents.len()];
        for (_, leaf, response) in calls {
            for node in path(&self.parents, leaf.node) {
                let (node, only) = (&mut nodes[node as usize], &mut only[node as usize]);
                node.earliest = node.earliest.min(response.after);
                node.is_settled &= only.get_or_insert(*leaf).is_like(leaf);
            }
            let node = &mut nodes[leaf.node as usize];
            node.ends |= !leaf.is_open;
            node.opens |= leaf.is_open;
        }
        // Who is open above agrees here as well, and may be told from those that aren't. Parents
        // have lower numbers than their children.
        let mut open_above = vec![false; nodes.len()];
        for (node, parent) in self.parents.iter().enumerate().filter(|(_, p)| **p != NONE) {
            let parent = *parent as usize;
            open_above[node] = open_above[parent] || nodes[parent].opens;
            // Unless all that come here are open too: they agree with whatever follows as well.
            let all_open =
                only[node].is_some_and(|leaf| leaf.is_open && leaf.node as usize == node);
            nodes[node].is_settled &= all_open || !open_above[node];
        }
        nodes
    }

    /// Whether the answer may begin where it isn't settled yet which recording it is of.
    fn answers_unsettled(&self, nodes: &[Node], leaf: Leaf, after: After) -> bool {
        let After::Messages(count) = after else { return false };
        match leaf.messages.checked_sub(count) {
            Some(behind) => {
                let node = path(&self.parents, leaf.node).nth(behind as usize);
                node.is_some_and(|node| !nodes[node as usize].is_settled)
            }
            // An edit has made it wait for more than the client says.
            None => leaf.is_open,
        }
    }

    /// Of the nodes where nothing is settled, on the paths of calls that compete.
    fn early(
        &self,
        nodes: &[Node],
        calls: &[Entry<'_>],
        said: &[Box<[u32]>],
    ) -> HashMap<u32, Early> {
        let mut early: HashMap<u32, (Early, &[u32])> = HashMap::new();
        for (recording, leaf, response) in calls {
            let said = &said[*recording as usize];
            let unsettled = |node: &u32| !nodes[*node as usize].is_settled;
            for node in path(&self.parents, leaf.node).filter(unsettled) {
                let unknown = Early { alike: EARLY_PARTS, after: [After::End; EARLY_PARTS] };
                let (node, other) = early.entry(node).or_insert((unknown, said));
                let both = other.iter().zip(said).take(node.alike);
                node.alike = both.take_while(|(a, b)| a == b).count();
                for (n, after) in (0..).zip(&mut node.after) {
                    *after = part::after(response, n).min(*after);
                }
            }
        }
        early.into_iter().map(|(node, (early, _))| (node, early)).collect()
    }
}

/// From a node up to its root.
fn path(parents: &[u32], node: u32) -> impl Iterator<Item = u32> {
    let above = |node: &u32| parents.get(*node as usize).copied();
    std::iter::successors(Some(node), move |node| above(node).filter(|node| *node != NONE))
}

fn said(calls: &[Entry<'_>]) -> Box<[Box<[u32]>]> {
    let mut numbers: HashMap<[u8; 32], u32> = HashMap::new();
    let mut said: Vec<Box<[u32]>> = Vec::new();
    for (recording, _, response) in calls {
        let all = part::digests(response).map(|digest| {
            let next = numbers.len() as u32 + 1;
            *numbers.entry(digest).or_insert(next)
        });
        let all = all.collect();
        set(&mut said, *recording, all, Box::default());
    }
    said.into()
}

/// Sets what stands at a place of a list that may not reach so far.
fn set<T: Clone>(list: &mut Vec<T>, at: u32, value: T, otherwise: T) {
    let at = at as usize;
    if list.len() <= at {
        list.resize(at + 1, otherwise);
    }
    list[at] = value;
}
