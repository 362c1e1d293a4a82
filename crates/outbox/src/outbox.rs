//! The end where rows are written.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use database::{Error, WriteTransaction};
use tokio::sync::Notify;
use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::store::{Holder, LEASE, OutboxRow, Store};

/// Rows that may wait in memory for the relay.
const HANDED_OVER_LIMIT: usize = 4096;

/// A lease that ends sooner is not relied on: the transaction and the publication take their time.
const LEASE_MARGIN: Duration = Duration::from_secs(2);

/// How long after the last write the lease is still renewed.
const ACTIVE: Duration = Duration::from_secs(10);

/// What the two ends know of each other.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Through which way rows go now.
    route: Mutex<Route>,
    /// Rows in this process's name that were not handed over.
    left_over: Mutex<Vec<String>>,
    /// When the lease ends, by this process's own clock, and when a row was last written.
    times: Mutex<Times>,
    /// Wakes the relay.
    pub(crate) wake: Notify,
}

/// Rows go to the relay through memory, or through the database alone while it is behind or holds no lease.
/// Whatever went through the database is published before what is handed over after it, so that none overtakes.
#[derive(Clone, Copy, Debug, Default)]
struct Route {
    /// New rows go through the database alone.
    behind: bool,
    /// Transactions still open whose rows go through the database alone.
    open: usize,
    /// Committed rows wait in the database that nobody holds.
    unclaimed: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Times {
    lease_ends: Option<Instant>,
    last_write: Option<Instant>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// The lease was renewed by a statement that began at `began`.
    pub(crate) fn held_since(&self, began: Instant) {
        lock(&self.times).lease_ends = Some(began + LEASE);
    }

    /// Whether rows were written lately.
    pub(crate) fn is_active(&self) -> bool {
        lock(&self.times)
            .last_write
            .is_some_and(|last| last.elapsed() < ACTIVE)
    }

    pub(crate) fn caught_up(&self) {
        lock(&self.route).behind = false;
    }

    /// Whether committed rows wait in the database that nobody holds.
    pub(crate) fn has_unclaimed(&self) -> bool {
        lock(&self.route).unclaimed
    }

    /// What waits in the database now is about to be taken.
    pub(crate) fn sweeping(&self) {
        lock(&self.route).unclaimed = false;
    }

    /// It could not be taken; it is tried again at the next tick.
    pub(crate) fn not_swept(&self) {
        lock(&self.route).unclaimed = true;
    }

    /// Whether a row in memory may be published: not while an older one may wait in the database.
    ///
    /// While the relay is behind, every row in memory is older than those in the database.
    pub(crate) fn memory_is_next(&self) -> bool {
        let route = *lock(&self.route);
        route.behind || (route.open == 0 && !route.unclaimed)
    }

    /// Whether rows in the database are next although some wait in memory, which then are younger.
    pub(crate) fn database_is_older(&self) -> bool {
        !lock(&self.route).behind
    }

    /// More rows wait than one claim takes.
    pub(crate) fn wake_again(&self) {
        lock(&self.route).unclaimed = true;
        self.wake.notify_one();
    }

    /// A transaction of [`Holder::Nobody`] ended; its rows may be in the database.
    fn closed(&self) {
        let mut route = lock(&self.route);
        route.open = route.open.saturating_sub(1);
        route.unclaimed = true;
        drop(route);
        self.wake.notify_one();
    }

    pub(crate) fn take_left_over(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.left_over))
    }

    /// In whose name a row is written now.
    fn holder(&self) -> Holder {
        let mut times = lock(&self.times);
        let now = Instant::now();
        times.last_write = Some(now);
        let held = times
            .lease_ends
            .is_some_and(|ends| ends > now + LEASE_MARGIN);
        let mut route = lock(&self.route);
        if held && !route.behind {
            return Holder::This;
        }
        route.behind = true;
        route.open += 1;
        Holder::Nobody
    }

    fn leave_over(&self, rows: impl Iterator<Item = OutboxRow>) {
        lock(&self.left_over).extend(rows.map(|row| row.event_id));
        self.wake_again();
    }
}

