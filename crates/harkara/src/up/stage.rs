//! A part of the system that is stopped in its turn.

use std::future::Future;

use chassis::{Failure, Shutdown};
use tokio::task::JoinHandle;

/// A running part. If it ends before it is told to, the whole system stops.
#[derive(Debug)]
pub(crate) struct Stage {
    stop: Shutdown,
    running: JoinHandle<Result<(), Failure>>,
}

impl Stage {
    pub(crate) fn spawn<F>(whole: &Shutdown, run: impl FnOnce(Shutdown) -> F) -> Self
    where
        F: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        let (stop, whole) = (Shutdown::new(), whole.clone());
        let part = run(stop.clone());
        let running = tokio::spawn(async move {
            let outcome = part.await;
            whole.cancel();
            outcome
        });
        Self { stop, running }
    }

    /// Tells it to stop and waits until it has.
    pub(crate) async fn stop(self) -> Result<(), Failure> {
        self.stop.cancel();
        self.running
            .await
            .map_err(Failure::panicked("a part of the system panicked"))?
    }
}
