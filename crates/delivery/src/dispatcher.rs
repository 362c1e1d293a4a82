//! From the inbox to the workers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use chassis::{Failure, Shutdown};
use inbox::{Choice, Claimed, Inbox};
use tokio::sync::mpsc::Sender;
use tokio::sync::{Notify, Semaphore};
use tracing::warn;

use crate::channel::Channel;
use crate::gates::{Gate, Gates, Opening};
use crate::recorder::Done;
use crate::worker::Worker;

/// Rows claimed at once.
const CLAIM_LIMIT: usize = 256;

/// How long a claim outlives the longest call of the provider: time to write the outcome down.
pub(crate) const LEASE_MARGIN: Duration = Duration::from_secs(20);

/// The longest nap: rows that another process took in, and freed ones, announce themselves to nobody.
const NAP: Duration = Duration::from_secs(1);

/// What intake, dispatcher and recorder tell each other.
#[derive(Debug, Default)]
pub(crate) struct Workload {
    changed: Notify,
    /// Rows came, or were freed, since the dispatcher looked.
    news: AtomicBool,
    unfinished: AtomicI64,
    writing: AtomicBool,
}

impl Workload {
    /// New rows are in the inbox.
    pub(crate) fn arrived(&self, rows: usize) {
        self.unfinished
            .fetch_add(i64::try_from(rows).unwrap_or(i64::MAX), Ordering::Relaxed);
        self.news.store(true, Ordering::Release);
        self.changed.notify_one();
    }

    /// Outcomes were written: slots are free, and rows behind them may be due.
    pub(crate) fn settled(&self, finished: usize) {
        self.writing.store(false, Ordering::Release);
        self.unfinished
            .fetch_sub(i64::try_from(finished).unwrap_or(0), Ordering::Relaxed);
        self.changed.notify_one();
    }

    /// The count as the database has it.
    pub(crate) fn recount(&self, unfinished: i64) {
        self.unfinished.store(unfinished, Ordering::Relaxed);
    }

    /// Outcomes are being written, or wait for the database.
    pub(crate) fn set_writing(&self) {
        self.writing.store(true, Ordering::Release);
    }

    pub(crate) fn is_writing(&self) -> bool {
        self.writing.load(Ordering::Acquire)
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
    pub(crate) async fn run(self, shutdown: Shutdown) -> Result<(), Failure> {
        let mut look = Look::default();
        while !shutdown.is_cancelled() {
            let news = self.workload.news.swap(false, Ordering::AcqRel);
            if news || look.more || self.has_waiting() || look.until <= Instant::now() {
                look = self.turn().await;
            }
            tokio::select! {
                () = self.workload.changed.notified() => {}
                () = tokio::time::sleep_until(look.until.into()) => {}
                () = shutdown.cancelled() => {}
            }
        }
        Ok(())
    }

    /// Whether rows are here that no worker has: without any, a settled one leaves nothing to look for.
    fn has_waiting(&self) -> bool {
        let in_flight = self.concurrency - self.slots.available_permits();
        self.workload.unfinished() > i64::try_from(in_flight).unwrap_or(i64::MAX)
    }

    /// Each provider in its turn. One is passed over for the next while its circuit is not closed; what it may have taken, it alone is asked about.
    async fn turn(&self) -> Look {
        let mut nap = NAP;
        let mut more = false;
        let mut choice = Choice::Any;
        for gate in self.gates.iter() {
            let next = self.serve(gate, choice).await;
            more |= matches!(next, Next::Now | Next::WhenSettled);
            let until = match next {
                Next::Now => Duration::ZERO,
                Next::At(instant) => instant.saturating_duration_since(Instant::now()),
                Next::WhenSettled => NAP,
                Next::WhenDue if !self.has_waiting() => NAP,
                Next::WhenDue => self.until_next_due().await,
            };
            nap = nap.min(until);
            if gate.is_closed() {
                choice = Choice::InDoubt;
            }
        }
        Look {
            until: Instant::now() + nap,
            more,
        }
    }

    async fn serve(&self, gate: &Arc<Gate>, choice: Choice) -> Next {
        let free = self.slots.available_permits().min(CLAIM_LIMIT);
        if free == 0 {
            return Next::WhenSettled;
        }
        match gate.opening(Instant::now(), free) {
            Opening::Sends(count) => {
                let (rows, deadline) = self.claim(gate, choice, count).await;
                let claimed = rows.len();
                gate.begun(count, claimed);
                self.start(rows, gate, deadline);
                match claimed {
                    all if all < count => Next::WhenDue,
                    all if all < free => Next::Now,
                    _ => Next::WhenSettled,
                }
            }
            Opening::Probe => {
                let (rows, deadline) = self.claim(gate, choice, 1).await;
                if rows.is_empty() {
                    return Next::WhenDue;
                }
                // Before it starts: a refused connection is an answer within microseconds.
                gate.probing(Instant::now());
                self.start(rows, gate, deadline);
                Next::WhenSettled
            }
            Opening::Full => Next::WhenSettled,
            Opening::Wait(until) => Next::At(until),
        }
    }

    /// Rows, and until when their sends may begin.
    async fn claim(
        &self,
        gate: &Arc<Gate>,
        choice: Choice,
        limit: usize,
    ) -> (Vec<Claimed>, Instant) {
        // The lease begins in the claim's statement, so no later than now.
        let deadline = Instant::now() + LEASE_MARGIN / 2;
        let wanted = (gate.provider(), choice);
        let claimed = self.inbox.claim(wanted, limit, self.lease).await;
        let rows = claimed.unwrap_or_else(|error| {
            warn!(error = %error, "could not claim messages, trying again");
            Vec::new()
        });
        (rows, deadline)
    }

    fn start(&self, rows: Vec<Claimed>, gate: &Arc<Gate>, deadline: Instant) {
        for row in rows {
            let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else {
                // Nobody else takes slots; if it were so, the lease would end the claim.
                return;
            };
            let (worker, done) = (Arc::clone(&self.worker), self.done.clone());
            let turn = gate.enter();
            tokio::spawn(async move {
                let finished = worker.work(row, turn.gate(), deadline).await;
                drop(turn);
                // The recorder outlives every sender.
                drop(done.send(Done { finished, slot }).await);
            });
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
