//! What has come of a call's request, what has been sent, and which recordings agree with both.

use crate::exchange::After;
use crate::matching::MessagePrint;
use crate::replay::choose::Cursor;
use crate::replay::session::{Recorded, Session};

use super::part::{self, Part};
use super::tree::{Early, Leaf};

/// What the client has said.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    /// Where it stands in the tree; none once it said what nobody did.
    pub(super) node: Option<u32>,
    pub(super) messages: u32,
    pub(super) has_ended: bool,
    /// Nodes that it came past where recordings end that agree with whatever follows.
    passed: Vec<u32>,
}

/// What a recording must agree with.
#[derive(Clone, Debug)]
pub(super) struct Course {
    pub(super) heard: Heard,
    /// Parts of the answer that were sent.
    pub(super) sent: u32,
    /// Their number in the tree, where calls compete; none where all that agree may have sent them.
    said: Option<u32>,
}

/// Some of a node's recordings.
struct Source<'s> {
    all: &'s [u32],
    cursor: &'s Cursor,
    which: Which,
}

#[derive(Clone, Copy)]
enum Which {
    All,
    /// Those whose client stops here.
    Ending(u32),
    /// Those that stop here and are open.
    Open(u32),
}

impl Heard {
    /// The head alone.
    fn head(root: Option<u32>) -> Heard {
        Heard { node: root, messages: 0, has_ended: false, passed: Vec::new() }
    }

    /// How far the request has come.
    pub(super) fn now(&self) -> After {
        if self.has_ended { After::End } else { After::Messages(self.messages) }
    }

    /// After one more message.
    pub(super) fn with(&self, session: &Session, print: MessagePrint) -> Heard {
        let mut next = self.clone();
        next.messages = next.messages.saturating_add(1);
        if let Some(node) = self.node {
            if session.tree.node(node).is_some_and(|node| node.opens) {
                next.passed.push(node);
            }
            let child = |print| session.tree.child(&session.index, node, print);
            next.node = child(print).or_else(|| child(print.exact()?));
        }
        next
    }

    pub(super) fn with_end(&self) -> Heard {
        Heard { has_ended: true, ..self.clone() }
    }

    /// Whether any recording agrees.
    pub(super) fn is_known(&self, session: &Session) -> bool {
        let here = self.node.and_then(|node| session.tree.node(node));
        !self.passed.is_empty()
            || here.is_some_and(|node| !self.has_ended || node.ends || node.opens)
    }

    /// Whether nothing that the client may still say tells those that agree apart.
    pub(super) fn is_settled(&self, session: &Session) -> bool {
        match self.node {
            Some(node) if !self.has_ended => {
                session.tree.node(node).is_some_and(|node| node.is_settled)
            }
            // Past the tree all agree with whatever follows.
            _ => true,
        }
    }

    /// Whether the answer of a recording that agrees may begin; false is certain.
    fn may_begin(&self, session: &Session) -> bool {
        let mut nodes = self.node.iter().chain(&self.passed);
        let begins =
            |node: &u32| session.tree.node(*node).is_some_and(|node| node.earliest <= self.now());
        nodes.any(begins)
    }

