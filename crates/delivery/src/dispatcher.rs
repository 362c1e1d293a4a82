//! From the inbox to the workers.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chassis::{Failure, Shutdown};
use inbox::{Choice, Claimed, Idle, Inbox};
use tokio::sync::mpsc::Sender;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tracing::warn;

use crate::breaker::Allowance;
use crate::channel::Channel;
use crate::gates::{Gate, Gates};
use crate::recorder::Done;
use crate::worker::Worker;

/// Rows claimed at once.
const CLAIM_LIMIT: usize = 256;

/// How long a claim outlives the longest call of the provider: time to write the outcome down.
pub(crate) const LEASE_MARGIN: Duration = Duration::from_secs(20);

/// The longest nap: rows that another process took in, and freed ones, announce themselves to nobody.
const NAP: Duration = Duration::from_secs(1);

/// An outcome that is not written after this long waits for the database. Leases last half of [`LEASE_MARGIN`] longer at least.
const STUCK: Duration = Duration::from_secs(2);

/// What intake, dispatcher and recorder tell each other.
#[derive(Debug, Default)]
pub(crate) struct Workload {
    changed: Notify,
    /// Rows came, or were freed, since the dispatcher looked.
    news: AtomicBool,
    /// Rows that are due wait for slots or for the first provider's limit, so nothing may go before them.
    behind: AtomicBool,
    unfinished: AtomicI64,
    /// How often rows came that no worker has in hand.
    arrivals: AtomicU64,
    /// Since when the oldest outcome waits that is being written.
    unwritten: Mutex<Option<Instant>>,
}

impl Workload {
    /// New rows are in the inbox; so many of them are in a worker's hands.
    pub(crate) fn arrived(&self, rows: usize, in_hand: usize) {
        self.unfinished
            .fetch_add(i64::try_from(rows).unwrap_or(i64::MAX), Ordering::Relaxed);
        if rows > in_hand {
            self.arrivals.fetch_add(1, Ordering::AcqRel);
            self.look_again();
        }
    }

    /// Rows may be due that were not.
    pub(crate) fn look_again(&self) {
        self.news.store(true, Ordering::Release);
        self.changed.notify_one();
    }

    /// Outcomes were written: slots are free, and rows behind them may be due.
    pub(crate) fn settled(&self, finished: usize) {
        self.unfinished
            .fetch_sub(i64::try_from(finished).unwrap_or(0), Ordering::Relaxed);
        self.changed.notify_one();
    }

    /// The count as the database has it.
    pub(crate) fn recount(&self, unfinished: i64) {
        self.unfinished.store(unfinished, Ordering::Relaxed);
    }

    /// The oldest outcome that is not written is of then.
    pub(crate) fn set_unwritten(&self, since: Option<Instant>) {
        *self.unwritten() = since;
    }

    /// Whether outcomes wait for the database so long that their leases may end meanwhile.
    pub(crate) fn is_stuck(&self) -> bool {
        self.unwritten()
            .is_some_and(|since| since.elapsed() > STUCK)
    }

    fn unwritten(&self) -> MutexGuard<'_, Option<Instant>> {
        self.unwritten
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn arrivals(&self) -> u64 {
        self.arrivals.load(Ordering::Acquire)
    }

    pub(crate) fn unfinished(&self) -> i64 {
        self.unfinished.load(Ordering::Relaxed)
    }
}

/// Claims rows while there are slots and open gates, and gives each to a worker.
pub(crate) struct Dispatcher<C> {
    pub(crate) inbox: Inbox,
    pub(crate) worker: Arc<Worker<C>>,
    pub(crate) gates: Gates,
    pub(crate) slots: Arc<Semaphore>,
    /// How many slots there are.
    pub(crate) concurrency: usize,
    pub(crate) workload: Arc<Workload>,
    pub(crate) done: Sender<Done>,
    pub(crate) lease: Duration,
    /// After it nothing more is claimed.
    pub(crate) shutdown: Shutdown,
}

/// When it is worth looking again.
#[derive(Clone, Copy, Debug)]
enum Next {
    /// At once: more may be there.
    Now,
    /// Then.
    At(Instant),
    /// When an outcome was written.
    WhenSettled,
    /// When a row is due.
    WhenDue,
}

/// What outcomes may claim for the slots that they had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Rows that they kept waiting.
    Next,
    /// Whatever is due, oldest first.
    Due,
}

/// The leave of a provider's gate to send.
pub(crate) struct Grant {
    gate: Arc<Gate>,
    /// Sends that the gate allowed and that were not begun.
    left: usize,
    lease: Duration,
    deadline: Instant,
}

