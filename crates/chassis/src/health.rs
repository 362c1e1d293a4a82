//! Whether the process can do its work, dependency by dependency.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// What a dependency is like.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Fine,
    /// The process can do its work all the same.
    Degraded(String),
    Missing(String),
}

/// The state of each dependency. Clones share it. Ready when none is missing.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    checks: Arc<Mutex<BTreeMap<&'static str, State>>>,
}

impl Readiness {
    /// Notes the state of a dependency the process cannot work without: fine, or the reason why not, in words without secrets or addresses of people.
    pub fn set(&self, dependency: &'static str, state: Result<(), String>) {
        self.lock().insert(
            dependency,
            state.map_or_else(State::Missing, |()| State::Fine),
        );
    }

    /// Notes the state of a dependency whose absence delays work and prevents none.
    pub fn set_optional(&self, dependency: &'static str, state: Result<(), String>) {
        self.lock().insert(
            dependency,
            state.map_or_else(State::Degraded, |()| State::Fine),
        );
    }

    /// Whether the process can do its work.
    pub fn is_ready(&self) -> bool {
        !self
            .lock()
            .values()
            .any(|state| matches!(state, State::Missing(_)))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, State>> {
        self.checks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer of `/readyz`: 200 or 503, with a reason for each dependency.
    pub(crate) fn respond(&self) -> Response {
        let said = |(name, state): (&&'static str, &State)| match state {
            State::Fine => (*name, "ok".to_owned()),
            State::Degraded(reason) | State::Missing(reason) => (*name, reason.clone()),
        };
        let checks: BTreeMap<_, _> = self.lock().iter().map(said).collect();
        let ready = self.is_ready();
        let status = if ready {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        let body = json!({"ready": ready, "checks": checks}).to_string();
        (status, [(CONTENT_TYPE, "application/json")], body).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_degraded_dependency_is_told_and_takes_nobody_out_of_service() {
        let readiness = Readiness::default();
        readiness.set("database", Ok(()));
        readiness.set_optional("kafka", Err("away".to_owned()));
        assert!(readiness.is_ready());
        readiness.set("database", Err("away".to_owned()));
        assert!(!readiness.is_ready());
    }
}
