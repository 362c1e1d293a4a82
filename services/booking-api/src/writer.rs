//! Write coalescing: commands queue, and a writer commits all that are there in one transaction.
//!
//! There is no timer: an idle system commits one command at once, a busy one batches by itself.

mod commit;
mod desk;
mod queue;
mod submission;

use std::error::Error as _;

use chassis::{Failure, SharedClock};
use outbox::Outbox;
use tokio::sync::mpsc::Receiver;
use tracing::{error, warn};

pub(crate) use queue::{Lanes, Refused, lanes};
pub(crate) use submission::{Precondition, Reply, Submission, Task};

use crate::metrics::WriteMetrics;
use crate::pnr::PnrSource;
use crate::store::Store;
use commit::CommitError;

/// Commands committed in one transaction at most.
const BATCH_LIMIT: usize = 256;

/// How often a batch is begun anew because another process answered one of its keys meanwhile; each time that key is known, so twice is already rare.
const KEY_TRIES: u32 = 5;

/// Commits the commands of one lane.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    pub(crate) store: Store,
    pub(crate) outbox: Outbox,
    pub(crate) clock: SharedClock,
    pub(crate) pnrs: PnrSource,
    pub(crate) metrics: WriteMetrics,
}

impl Writer {
    /// Commits until every sender of the lane is gone and the lane is empty.
    pub(crate) async fn run(self, mut lane: Receiver<Submission>) -> Result<(), Failure> {
        let mut submissions = Vec::new();
        while lane.recv_many(&mut submissions, BATCH_LIMIT).await > 0 {
            let replies = self.write(&submissions).await;
            for (submission, reply) in submissions.drain(..).zip(replies) {
                submission.answer(reply);
            }
        }
        Ok(())
    }

    async fn write(&self, submissions: &[Submission]) -> Vec<Reply> {
        for _ in 0..KEY_TRIES {
            match self.commit(submissions).await {
                Ok(replies) => {
                    self.metrics.count(submissions.len());
                    return replies;
                }
                Err(CommitError::KeyTaken) => {}
                Err(
                    failure @ (CommitError::Database(_)
                    | CommitError::Encode(_)
                    | CommitError::NoFreePnr),
                ) => {
                    let reason = failure.source().map(ToString::to_string);
                    error!(error = %failure, reason, commands = submissions.len(), "could not write a batch");
                    return unavailable(submissions);
                }
            }
        }
        warn!(
            commands = submissions.len(),
            "keys were taken again and again"
        );
        unavailable(submissions)
    }
}

fn unavailable(submissions: &[Submission]) -> Vec<Reply> {
    submissions.iter().map(|_| Reply::Unavailable).collect()
}
