//! The long-running parts of a process, which stand and fall together.

use std::future::Future;
use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;
use tracing::error;

use crate::{Failure, Shutdown};

/// How long the others may take to stop after one has failed.
const LAST_RESPECTS: Duration = Duration::from_secs(10);

/// Parts that run until shutdown. If one fails or panics, all are told to stop, and the failure ends the process.
#[derive(Debug)]
pub struct Tasks {
    running: JoinSet<Result<(), Failure>>,
    shutdown: Shutdown,
}

impl Tasks {
    /// No parts yet.
    pub fn new(shutdown: Shutdown) -> Self {
        Self {
            running: JoinSet::new(),
            shutdown,
        }
    }

    /// Starts a part.
    pub fn spawn(&mut self, part: impl Future<Output = Result<(), Failure>> + Send + 'static) {
        self.running.spawn(part);
    }

    /// Waits until every part has ended.
    ///
    /// # Errors
    /// The first failure of a part.
    pub async fn finish(mut self) -> Result<(), Failure> {
        while let Some(ended) = self.running.join_next().await {
            if let Err(failure) = judged(ended) {
                self.stop_others().await;
                return Err(failure);
            }
        }
        Ok(())
    }

    async fn stop_others(&mut self) {
        self.shutdown.cancel();
        if timeout(LAST_RESPECTS, self.others()).await.is_err() {
            error!("parts did not stop after another had failed");
        }
    }

    async fn others(&mut self) {
        while let Some(ended) = self.running.join_next().await {
            // The first failure is the one that counts; this one is in the log.
            drop(judged(ended));
        }
    }
}

fn judged(ended: Result<Result<(), Failure>, JoinError>) -> Result<(), Failure> {
    let outcome = ended
        .map_err(Failure::panicked("a task panicked"))
        .flatten();
    if let Err(failure) = &outcome {
        error!(error = failure.line(), "a part of the process failed");
    }
    outcome
}
