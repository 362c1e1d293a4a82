//! The lanes between the handlers and the writers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use database::Dialect;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::writer::{Submission, Task};

/// Commands that may wait in a lane: some 4 batches, well under a second of work.
const LANE_LIMIT: usize = 1024;

/// Writers on PostgreSQL: while one waits for its commit, another gathers.
const POSTGRES_WRITERS: usize = 2;

/// Writers on SQLite, which has one write transaction at a time.
const SQLITE_WRITERS: usize = 1;

/// Where handlers leave commands. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Lanes {
    senders: Arc<[Sender<Submission>]>,
    next: Arc<AtomicUsize>,
}

/// Too much waits already, or the process is stopping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused;

/// One lane for each writer of the database.
pub(crate) fn lanes(dialect: Dialect) -> (Lanes, Vec<Receiver<Submission>>) {
    let writers = match dialect {
        Dialect::Postgres => POSTGRES_WRITERS,
        Dialect::Sqlite => SQLITE_WRITERS,
    };
    let lanes = (0..writers).map(|_| mpsc::channel(LANE_LIMIT));
    let (senders, receivers): (Vec<_>, Vec<_>) = lanes.unzip();
    let lanes = Lanes {
        senders: senders.into(),
        next: Arc::default(),
    };
    (lanes, receivers)
}

impl Lanes {
    /// Leaves a command in its lane, without waiting.
    pub(crate) fn submit(&self, submission: Submission) -> Result<(), Refused> {
        let lane = self.lane_of(&submission.task);
        let sender = self.senders.get(lane).ok_or(Refused)?;
        sender
            .try_send(submission)
            .map_err(|refused| match refused {
                TrySendError::Full(_) | TrySendError::Closed(_) => Refused,
            })
    }

    /// All changes of a PNR go through one lane, so that its events are handed over in order; new bookings go around.
    fn lane_of(&self, task: &Task) -> usize {
        let number = match task {
            Task::Create(_) => self.next.fetch_add(1, Ordering::Relaxed),
            Task::Change { pnr, .. } => pnr.as_str().bytes().map(usize::from).sum(),
        };
        number % self.senders.len().max(1)
    }
}

#[cfg(test)]
mod tests {
    use chassis::trace::TraceParent;
    use events::Pnr;
    use tokio::sync::oneshot;

    use super::*;
    use crate::booking::Command;
    use crate::writer::Precondition;

    fn cancellation(pnr: &str) -> Submission {
        Submission {
            task: Task::Change {
                pnr: pnr.parse::<Pnr>().unwrap(),
                only_if: Precondition::default(),
                command: Command::Cancel { reason: None },
            },
            instance: String::new(),
            claim: None,
            turn: None,
            trace: TraceParent::start(),
            reply: oneshot::channel().0,
        }
    }

    #[test]
    fn a_full_lane_refuses_and_a_free_one_takes_again() {
        let (lanes, mut queues) = lanes(Dialect::Sqlite);
        for _ in 0..LANE_LIMIT {
            lanes.submit(cancellation("2412345678")).unwrap();
        }
        assert_eq!(lanes.submit(cancellation("2412345678")), Err(Refused));
        drop(queues[0].try_recv().unwrap());
        assert_eq!(lanes.submit(cancellation("2412345678")), Ok(()));
    }

    #[test]
    fn all_changes_of_a_pnr_go_through_one_lane() {
        let (lanes, mut queues) = lanes(Dialect::Postgres);
        for _ in 0..10 {
            lanes.submit(cancellation("2412345678")).unwrap();
            lanes.submit(cancellation("2412345679")).unwrap();
        }
        for queue in &mut queues {
            let first = queue.try_recv().unwrap();
            let Task::Change { pnr: of_lane, .. } = first.task else {
                panic!("no change")
            };
            for _ in 0..9 {
                let next = queue.try_recv().unwrap();
                assert!(matches!(next.task, Task::Change { pnr, .. } if pnr == of_lane));
            }
        }
    }

    #[test]
    fn a_process_that_stops_takes_nothing_more() {
        let (lanes, queues) = lanes(Dialect::Sqlite);
        drop(queues);
        assert_eq!(lanes.submit(cancellation("2412345678")), Err(Refused));
    }
}
