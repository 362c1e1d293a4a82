//! A sudden flood into a dead-letter topic: it is rarely the records' fault, so reading stops before all of a partition is given up.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

/// Dead letters of one partition within [`WINDOW`] that make a storm: ten times what 1 % bad records make at the busiest minute of the busiest day (530 events a second over 3 partitions: 18 in 10 s).
const STORM: usize = 180;

/// What counts as sudden.
const WINDOW: Duration = Duration::from_secs(10);

/// How long a partition is left alone.
const PAUSE: Duration = Duration::from_mins(1);

type Partition = (String, i32);

/// Watches the dead letters of each partition.
#[derive(Debug, Default)]
pub(crate) struct StormGuard {
    recent: BTreeMap<Partition, VecDeque<Instant>>,
    paused: BTreeMap<Partition, Instant>,
}

impl StormGuard {
    /// A record of this partition was given up. Says so if with it a storm began.
    pub(crate) fn note(&mut self, topic: &str, partition: i32, now: Instant) -> Option<Duration> {
        let partition = (topic.to_owned(), partition);
        if self
            .paused
            .get(&partition)
            .is_some_and(|until| *until > now)
        {
            return None;
        }
        let recent = self.recent.entry(partition.clone()).or_default();
        recent.push_back(now);
        while recent.front().is_some_and(|first| now - *first > WINDOW) {
            recent.pop_front();
        }
        if recent.len() < STORM {
            return None;
        }
        recent.clear();
        self.paused.insert(partition, now + PAUSE);
        Some(PAUSE)
    }

    /// The partitions that are not to be read now.
    pub(crate) fn paused(&mut self, now: Instant) -> BTreeSet<Partition> {
        self.paused.retain(|_, until| *until > now);
        self.paused.keys().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letters(guard: &mut StormGuard, count: usize, now: Instant) -> usize {
        let storms = (0..count).filter_map(|_| guard.note("t", 0, now));
        storms.count()
    }

    #[test]
    fn a_flood_pauses_its_partition_alone_and_for_a_while() {
        let (mut guard, now) = (StormGuard::default(), Instant::now());
        assert_eq!(letters(&mut guard, STORM - 1, now), 0);
        assert!(guard.paused(now).is_empty());
        assert_eq!(letters(&mut guard, STORM, now), 1);
        assert_eq!(guard.paused(now), BTreeSet::from([("t".to_owned(), 0)]));
        let later = now + PAUSE;
        assert!(guard.paused(later).is_empty());
        assert_eq!(letters(&mut guard, STORM, later), 1);
    }

    #[test]
    fn many_dead_letters_over_a_long_time_are_no_storm() {
        let (mut guard, start) = (StormGuard::default(), Instant::now());
        let spaced = (0..2000).filter_map(|n| {
            let now = start + Duration::from_millis(60) * n;
            guard.note("t", 0, now)
        });
        assert_eq!(spaced.count(), 0);
    }
}
