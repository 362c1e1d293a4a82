//! Why no broker answers.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::ClientContext;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// What became of a client's last connection that failed: a request that nobody answers says only that its time is up.
#[derive(Debug, Default)]
pub(crate) struct Trouble(Mutex<Option<String>>);

impl Trouble {
    pub(crate) fn last(&self) -> Option<String> {
        self.said().clone()
    }

    pub(crate) fn forget(&self) {
        *self.said() = None;
    }

    fn said(&self) -> MutexGuard<'_, Option<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Trouble {
    fn error(&self, error: KafkaError, reason: &str) {
        // Said after the reasons, and is none.
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AllBrokersDown) {
            *self.said() = Some(reason.to_owned());
        }
    }
}

impl ConsumerContext for Trouble {}
