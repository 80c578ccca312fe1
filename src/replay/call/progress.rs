//! How far a call has come, and who sees to its end.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::desk::Ticket;
use super::heard::Course;
use super::miss::{CallMiss, Why};
use super::{Call, Protocol};
use crate::matching::MessagePrint;
use crate::replay::session::Session;

/// A conversation that is replayed. It holds its session, so that it may outlive the road that
/// began it, and is dropped as a call is.
#[derive(Debug)]
pub struct Conversation {
    session: Arc<Session>,
    progress: Progress,
}

/// How far a call has come.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) protocol: Protocol,
    pub(super) course: Course,
    pub(super) competes: bool,
    pub(super) state: State,
}

/// Where a call's progress is.
#[derive(Debug)]
pub(super) enum Kept<'s> {
    Here(Progress),
    /// With who sees to its end.
    Elsewhere(&'s mut Progress),
}

#[derive(Debug)]
pub(super) enum State {
    /// Nothing is taken; perhaps something is held at the desk.
    Open(Option<Ticket>),
    /// This recording answers, whatever comes.
    Bound(u32),
    Missed(Box<CallMiss>),
}

impl Conversation {
    pub(super) fn begin(session: Arc<Session>, key: &[u8]) -> Conversation {
        let progress = Progress::begin(&session, Protocol::WebSocket, key);
        Conversation { session, progress }
    }

    pub fn session(&self) -> &Arc<Session> {
        &self.session
    }

    /// Goes on with it.
    pub fn resume(&mut self) -> Call<'_> {
        Call { session: &self.session, progress: Kept::Elsewhere(&mut self.progress) }
    }
}

impl Progress {
    pub(super) fn begin(session: &Session, protocol: Protocol, key: &[u8]) -> Progress {
        let root = session.index.find_group(key);
        let node = root.and_then(|root| session.tree.node(root));
        let mut progress = Progress {
            protocol,
            course: Course::begin(root),
            competes: node.is_some_and(|node| node.competes),
            state: State::Open(None),
        };
        if node.is_none() {
            progress.miss(session, Why::Head, None);
        }
        progress
    }

    pub(super) fn miss(
        &mut self,
        session: &Session,
        why: Why,
        print: Option<MessagePrint>,
    ) -> CallMiss {
        session.misses.fetch_add(1, Relaxed);
        self.leave_desk(session);
        let miss = CallMiss::new(why, self, print);
        self.state = State::Missed(Box::new(miss.clone()));
        miss
    }

    /// What it holds is its own from now on.
    fn leave_desk(&self, session: &Session) {
        if let State::Open(Some(ticket)) = self.state {
            session.desk().keep(ticket);
        }
    }

    pub(super) fn end(&self, session: &Session) {
        self.leave_desk(session);
        if self.course.sent > 0 && !matches!(self.state, State::Missed(_)) {
            session.hits.fetch_add(1, Relaxed);
        }
    }
}

impl Drop for Conversation {
    fn drop(&mut self) {
        self.progress.end(&self.session);
    }
}

impl Deref for Kept<'_> {
    type Target = Progress;

    fn deref(&self) -> &Progress {
        match self {
            Kept::Here(progress) => progress,
            Kept::Elsewhere(progress) => progress,
        }
    }
}

impl DerefMut for Kept<'_> {
    fn deref_mut(&mut self) -> &mut Progress {
        match self {
            Kept::Here(progress) => progress,
            Kept::Elsewhere(progress) => progress,
        }
    }
}