impl Grant {
    pub(crate) fn idle(&self) -> Idle<'_> {
        Idle {
            provider: self.gate.provider(),
            workers: self.left,
            lease: self.lease,
        }
    }
}

impl Drop for Grant {
    fn drop(&mut self) {
        self.gate.not_begun(self.left);
    }
}

/// What the last look at the inbox says of the next one.
#[derive(Clone, Copy, Debug)]
struct Look {
    /// When it is at the latest.
    until: Instant,
    /// There may be more rows than were taken.
    more: bool,
}

impl Default for Look {
    fn default() -> Self {
        Self {
            until: Instant::now(),
            more: true,
        }
    }
}

impl<C: Channel> Dispatcher<C> {
    /// Dispatches until shutdown. Workers in flight finish by themselves; the recorder ends after the last.
    pub(crate) async fn run(self: Arc<Self>) -> Result<(), Failure> {
        let mut look = Look::default();
        while !self.shutdown.is_cancelled() {
            let news = self.workload.news.swap(false, Ordering::AcqRel);
            if news || look.more || look.until <= Instant::now() {
                look = self.turn().await;
            }
            tokio::select! {
                () = self.workload.changed.notified() => {}
                () = tokio::time::sleep_until(look.until.into()) => {}
                () = self.shutdown.cancelled() => {}
            }
        }
        Ok(())
    }

    /// How many rows no worker has, as far as is known. While more is due than there are slots, as many as can be claimed: what other processes took in is not counted here.
    fn waiting(&self) -> usize {
        if self.workload.behind.load(Ordering::Acquire) {
            return CLAIM_LIMIT;
        }
        let in_flight = self.concurrency - self.slots.available_permits();
        let unfinished = usize::try_from(self.workload.unfinished()).unwrap_or(0);
        unfinished.saturating_sub(in_flight)
    }

    /// Each provider in its turn. One is passed over for the next while its circuit is not closed; what it may have taken, it alone is asked about.
    async fn turn(&self) -> Look {
        let mut nap = NAP;
        let (mut more, mut limited) = (false, false);
        let mut choice = Choice::Any;
        for (place, gate) in self.gates.iter().enumerate() {
            let next = self.serve(gate, choice).await;
            more |= matches!(next, Next::Now | Next::WhenSettled);
            limited |= place == 0 && matches!(next, Next::At(_));
            let until = match next {
                Next::Now => Duration::ZERO,
                Next::At(instant) => instant.saturating_duration_since(Instant::now()),
                Next::WhenSettled => NAP,
                Next::WhenDue => self.until_next_due().await,
            };
            nap = nap.min(until);
            if gate.is_closed() {
                choice = Choice::InDoubt;
            }
        }
        self.workload
            .behind
            .store(more || limited, Ordering::Release);
        Look {
            until: Instant::now() + nap,
            more,
        }
    }

    async fn serve(&self, gate: &Arc<Gate>, choice: Choice) -> Next {
        // No more than there may be rows for: the rest is for what comes in.
        let Some(mut slots) = self.take_slots(self.waiting().clamp(1, CLAIM_LIMIT)) else {
            return Next::WhenSettled;
        };
        match gate.allowance(Instant::now(), slots.num_permits()) {
            Allowance::Sends(count) => {
                let (rows, deadline) = self.claim(gate, (choice, count), &mut slots).await;
                let claimed = rows.len();
                self.start(rows, self.grant(gate, count, deadline), slots);
                match claimed {
                    all if all < count => Next::WhenDue,
                    _ if self.slots.available_permits() > 0 => Next::Now,
                    _ => Next::WhenSettled,
                }
            }
            Allowance::Probe => {
                let (rows, deadline) = self.claim(gate, (choice, 1), &mut slots).await;
                if rows.is_empty() {
                    return Next::WhenDue;
                }
                // Before it starts: a refused connection is an answer within microseconds.
                gate.probing(Instant::now());
                self.start(rows, self.grant(gate, 0, deadline), slots);
                Next::WhenSettled
            }
            Allowance::Full => Next::WhenSettled,
            Allowance::Wait(until) => Next::At(until),
        }
    }

    /// Rows, and until when their sends may begin.
    async fn claim(
        &self,
        gate: &Arc<Gate>,
        (choice, limit): (Choice, usize),
        slots: &mut OwnedSemaphorePermit,
    ) -> (Vec<Claimed>, Instant) {
        // The lease begins in the claim's statement, so no later than now.
        let deadline = Instant::now() + LEASE_MARGIN / 2;
        let wanted = (gate.provider(), choice);
        let claimed = self.inbox.claim(wanted, limit, self.lease).await;
        let rows = claimed.unwrap_or_else(|failed| {
            warn!(error = %failed.error, "could not claim messages, trying again");
            self.give_back(failed.in_doubt, slots);
            Vec::new()
        });
        (rows, deadline)
    }

