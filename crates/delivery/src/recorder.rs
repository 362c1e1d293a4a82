//! From the workers back into the inbox, as many outcomes at once as there are.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chassis::Failure;
use database::{Database, Error};
use events::NotificationStatus;
use inbox::{Inbox, Settled, State};
use outbox::{Outbox, OutboxRow};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::Receiver;
use tracing::warn;

use crate::dispatcher::Workload;
use crate::statuses;

/// How long a database that failed is left alone.
const RETRY: Duration = Duration::from_millis(250);

/// What a worker has to tell of its row.
pub(crate) struct Finished {
    pub(crate) settled: Settled,
    /// For `notification-status`; none of an event that cannot be read.
    pub(crate) status: Option<NotificationStatus>,
}

/// A worker's result. Its slot is free once the result is written: so a crash can repeat no more sends than there are slots.
pub(crate) struct Done {
    pub(crate) finished: Finished,
    pub(crate) slot: OwnedSemaphorePermit,
}

/// Writes outcomes, and the statuses that tell them, until the last worker is done.
pub(crate) struct Recorder {
    pub(crate) database: Database,
    pub(crate) inbox: Inbox,
    pub(crate) outbox: Outbox,
    pub(crate) workload: Arc<Workload>,
}

impl Recorder {
    pub(crate) async fn run(self, mut done: Receiver<Done>) -> Result<(), Failure> {
        let mut batch = Vec::new();
        while done.recv_many(&mut batch, 512).await > 0 {
            let (finished, slots): (Vec<_>, Vec<_>) = batch
                .drain(..)
                .map(|done| (done.finished, done.slot))
                .unzip();
            let (settled, told): (Vec<_>, Vec<_>) = finished
                .into_iter()
                .map(|finished| {
                    let seq = finished.settled.seq;
                    let step = finished.settled.token.to_string();
                    (finished.settled, (seq, step, finished.status))
                })
                .unzip();
            self.workload.set_writing();
            self.write(&settled, &told).await;
            drop(slots);
            let ended = settled
                .iter()
                .filter(|one| one.outcome.state() != State::Pending);
            self.workload.settled(ended.count());
        }
        Ok(())
    }

    async fn write(&self, settled: &[Settled], told: &[(i64, String, Option<NotificationStatus>)]) {
        let counted = loop {
            match self.try_write(settled, told).await {
                Ok(counted) => break counted,
                Err(error) => warn!(error = %error, "outcomes not written, trying again"),
            }
            tokio::time::sleep(RETRY).await;
        };
        let late = settled.len().saturating_sub(counted);
        if late > 0 {
            warn!(late, "outcomes came after their lease and were not counted");
        }
    }

    /// An outcome and its status are one transaction.
    async fn try_write(
        &self,
        settled: &[Settled],
        told: &[(i64, String, Option<NotificationStatus>)],
    ) -> Result<usize, Error> {
        let mut transaction = self.database.begin().await?;
        let counted = self.inbox.settle(&mut transaction, settled).await?;
        let counted: BTreeSet<_> = counted.into_iter().collect();
        let rows = told
            .iter()
            .filter(|(seq, ..)| counted.contains(seq))
            .filter_map(|(_, step, status)| Some(statuses::row(status.as_ref()?, step)))
            .collect::<Result<Vec<OutboxRow>, _>>()?;
        let handover = self.outbox.insert(&mut transaction, rows).await?;
        transaction.commit().await?;
        self.outbox.hand_over(handover);
        Ok(counted.len())
    }
}