/// Writes rows in the transaction of their change. Clones share it.
#[derive(Clone, Debug)]
pub struct Outbox {
    store: Store,
    fresh: Sender<(OutboxRow, Instant)>,
    shared: Arc<Shared>,
}

/// Rows that were written and wait for the commit of their transaction.
///
/// Dropped without [`Outbox::hand_over`] (the commit failed, or nobody knows whether it did), the relay lets go of them, and if they are in the database they are published from there.
#[derive(Debug)]
#[must_use = "hand the rows over after the commit"]
pub struct Handover {
    rows: Vec<OutboxRow>,
    holder: Holder,
    shared: Arc<Shared>,
}

impl Drop for Handover {
    fn drop(&mut self) {
        if self.holder == Holder::Nobody {
            self.shared.closed();
        } else if !self.rows.is_empty() {
            self.shared
                .leave_over(std::mem::take(&mut self.rows).into_iter());
        }
    }
}

impl Outbox {
    /// Rows come out with the moment after their commit.
    pub(crate) fn new(store: Store) -> (Self, Receiver<(OutboxRow, Instant)>) {
        let (fresh, receiver) = mpsc::channel(HANDED_OVER_LIMIT);
        (
            Self {
                store,
                fresh,
                shared: Arc::default(),
            },
            receiver,
        )
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Writes rows in the caller's transaction.
    ///
    /// # Errors
    /// Whatever the database says.
    pub async fn insert(
        &self,
        transaction: &mut WriteTransaction,
        rows: Vec<OutboxRow>,
    ) -> Result<Handover, Error> {
        let handover = Handover {
            holder: self.shared.holder(),
            rows,
            shared: Arc::clone(&self.shared),
        };
        if !handover.rows.is_empty() {
            let (rows, holder) = (&handover.rows, handover.holder);
            self.store.insert(transaction, rows, holder).await?;
        }
        Ok(handover)
    }

    /// Gives committed rows to the relay in memory. Never waits: what finds no room is taken from the database later.
    pub fn hand_over(&self, mut handover: Handover) {
        if handover.holder == Holder::Nobody {
            return;
        }
        let committed = Instant::now();
        let mut rows = std::mem::take(&mut handover.rows).into_iter();
        let refused = rows
            .by_ref()
            .find_map(|row| self.fresh.try_send((row, committed)).err());
        if let Some(refused) = refused {
            lock(&self.shared.route).behind = true;
            let (row, _) = refused.into_inner();
            self.shared.leave_over(std::iter::once(row).chain(rows));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The end of a transaction that went through the database alone.
    fn ended(shared: &Arc<Shared>) {
        drop(Handover {
            rows: Vec::new(),
            holder: Holder::Nobody,
            shared: Arc::clone(shared),
        });
    }

    #[test]
    fn a_row_in_memory_waits_for_older_ones_in_the_database() {
        let shared = Arc::new(Shared::default());
        assert_eq!(shared.holder(), Holder::Nobody);
        shared.held_since(Instant::now());
        shared.sweeping();
        shared.caught_up();
        assert_eq!(shared.holder(), Holder::This);
        assert!(!shared.memory_is_next(), "a transaction is still open");
        ended(&shared);
        assert!(!shared.memory_is_next(), "its rows are not taken yet");
        assert!(shared.database_is_older());
        shared.sweeping();
        assert!(shared.memory_is_next());
    }

    #[test]
    fn rows_in_memory_go_before_what_was_written_when_there_was_no_room() {
        let shared = Arc::new(Shared::default());
        shared.held_since(Instant::now());
        lock(&shared.route).behind = true;
        assert_eq!(shared.holder(), Holder::Nobody);
        ended(&shared);
        assert!(shared.memory_is_next());
        assert!(!shared.database_is_older());
    }
}
