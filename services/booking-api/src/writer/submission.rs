//! A command on its way to a writer, and what comes back.

use std::sync::Arc;

use chassis::trace::TraceParent;
use events::Pnr;
use tokio::sync::oneshot;

use crate::answer::Answer;
use crate::booking::Command;
use crate::details::Details;
use crate::idempotency::{Claim, Turn};

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Task {
    Create(Arc<Details>),
    Change {
        pnr: Pnr,
        only_if: Precondition,
        command: Command,
    },
}

/// `If-Match` (RFC 9110 §13.1.1): versions the client may have seen; none means any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Precondition(Option<Vec<String>>);

impl Precondition {
    /// One of these versions; empty is never met.
    pub(crate) fn one_of(versions: Vec<String>) -> Self {
        Self(Some(versions))
    }

    pub(crate) fn is_met_by(&self, version: i64) -> bool {
        let version = version.to_string();
        self.0.as_ref().is_none_or(|seen| seen.contains(&version))
    }
}

/// A command with everything its answer needs.
#[derive(Debug)]
pub(crate) struct Submission {
    pub(crate) task: Task,
    /// The path that was asked, for a problem's `instance`.
    pub(crate) instance: String,
    pub(crate) claim: Option<Claim>,
    /// Keeps the claim in flight, even if the client goes away.
    pub(crate) turn: Option<Turn>,
    pub(crate) trace: TraceParent,
    pub(crate) reply: oneshot::Sender<Reply>,
}

/// What became of a command.
#[derive(Debug)]
pub(crate) enum Reply {
    Answered(Answer),
    Replayed(Answer),
    /// The key belongs to another body.
    KeyReused,
    /// The database failed; nothing is known to be written.
    Unavailable,
}

impl Submission {
    /// Answers the client, if it is still there. The key is free before it knows.
    pub(crate) fn answer(self, reply: Reply) {
        drop(self.turn);
        // A client that went away is not answered; its command was obeyed all the same.
        drop(self.reply.send(reply));
    }
}