    fn take_slots(&self, wanted: usize) -> Option<OwnedSemaphorePermit> {
        let free = self.slots.available_permits().min(wanted);
        let count = u32::try_from(free).ok().filter(|count| *count > 0)?;
        Arc::clone(&self.slots).try_acquire_many_owned(count).ok()
    }

    fn grant(&self, gate: &Arc<Gate>, left: usize, deadline: Instant) -> Grant {
        Grant {
            gate: Arc::clone(gate),
            left,
            lease: self.lease,
            deadline,
        }
    }

    /// Leave and slots for rows that are about to come in.
    pub(crate) fn idle(&self, wanted: usize) -> Option<(Grant, OwnedSemaphorePermit)> {
        let gate = self.open_gate()?;
        let slots = self.take_slots(wanted)?;
        Some((self.leave(gate, slots.num_permits())?, slots))
    }

    /// Leave for as many rows as there are outcomes: what they keep waiting, or, while more is due than there are slots, the oldest of that.
    ///
    /// Where there is a second provider the slots of what is due go back to the dispatcher, which asks that one about what it alone can tell.
    pub(crate) fn leave_for_more(&self, outcomes: usize) -> Option<(Wanted, Grant)> {
        let gate = self.healthy_gate().filter(|_| self.waiting() > 0)?;
        let behind = self.workload.behind.load(Ordering::Acquire);
        if behind && self.gates.iter().count() > 1 {
            return None;
        }
        let wanted = if behind { Wanted::Due } else { Wanted::Next };
        Some((wanted, self.leave(gate, outcomes)?))
    }

    /// The first provider's, if no row that is due waits for it or for a slot.
    fn open_gate(&self) -> Option<&Arc<Gate>> {
        let behind = self.workload.behind.load(Ordering::Acquire);
        self.healthy_gate().filter(|_| !behind)
    }

    /// The first provider's, if all is well with it and the process goes on.
    fn healthy_gate(&self) -> Option<&Arc<Gate>> {
        let gate = self.gates.iter().next()?;
        (!self.shutdown.is_cancelled() && gate.is_closed()).then_some(gate)
    }

    fn leave(&self, gate: &Arc<Gate>, wanted: usize) -> Option<Grant> {
        let deadline = Instant::now() + LEASE_MARGIN / 2;
        match gate.allowance(Instant::now(), wanted) {
            Allowance::Sends(count) => Some(self.grant(gate, count, deadline)),
            Allowance::Probe | Allowance::Full | Allowance::Wait(_) => None,
        }
    }

    /// Gives each row to a worker, and gives the rest of the grant and of the slots back.
    pub(crate) fn start(
        &self,
        rows: Vec<Claimed>,
        mut grant: Grant,
        mut slots: OwnedSemaphorePermit,
    ) {
        for row in rows {
            let Some(slot) = slots.split(1) else {
                // No more were asked for than there are slots; if it were so, the lease would end the claim.
                return;
            };
            grant.left = grant.left.saturating_sub(1);
            let (worker, done) = (Arc::clone(&self.worker), self.done.clone());
            let (turn, deadline) = (grant.gate.enter(), grant.deadline);
            tokio::spawn(async move {
                let finished = worker.work(row, turn.gate(), deadline).await;
                drop(turn);
                // The recorder outlives every sender.
                drop(done.send(Done::Worked(finished, slot)).await);
            });
        }
    }

    /// Claims whose commit failed, or its answer was lost.
    pub(crate) fn give_back(&self, rows: Vec<Claimed>, slots: &mut OwnedSemaphorePermit) {
        for row in rows {
            let Some(slot) = slots.split(1) else { return };
            let done = self.done.clone();
            tokio::spawn(async move { drop(done.send(Done::Lost(row, slot)).await) });
        }
    }

    async fn until_next_due(&self) -> Duration {
        match self.inbox.next_due().await {
            Ok(due) => due.unwrap_or(NAP),
            Err(error) => {
                warn!(error = %error, "could not look for the next message, trying again");
                NAP
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_stuck_when_the_oldest_waits_longer_than_any_write_takes() {
        let workload = Workload::default();
        assert!(!workload.is_stuck());
        workload.set_unwritten(Some(Instant::now()));
        assert!(!workload.is_stuck());
        workload.set_unwritten(Instant::now().checked_sub(STUCK * 2));
        assert!(workload.is_stuck());
    }
}
