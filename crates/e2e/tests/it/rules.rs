//! The rules of `deploy/prometheus/alerts.yml`, in a hurry.

use std::collections::BTreeSet;

/// An hour of the rules is half a minute here.
pub(crate) const HASTE: u64 = 120;

/// The rules, their spans of time and their limits in seconds divided.
pub(crate) fn hastened() -> String {
    let mut rules = include_str!("../../../../deploy/prometheus/alerts.yml").to_owned();
    // The programs measure their lag every five seconds, in a hurry or not.
    for lag in [
        "deriv(job:notifier_consumer_lag:sum[",
        "deriv(booking_status_lag[",
    ] {
        rules = replaced(&rules, &format!("{lag}10m]"), &format!("{lag}30s]"));
    }
    for (minutes, span) in [
        (1, "1m"),
        (2, "2m"),
        (3, "3m"),
        (5, "5m"),
        (10, "10m"),
        (15, "15m"),
        (30, "30m"),
        (60, "1h"),
        (360, "6h"),
        (72 * 60, "3d"),
    ] {
        let shorter = format!("{}ms", minutes * 60_000 / HASTE);
        for (before, after) in [("[", "]"), ("for: ", "\n"), ("offset ", ")")] {
            rules = rules.replace(
                &format!("{before}{span}{after}"),
                &format!("{before}{shorter}{after}"),
            );
        }
    }
    for (limit, shorter) in [
        ("_oldest_seconds) > 60\n", "_oldest_seconds) > 0.5\n"),
        ("_oldest_seconds) > 300\n", "_oldest_seconds) > 2.5\n"),
        ("_oldest_seconds) > 600\n", "_oldest_seconds) > 5\n"),
        ("_oldest_seconds) > 6 * 3600\n", "_oldest_seconds) > 180\n"),
    ] {
        rules = replaced(&rules, limit, shorter);
    }
    for unit in ["m]", "h]", "d]"] {
        assert!(!rules.contains(unit), "a span of time is as it was");
    }
    rules
}

fn replaced(rules: &str, text: &str, by: &str) -> String {
    assert!(rules.contains(text), "the rules have no {text}");
    rules.replace(text, by)
}

/// The names of all alerts.
pub(crate) fn alerts(rules: &str) -> BTreeSet<&str> {
    let named = rules.lines().map(str::trim);
    named
        .filter_map(|line| line.strip_prefix("- alert: "))
        .collect()
}
