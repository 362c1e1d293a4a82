//! Notes in the database what the broker acknowledged.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chassis::SharedClock;
use tokio::sync::mpsc::Receiver;
use tracing::warn;

use crate::store::{Mark, Store};

/// Acknowledgements noted in one transaction at most.
const MARKED_AT_ONCE: usize = 512;

/// How long acknowledgements are gathered: nobody waits for their mark, and a row published again after a crash is one that consumers know.
const GATHERING: Duration = Duration::from_millis(50);

/// How long a database that failed is left alone.
const RETRY: Duration = Duration::from_secs(1);

/// Event ids that were given to the producer and are not yet marked in the database.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unmarked(Arc<Mutex<HashSet<String>>>);

impl Unmarked {
    pub(crate) fn lock(&self) -> MutexGuard<'_, HashSet<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Notes acknowledgements in the database, as many at once as there are.
#[derive(Debug)]
pub(crate) struct Marker {
    pub(crate) store: Store,
    pub(crate) clock: SharedClock,
    pub(crate) unmarked: Unmarked,
}

impl Marker {
    pub(crate) async fn run(self, mut to_mark: Receiver<Mark>) {
        let mut marks = Vec::new();
        while to_mark.recv_many(&mut marks, MARKED_AT_ONCE).await > 0 {
            if marks.len() < MARKED_AT_ONCE && !to_mark.is_closed() {
                tokio::time::sleep(GATHERING).await;
                let room = MARKED_AT_ONCE - marks.len();
                marks.extend(std::iter::from_fn(|| to_mark.try_recv().ok()).take(room));
            }
            if !self.mark(&marks, &to_mark).await {
                return;
            }
            let mut unmarked = self.unmarked.lock();
            for mark in marks.drain(..) {
                unmarked.remove(&mark.event_id);
            }
        }
    }

    /// Tries until it is noted; at shutdown a few times only, for the rows are then published once more.
    async fn mark(&self, marks: &[Mark], to_mark: &Receiver<Mark>) -> bool {
        let mut last_tries = 3;
        while let Err(error) = self.store.mark(marks, self.clock.now()).await {
            warn!(error = %error, "could not note what was published");
            last_tries -= u32::from(to_mark.is_closed());
            if last_tries == 0 {
                return false;
            }
            tokio::time::sleep(RETRY).await;
        }
        true
    }
}
