//! This machine's clock against those of others.

use chassis::{Clock as _, SystemClock};
use chrono::{DateTime, TimeDelta, Utc};

use crate::doctor::finding::Report;

/// What a header in whole seconds and a slow answer can make of clocks that agree.
const TOLERANCE: TimeDelta = TimeDelta::seconds(5);

/// Holds the clock against what another machine told just now.
pub(super) fn compare(whose: &str, told: DateTime<Utc>, report: &mut Report) {
    let ahead = SystemClock.now() - told;
    let entry = report.of("clock", whose);
    match drift(ahead) {
        None => entry.ok("agrees"),
        Some(drift) => entry.wrong(
            drift,
            "set the clocks by NTP: events are ordered and aged by them",
        ),
    }
}

fn drift(ahead: TimeDelta) -> Option<String> {
    let seconds = ahead.num_seconds().abs();
    let way = if ahead < TimeDelta::zero() {
        "behind"
    } else {
        "ahead"
    };
    let drifted = ahead.abs() > TOLERANCE;
    drifted.then(|| format!("this machine's clock is {seconds} s {way}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_drifted_is_told_by_its_seconds() {
        assert_eq!(drift(TimeDelta::milliseconds(-4_900)), None);
        assert_eq!(
            drift(TimeDelta::seconds(-90)).unwrap(),
            "this machine's clock is 90 s behind"
        );
        let ahead = drift(TimeDelta::seconds(6)).unwrap();
        assert_eq!(ahead, "this machine's clock is 6 s ahead");
    }
}
