//! When a circuit was not closed.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// More outages than this are not remembered; the oldest goes first.
const REMEMBERED: usize = 128;

#[derive(Debug, Default)]
pub(super) struct Outages {
    begun: Option<Instant>,
    ended: VecDeque<(Instant, Instant)>,
}

impl Outages {
    /// Reopening goes on with the outage that runs.
    pub(super) fn begin(&mut self, now: Instant) {
        self.begun.get_or_insert(now);
    }

    pub(super) fn end(&mut self, now: Instant) {
        if let Some(begun) = self.begun.take() {
            self.ended.push_back((begun, now));
        }
        if self.ended.len() > REMEMBERED {
            self.ended.pop_front();
        }
    }

    pub(super) fn since(&self, now: Instant, since: Instant) -> Duration {
        let running = self.begun.map(|begun| (begun, now));
        let outages = self.ended.iter().copied().chain(running);
        outages
            .map(|(begun, ended)| ended.saturating_duration_since(begun.max(since)))
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_latest_outages_are_remembered() {
        let start = Instant::now();
        let mut outages = Outages::default();
        for second in 0..200 {
            let begun = start + Duration::from_secs(2 * second);
            outages.begin(begun);
            outages.end(begun + Duration::from_secs(1));
        }
        let now = start + Duration::from_hours(1);
        assert_eq!(outages.since(now, start), Duration::from_secs(128));
    }
}
