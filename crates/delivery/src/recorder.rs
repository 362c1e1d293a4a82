//! From the workers back into the inbox, as many outcomes at once as there are.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use chassis::Failure;
use database::{Database, Error};
use events::NotificationStatus;
use inbox::{Inbox, Settled, State};
use outbox::{Outbox, OutboxRow};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::Receiver;
use tracing::warn;

use crate::channel::Channel;
use crate::dispatcher::{Dispatcher, Workload};
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
pub(crate) struct Recorder<C> {
    pub(crate) database: Database,
    pub(crate) inbox: Inbox,
    pub(crate) outbox: Outbox,
    pub(crate) workload: Arc<Workload>,
    /// Gone once nothing new is to be sent.
    pub(crate) dispatcher: Weak<Dispatcher<C>>,
}

impl<C: Channel> Recorder<C> {
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
            let arrivals = self.workload.arrivals();
            self.write(&settled, &told).await;
            drop(slots);
            let ended = settled
                .iter()
                .filter(|one| one.outcome.state() != State::Pending);
            let ended = ended.count();
            self.workload.settled(ended);
            // What waits for its next attempt may be due before anything else, and what came meanwhile may stand behind one of these.
            if ended < settled.len() || arrivals != self.workload.arrivals() {
                self.workload.look_again();
            }
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

    /// An outcome and its status are one transaction, and in it the row that it kept waiting is claimed, if there is a worker for it.
    async fn try_write(
        &self,
        settled: &[Settled],
        told: &[(i64, String, Option<NotificationStatus>)],
    ) -> Result<usize, Error> {
        let mut transaction = self.database.begin().await?;
        let counted = self.inbox.settle(&mut transaction, settled).await?;
        let next: Vec<_> = counted.iter().filter_map(|one| one.next).collect();
        let dispatcher = self.dispatcher.upgrade().filter(|_| !next.is_empty());
        let grant = dispatcher.as_ref().and_then(|one| one.idle(next.len()));
        let claimed = match &grant {
            None => Vec::new(),
            Some(grant) => {
                let idle = grant.idle();
                let claim = self.inbox.claim_next(&mut transaction, &next, idle);
                claim.await?
            }
        };
        let counted: BTreeSet<_> = counted.into_iter().map(|one| one.seq).collect();
        let rows = told
            .iter()
            .filter(|(seq, ..)| counted.contains(seq))
            .filter_map(|(_, step, status)| Some(statuses::row(status.as_ref()?, step)))
            .collect::<Result<Vec<OutboxRow>, _>>()?;
        let handover = self.outbox.insert(&mut transaction, rows).await?;
        transaction.commit().await?;
        self.outbox.hand_over(handover);
        if claimed.len() < next.len() {
            self.workload.look_again();
        }
        if let (Some(dispatcher), Some(grant)) = (dispatcher, grant) {
            dispatcher.start(claimed, grant);
        }
        Ok(counted.len())
    }
}
