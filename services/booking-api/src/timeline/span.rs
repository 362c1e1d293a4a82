//! How long something took, for people.

use std::fmt;

use chrono::TimeDelta;

/// A length of time in its two largest units: `350 ms`, `12 s`, `4 min 10 s`, `3 h 5 min`, `2 d 4 h`.
pub(super) struct Span(TimeDelta);

impl Span {
    /// None for less than nothing: two clocks disagree.
    pub(super) fn of(length: TimeDelta) -> Option<Self> {
        (length >= TimeDelta::zero()).then_some(Self(length))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.num_seconds();
        if seconds < 1 {
            return write!(f, "{} ms", self.0.num_milliseconds());
        }
        let units = [(86_400, "d"), (3600, "h"), (60, "min"), (1, "s")];
        let mut rest = seconds;
        let mut parts = Vec::new();
        for (length, unit) in units {
            parts.push((rest / length, unit));
            rest %= length;
        }
        let largest = parts.into_iter().skip_while(|(count, _)| *count == 0);
        let shown = largest.take(2).filter(|(count, _)| *count > 0);
        let shown: Vec<_> = shown
            .map(|(count, unit)| format!("{count} {unit}"))
            .collect();
        f.write_str(&shown.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_told_in_its_two_largest_units() {
        for (millis, text) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (1000, "1 s"),
            (59_999, "59 s"),
            (60_000, "1 min"),
            (250_000, "4 min 10 s"),
            (3_600_000, "1 h"),
            (3_605_000, "1 h"),
            (11_100_000, "3 h 5 min"),
            (187_200_000, "2 d 4 h"),
        ] {
            let span = Span::of(TimeDelta::milliseconds(millis)).unwrap();
            assert_eq!(span.to_string(), text, "{millis} ms");
        }
        assert!(Span::of(TimeDelta::milliseconds(-1)).is_none());
    }
}
