//! Times, counted.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// The longest time that is told apart from longer ones, in microseconds: ten minutes.
const LONGEST_MICROS: u64 = 600_000_000;

/// Times in microseconds, three digits of each kept.
#[derive(Clone, Debug)]
pub(crate) struct Times(Option<Histogram<u64>>);

impl Default for Times {
    fn default() -> Self {
        // Bounds that the library takes.
        Self(Histogram::new_with_bounds(1, LONGEST_MICROS, 3).ok())
    }
}

fn micros(time: Duration) -> u64 {
    let micros = u64::try_from(time.as_micros()).unwrap_or(LONGEST_MICROS);
    micros.clamp(1, LONGEST_MICROS)
}

/// The times of one kind, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Summary {
    pub(crate) count: u64,
    pub(crate) mean: f64,
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    #[serde(rename = "p99.9")]
    pub(crate) p999: f64,
    pub(crate) max: f64,
}

impl Summary {
    /// One time more that can only be the longest.
    pub(crate) fn extend(&mut self, time: Duration) {
        self.max = self.max.max(millis(micros(time)));
    }
}

/// The share of times, in percent, that were no longer than so many milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Percentile {
    percent: f64,
    millis: f64,
}

impl Times {
    pub(crate) fn record(&mut self, time: Duration) {
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record(micros(time));
        }
    }

    pub(crate) fn summary(&self) -> Summary {
        let Some(histogram) = self.0.as_ref().filter(|times| !times.is_empty()) else {
            return Summary::default();
        };
        let at = |quantile| millis(histogram.value_at_quantile(quantile));
        Summary {
            count: histogram.len(),
            mean: (histogram.mean() / 10.0).round() / 100.0,
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: millis(histogram.max()),
        }
    }

    /// As a percentile plot has them: ever closer towards 100.
    pub(crate) fn percentiles(&self) -> Vec<Percentile> {
        let Some(histogram) = &self.0 else {
            return Vec::new();
        };
        let steps = histogram.iter_quantiles(4);
        let percentile = |step: hdrhistogram::iterators::IterationValue<u64>| Percentile {
            percent: step.quantile_iterated_to() * 100.0,
            millis: millis(step.value_iterated_to()),
        };
        steps.map(percentile).collect()
    }
}

/// Hundredths of a millisecond are more than three digits of most times.
fn millis(micros: u64) -> f64 {
    let micros = u32::try_from(micros).unwrap_or(u32::MAX);
    (f64::from(micros) / 10.0).round() / 100.0
}

/// Requests of one kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) times: Times,
    /// Answers other than 2xx by status, 0 for none at all.
    pub(crate) failed: BTreeMap<u16, u64>,
}

impl Tally {
    pub(crate) fn failures(&self) -> u64 {
        self.failed.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_a_thousand_times() {
        let mut times = Times::default();
        for millis in 1..=1000 {
            times.record(Duration::from_millis(millis));
        }
        let summary = times.summary();
        assert_eq!(summary.count, 1000);
        for (told, true_value) in [
            (summary.p50, 500.0),
            (summary.p90, 900.0),
            (summary.p99, 990.0),
            (summary.p999, 999.0),
            (summary.max, 1000.0),
        ] {
            let error = (told - true_value).abs() / true_value;
            assert!(error < 0.002, "{told} for {true_value}");
        }
        let plotted = times.percentiles();
        assert!(plotted.is_sorted_by(|a, b| a.percent <= b.percent && a.millis <= b.millis));
    }

    #[test]
    fn nothing_has_no_times() {
        assert_eq!(Times::default().summary(), Summary::default());
    }
}
