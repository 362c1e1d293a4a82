//! From the workers back into the inbox, as many outcomes at once as there are.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use chassis::Failure;
use database::{Database, Error, WriteTransaction};
use events::NotificationStatus;
use inbox::{Certainty, Choice, Claimed, Idle, Inbox, Outcome, Settled, State};
use outbox::{Outbox, OutboxRow};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::Receiver;
use tracing::warn;

use crate::channel::Channel;
use crate::dispatcher::{Dispatcher, Wanted, Workload};
use crate::statuses;

/// How long a database that failed is left alone.
const RETRY: Duration = Duration::from_millis(250);

/// What a worker has to tell of its row.
pub(crate) struct Finished {
    pub(crate) settled: Settled,
    /// For `notification-status`; none of an event that cannot be read.
    pub(crate) status: Option<NotificationStatus>,
    /// When it had it.
    pub(crate) at: Instant,
}

/// What became of a claim. Its slot is free once that is written: so a crash can repeat no more sends than there are slots.
pub(crate) enum Done {
    /// A worker's result.
    Worked(Finished, OwnedSemaphorePermit),
    /// Its commit failed, or the answer was lost: nobody sends it, and if it was claimed, it is to be so no more.
    Lost(Claimed, OwnedSemaphorePermit),
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

/// Results that are written at once.
#[derive(Default)]
struct Batch {
    settled: Vec<Settled>,
    /// Of each the row, the token, and what is told of it.
    told: Vec<(i64, i64, Option<NotificationStatus>)>,
    slots: Option<OwnedSemaphorePermit>,
    /// Of when the oldest is.
    since: Option<Instant>,
}

impl Batch {
    fn add(&mut self, done: Done) {
        let slot = match done {
            Done::Worked(finished, slot) => {
                let Finished {
                    settled,
                    status,
                    at,
                } = finished;
                self.since = Some(self.since.map_or(at, |since| since.min(at)));
                self.told.push((settled.seq, settled.token, status));
                self.settled.push(settled);
                slot
            }
            Done::Lost(row, slot) => {
                self.give_back(&[row]);
                slot
            }
        };
        match &mut self.slots {
            Some(slots) => slots.merge(slot),
            None => self.slots = Some(slot),
        }
    }

    /// [`Done::Lost`].
    fn give_back(&mut self, claimed: &[Claimed]) {
        self.settled.extend(claimed.iter().map(|row| Settled {
            seq: row.seq,
            token: row.token,
            outcome: Outcome::Defer {
                after: Duration::ZERO,
                certainty: Certainty::Unchanged,
                reason: "the database did not answer".to_owned(),
            },
        }));
    }

    /// How many rows are through.
    fn ended(&self) -> usize {
        let states = self.settled.iter().map(|one| one.outcome.state());
        states.filter(|state| *state != State::Pending).count()
    }
}

/// Whether the transaction of an outcome claims.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Claim {
    More,
    Nothing,
}

impl<C: Channel> Recorder<C> {
    pub(crate) async fn run(self, mut done: Receiver<Done>) -> Result<(), Failure> {
        let mut arrived = Vec::new();
        while done.recv_many(&mut arrived, 512).await > 0 {
            let arrivals = self.workload.arrivals();
            let mut batch = Batch::default();
            arrived.drain(..).for_each(|one| batch.add(one));
            self.workload.set_unwritten(batch.since);
            self.write(&mut batch).await;
            // What came meanwhile counts as old as these, until it is written itself.
            if done.is_empty() {
                self.workload.set_unwritten(None);
            }
            let (ended, settled) = (batch.ended(), batch.settled.len());
            drop(batch);
            self.workload.settled(ended);
            // What waits for its next attempt may be due before anything else, and what came meanwhile may stand behind one of these.
            if ended < settled || arrivals != self.workload.arrivals() {
                self.workload.look_again();
            }
        }
        Ok(())
    }

    async fn write(&self, batch: &mut Batch) {
        let mut claim = Claim::More;
        let counted = loop {
            match self.try_write(batch, claim).await {
                Ok(counted) => break counted,
                Err(error) => warn!(error = %error, "outcomes not written, trying again"),
            }
            // What can be written must not fail with what is claimed on the way.
            claim = Claim::Nothing;
            tokio::time::sleep(RETRY).await;
        };
        let late = batch.told.len().saturating_sub(counted);
        if late > 0 {
            warn!(late, "outcomes came after their lease and were not counted");
        }
    }

    /// An outcome and its status are one transaction, and in it rows are claimed for the same slots. Says how many outcomes counted.
    async fn try_write(&self, batch: &mut Batch, claim: Claim) -> Result<usize, Error> {
        let dispatcher = self.dispatcher.upgrade();
        let dispatcher = dispatcher.filter(|_| claim == Claim::More);
        let leave = dispatcher.as_ref();
        let leave = leave.and_then(|one| one.leave_for_more(batch.settled.len()));
        // The turn comes before any row is locked, as everywhere. Whatever is due is anybody's, and not worth a wait.
        let (mut transaction, leave) = match leave {
            Some((Wanted::Due, leave)) => {
                let (transaction, free) = self.inbox.begin_claiming_if_free().await?;
                (transaction, free.then_some((Wanted::Due, leave)))
            }
            Some(next) => (self.inbox.begin_claiming().await?, Some(next)),
            None => (self.database.begin().await?, None),
        };
        let counted = self.inbox.settle(&mut transaction, &batch.settled).await?;
        let next: Vec<_> = counted.iter().filter_map(|one| one.next).collect();
        let claimed = match &leave {
            Some((wanted, leave)) => {
                let idle = leave.idle();
                self.claim(&mut transaction, (*wanted, &next), idle).await?
            }
            None => Vec::new(),
        };
        let counted = counted.into_iter().map(|one| (one.seq, one.token));
        let counted: BTreeSet<_> = counted.collect();
        let told = batch.told.iter();
        let told = told.filter(|(seq, token, _)| counted.contains(&(*seq, *token)));
        let told: Vec<_> = told.collect();
        let rows = told
            .iter()
            .filter_map(|(_, token, status)| {
                Some(statuses::row(status.as_ref()?, &token.to_string()))
            })
            .collect::<Result<Vec<OutboxRow>, _>>()?;
        let told = told.len();
        let handover = self.outbox.insert(&mut transaction, rows).await?;
        if let Err(error) = transaction.commit().await {
            batch.give_back(&claimed);
            return Err(error);
        }
        self.outbox.hand_over(handover);
        if claimed.len() < next.len() {
            self.workload.look_again();
        }
        let slots = batch.slots.as_mut();
        let slots = slots.and_then(|slots| slots.split(claimed.len()));
        if let (Some(dispatcher), Some((_, leave)), Some(slots)) = (dispatcher, leave, slots) {
            dispatcher.start(claimed, leave, slots);
        }
        Ok(told)
    }

    async fn claim(
        &self,
        transaction: &mut WriteTransaction,
        (wanted, next): (Wanted, &[i64]),
        idle: Idle<'_>,
    ) -> Result<Vec<Claimed>, Error> {
        match wanted {
            Wanted::Due => self.inbox.claim_due(transaction, Choice::Any, idle).await,
            Wanted::Next if next.is_empty() => Ok(Vec::new()),
            Wanted::Next => self.inbox.claim_next(transaction, next, idle).await,
        }
    }
}
