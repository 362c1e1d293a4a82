//! The stages between, by the programs' own metrics.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use url::Url;

/// How long metrics are waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// The histograms that are stages, and what they time.
const STAGES: [(&str, &str); 4] = [
    (
        "booking_event_publish_seconds",
        "commit to the broker's acknowledgement",
    ),
    ("notifier_taken_in_seconds", "event to the inbox"),
    ("notifier_send_seconds", "a call of the provider"),
    (
        "notifier_end_to_end_seconds",
        "event to the provider's acceptance",
    ),
];

/// A histogram: how many were no longer than so many seconds.
type Buckets = Vec<(f64, f64)>;

/// Histograms by program and name.
#[derive(Debug, Default)]
pub(crate) struct Readings(BTreeMap<(String, &'static str), Buckets>);

/// One stage in one program, during the run.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct StageTimes {
    /// Where the program is.
    pub(crate) program: String,
    pub(crate) stage: &'static str,
    pub(crate) metric: &'static str,
    pub(crate) count: u64,
    /// Milliseconds, as near as the buckets tell.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

impl Readings {
    /// Of every program that answers.
    pub(crate) async fn take(api: &Url, notifiers: &[Url]) -> Self {
        let mut readings = Self::default();
        for program in std::iter::once(api).chain(notifiers) {
            if let Some(text) = metrics(program).await {
                readings.read(program, &text);
            }
        }
        readings
    }

    fn read(&mut self, program: &Url, text: &str) {
        let name = program.as_str().trim_end_matches('/').to_owned();
        for (metric, _) in STAGES {
            let buckets = buckets(text, metric);
            if !buckets.is_empty() {
                self.0.insert((name.clone(), metric), buckets);
            }
        }
    }
}

async fn metrics(program: &Url) -> Option<String> {
    let client = chassis::http::client(PATIENCE).ok()?;
    let answer = client.get(program.join("/metrics").ok()?).send().await;
    answer.ok()?.text().await.ok()
}

/// A histogram of every label together, by its upper bounds.
fn buckets(text: &str, metric: &str) -> Buckets {
    let prefix = format!("{metric}_bucket{{");
    let mut sums: Buckets = Vec::new();
    for line in text.lines().filter_map(|line| line.strip_prefix(&prefix)) {
        let bound = line
            .split("le=\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        let count = line
            .split("} ")
            .nth(1)
            .and_then(|rest| rest.split(' ').next());
        let bound = bound.map(|bound| bound.parse().unwrap_or(f64::INFINITY));
        let Some((bound, count)) = bound.zip(count.and_then(|count| count.parse::<f64>().ok()))
        else {
            continue;
        };
        match sums
            .iter_mut()
            .find(|(known, _)| known.total_cmp(&bound).is_eq())
        {
            Some((_, sum)) => *sum += count,
            None => sums.push((bound, count)),
        }
    }
    sums.sort_by(|a, b| a.0.total_cmp(&b.0));
    sums
}

/// What happened between two readings.
pub(crate) fn between(before: &Readings, after: &Readings) -> Vec<StageTimes> {
    let mut stages = Vec::new();
    for ((program, metric), late) in &after.0 {
        let early = before.0.get(&(program.clone(), metric));
        let difference: Buckets = late
            .iter()
            .enumerate()
            .map(|(index, (bound, count))| {
                let earlier = early
                    .and_then(|early| early.get(index))
                    .map_or(0.0, |one| one.1);
                (*bound, count - earlier)
            })
            .collect();
        let stage = STAGES.iter().find(|(name, _)| name == metric);
        let count = difference.last().map_or(0.0, |last| last.1);
        if let Some((_, stage)) = stage.filter(|_| count > 0.0) {
            stages.push(StageTimes {
                program: program.clone(),
                stage,
                metric,
                count: whole(count),
                p50: millis_at(&difference, 0.5),
                p99: millis_at(&difference, 0.99),
            });
        }
    }
    let place = |stage: &StageTimes| STAGES.iter().position(|(name, _)| *name == stage.metric);
    stages.sort_by_key(|stage| (place(stage), stage.program.clone()));
    stages
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count is whole and not negative"
)]
fn whole(count: f64) -> u64 {
    count as u64
}

/// A quantile in milliseconds, taken to lie evenly within its bucket; of the last bucket, its lower bound.
fn millis_at(buckets: &Buckets, quantile: f64) -> f64 {
    let rank = buckets.last().map_or(0.0, |last| last.1) * quantile;
    let (mut lower, mut below) = (0.0, 0.0);
    for (bound, count) in buckets {
        if *count >= rank && *count > below {
            let within = (rank - below) / (count - below);
            let upper = if bound.is_finite() { *bound } else { lower };
            let seconds: f64 = lower + (upper - lower) * within;
            return (seconds * 100_000.0).round() / 100.0;
        }
        (lower, below) = (*bound, *count);
    }
    0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const EARLY: &str = "\
notifier_send_seconds_bucket{le=\"0.001\",provider=\"smtp\"} 10
notifier_send_seconds_bucket{le=\"0.01\",provider=\"smtp\"} 10
notifier_send_seconds_bucket{le=\"+Inf\",provider=\"smtp\"} 10
";
    const LATE: &str = "\
notifier_send_seconds_sum{provider=\"smtp\"} 3.5
notifier_send_seconds_bucket{le=\"0.001\",provider=\"smtp\"} 60
notifier_send_seconds_bucket{le=\"0.01\",provider=\"smtp\"} 110
notifier_send_seconds_bucket{le=\"+Inf\",provider=\"smtp\"} 110
notifier_send_seconds_bucket{le=\"0.001\",provider=\"other\"} 0
notifier_send_seconds_bucket{le=\"0.01\",provider=\"other\"} 0
notifier_send_seconds_bucket{le=\"+Inf\",provider=\"other\"} 0
";

    fn readings(text: &str) -> Readings {
        let mut readings = Readings::default();
        readings.read(&"http://127.0.0.1:8081/".parse().unwrap(), text);
        readings
    }

    #[test]
    fn what_was_there_before_is_not_counted() {
        let stages = between(&readings(EARLY), &readings(LATE));
        let [stage] = stages.as_slice() else {
            panic!("{stages:?}")
        };
        assert_eq!(
            (stage.count, stage.program.as_str()),
            (100, "http://127.0.0.1:8081")
        );
        // Half lies below 1 ms, the 99th of 100 near the end of the next bucket.
        assert!((stage.p50 - 1.0).abs() < 0.01, "{}", stage.p50);
        assert!((stage.p99 - 9.82).abs() < 0.01, "{}", stage.p99);
    }

    #[test]
    fn a_program_that_did_nothing_has_no_stage() {
        assert!(between(&readings(LATE), &readings(LATE)).is_empty());
    }
}