    /// What the answers of all that agree have in common, where that is known.
    fn early<'s>(&self, session: &'s Session) -> Option<&'s Early> {
        session.tree.early(self.node.filter(|_| self.passed.is_empty() && !self.has_ended)?)
    }

    fn sources<'s>(&self, session: &'s Session) -> impl Iterator<Item = Source<'s>> {
        let source = move |node: u32, which| {
            let (all, cursor) = session.index.group(node);
            Source { all, cursor, which }
        };
        let here = self.node.map(|node| match self.has_ended {
            true => source(node, Which::Ending(node)),
            false => source(node, Which::All),
        });
        here.into_iter()
            .chain(self.passed.iter().map(move |node| source(*node, Which::Open(*node))))
    }

    /// Whether a recording agrees.
    pub(super) fn includes(&self, session: &Session, recording: u32) -> bool {
        self.sources(session).any(|source| {
            source.all.binary_search(&recording).is_ok() && source.which.has(session, recording)
        })
    }

    /// Whether a recording that agrees would be silent from here on, and the client has said more
    /// than its own did. What it says is answered better by any that knows it.
    pub(super) fn is_past(&self, session: &Session, recording: u32) -> bool {
        let leaf = || session.tree.leaf(recording);
        !self.passed.is_empty()
            && leaf().is_some_and(|leaf| leaf.is_silent && self.passed.contains(&leaf.node))
    }

    /// What is found among those that it isn't past, else among all.
    fn preferring(
        &self,
        session: &Session,
        find: impl Fn(&dyn Fn(u32) -> bool) -> Option<u32>,
    ) -> Option<u32> {
        if self.passed.is_empty() {
            return find(&|_| true);
        }
        find(&|one| !self.is_past(session, one)).or_else(|| find(&|_| true))
    }

    /// The earliest that agrees, is left and fits.
    pub(super) fn left(&self, session: &Session, fits: impl Fn(u32) -> bool) -> Option<u32> {
        self.preferring(session, |preferred| {
            let earliest = |source: Source<'_>| {
                let mut left = session.ledger.left(source.all, source.cursor);
                left.find(|one| source.which.has(session, *one) && preferred(*one) && fits(*one))
            };
            self.sources(session).filter_map(earliest).min()
        })
    }
}

impl Which {
    fn has(self, session: &Session, recording: u32) -> bool {
        let leaf = || session.tree.leaf(recording).copied();
        match self {
            Which::All => true,
            Which::Ending(here) => leaf().is_some_and(|leaf: Leaf| leaf.node == here),
            Which::Open(here) => leaf().is_some_and(|leaf| leaf.node == here && leaf.is_open),
        }
    }
}

impl Course {
    pub(super) fn begin(root: Option<u32>) -> Course {
        Course { heard: Heard::head(root), sent: 0, said: None }
    }

    pub(super) fn with_heard(&self, heard: Heard) -> Course {
        Course { heard, ..*self }
    }

    /// After a part of this recording's answer was sent.
    pub(super) fn with_part_of(&self, session: &Session, recording: u32) -> Course {
        let sent = self.sent + 1;
        let said = session.tree.said(recording, sent);
        Course { heard: self.heard.clone(), sent, said }
    }

    pub(super) fn is_due(&self, session: &Session, recording: u32) -> bool {
        session.part_after(recording, self.sent) <= self.heard.now()
    }

    /// Whether a recording agrees with all of it.
    pub(super) fn includes(&self, session: &Session, recording: u32) -> bool {
        self.has_said(session, recording) && self.heard.includes(session, recording)
    }

    /// Whether nothing is left that could make another recording than this the better one.
    pub(super) fn is_decided(&self, session: &Session, recording: u32) -> bool {
        self.heard.is_settled(session) || session.part(recording, self.sent).is_none()
    }

    pub(super) fn has_said(&self, session: &Session, recording: u32) -> bool {
        self.sent == 0 || session.tree.said(recording, self.sent) == self.said
    }

    /// Whether the next part of a recording is silence.
    pub(super) fn is_silent(&self, session: &Session, recording: u32) -> bool {
        let part = session.part(recording, self.sent);
        matches!(part, Some((Part::End(response), _)) if part::is_silence(response))
    }

