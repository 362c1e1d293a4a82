//! Whether the process can do its work, dependency by dependency.

use std::collections::BTreeMap;
use std::fmt::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
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

/// The same for Prometheus, where nothing asks `/readyz`.
impl Collector for Readiness {
    fn encode(&self, mut to: DescriptorEncoder<'_>) -> Result<(), Error> {
        let ready = ConstGauge::new(i64::from(self.is_ready()));
        let help = "Whether the program can do its work: 1, or 0";
        let encoder = to.encode_descriptor("ready", help, None, MetricType::Gauge)?;
        ready.encode(encoder)?;
        let help = "Whether what it works with is there: 1, or 0";
        let mut family = to.encode_descriptor("dependency_up", help, None, MetricType::Gauge)?;
        for (dependency, state) in self.lock().iter() {
            let up = ConstGauge::new(i64::from(*state == State::Fine));
            let label = [("dependency", *dependency)];
            up.encode(family.encode_family(&label)?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn prometheus_is_told_what_is_missing_and_what_only_delays() {
        let readiness = Readiness::default();
        readiness.set("database", Ok(()));
        readiness.set_optional("kafka", Err("no broker is connected".to_owned()));
        let metrics = Metrics::default();
        metrics.register(|registry| registry.register_collector(Box::new(readiness.clone())));
        let told = |line: &str| {
            let text = metrics.encode();
            assert!(text.lines().any(|one| one == line), "no {line} in {text}");
        };
        told("ready 1");
        told(r#"dependency_up{dependency="database"} 1"#);
        told(r#"dependency_up{dependency="kafka"} 0"#);
        readiness.set("database", Err("away".to_owned()));
        told("ready 0");
        told(r#"dependency_up{dependency="database"} 0"#);
    }

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