    /// Which recordings the client's next words may mean instead of this one, whose next part is
    /// due: those that differ in it. None where its words tell nothing any more.
    pub(super) fn telling<'s>(
        &'s self,
        session: &'s Session,
        due: u32,
    ) -> Option<impl Fn(u32) -> bool + 's> {
        let next = self.with_part_of(session, due);
        let is_past = |one| self.heard.is_past(session, one);
        let is_settled = self.heard.is_settled(session) || next.is_common(session);
        let is_last_choice = is_past(due);
        (is_last_choice || !is_settled)
            .then_some(move |one| !next.has_said(session, one) && (is_last_choice || !is_past(one)))
    }

    /// The earliest that agrees, is left and fits.
    pub(super) fn left(&self, session: &Session, fits: impl Fn(u32) -> bool) -> Option<u32> {
        self.heard.left(session, |one| self.has_said(session, one) && fits(one))
    }

    /// Whether this follows on a part that all that agree have in common.
    pub(super) fn is_common(&self, session: &Session) -> bool {
        let early = self.heard.early(session);
        early.is_some_and(|early| self.sent as usize <= early.alike)
    }

    /// Whether the next part of a recording that agrees may be due; false is certain.
    pub(super) fn may_be_due(&self, session: &Session) -> bool {
        match (self.sent, self.heard.early(session)) {
            (0, _) => self.heard.may_begin(session),
            (part, Some(early)) => early.may_be_due(part, self.heard.now()),
            (_, None) => true,
        }
    }

    fn agrees(&self, session: &Session, source: &Source<'_>, one: u32) -> bool {
        source.which.has(session, one) && self.has_said(session, one)
    }

    /// The earliest that agrees and fits, taken or not.
    pub(super) fn earliest(&self, session: &Session, fits: impl Fn(u32) -> bool) -> Option<u32> {
        self.heard.preferring(session, |preferred| {
            let fits = |one: u32| preferred(one) && fits(one);
            let earliest = |source: Source<'_>| {
                source
                    .all
                    .iter()
                    .copied()
                    .find(|&one| self.agrees(session, &source, one) && fits(one))
            };
            self.heard.sources(session).filter_map(earliest).min()
        })
    }

    /// The latest that agrees and fits, taken or not.
    pub(super) fn latest(&self, session: &Session, fits: impl Fn(u32) -> bool) -> Option<u32> {
        self.heard.preferring(session, |preferred| {
            let fits = |one: u32| preferred(one) && fits(one);
            let latest = |source: Source<'_>| {
                source
                    .all
                    .iter()
                    .copied()
                    .rfind(|&one| self.agrees(session, &source, one) && fits(one))
            };
            self.heard.sources(session).filter_map(latest).max()
        })
    }

    /// All that agree.
    pub(super) fn all<'s>(&'s self, session: &'s Session) -> impl Iterator<Item = u32> + 's {
        let all = move |source: Source<'s>| {
            let which = source.which;
            source.all.iter().copied().filter(move |one| which.has(session, *one))
        };
        let agreeing = self.heard.sources(session).flat_map(all);
        agreeing.filter(move |one| self.has_said(session, *one))
    }
}

impl Session {
    /// Gives back a recording that a call held.
    pub(super) fn release(&self, recording: u32) {
        self.ledger.release(recording);
        let leaf = self.tree.leaf(recording);
        for node in leaf.into_iter().flat_map(|leaf| self.tree.path(leaf.node)) {
            let (all, cursor) = self.index.group(node);
            cursor.rewind(all, recording);
        }
    }

    /// What must have come before the `n`th part of a recording is sent.
    pub(super) fn part_after(&self, recording: u32, n: u32) -> After {
        let recorded = self.recorded.get(recording as usize);
        recorded.map_or(After::End, |recorded| part::after(&recorded.exchange.response, n))
    }

    /// The `n`th part of a recording's answer.
    pub(super) fn part(&self, recording: u32, n: u32) -> Option<(Part<'_>, &Recorded)> {
        let recorded = self.recorded.get(recording as usize)?;
        Some((part::nth(&recorded.exchange.response, n)?, recorded))
    }

    /// How many messages the client of a recording sent.
    pub(super) fn message_count(&self, recording: u32) -> u32 {
        self.tree.leaf(recording).map_or(0, |leaf| leaf.messages)
    }
}
