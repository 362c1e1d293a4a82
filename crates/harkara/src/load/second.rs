//! The seconds of a run.

use std::time::Duration;

use crate::load::tally::{Summary, Times};

/// How many seconds of a run may still change: an answer is waited for 30 s, and a machine that sends more than it can begins later and later. What comes later still moves only the longest time of its second.
const CHANGING: usize = 120;

/// One second of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Second {
    /// Bookings that were due.
    pub(crate) due: u64,
    /// Bookings of this second that were answered 2xx, whenever.
    pub(crate) booked: SecondTimes,
    /// Bookings answered 2xx within this second.
    pub(crate) answered: u64,
    /// Requests due in this second that were not answered 2xx.
    pub(crate) failed: u64,
}

/// The times of one second: each while there may be more, then only what a report says of them.
#[derive(Clone, Debug)]
pub(crate) enum SecondTimes {
    Counting(Times),
    Counted(Summary),
}

impl Default for SecondTimes {
    fn default() -> Self {
        Self::Counting(Times::default())
    }
}

impl SecondTimes {
    pub(crate) fn record(&mut self, time: Duration) {
        match self {
            Self::Counting(times) => times.record(time),
            Self::Counted(summary) => summary.extend(time),
        }
    }

    /// A histogram is 170 KB, and a run may have many seconds.
    fn close(&mut self) {
        *self = Self::Counted(self.summary());
    }

    pub(crate) fn summary(&self) -> Summary {
        match self {
            Self::Counting(times) => times.summary(),
            Self::Counted(summary) => *summary,
        }
    }
}

/// A second by its number since the warm-up. One that was not there closes those that are old by it.
pub(crate) fn second_of(seconds: &mut Vec<Second>, number: usize) -> &mut Second {
    let known = seconds.len();
    if known <= number {
        seconds.resize_with(number + 1, Second::default);
        let changing = |of: usize| of.saturating_sub(CHANGING);
        let old = seconds.get_mut(changing(known)..changing(number + 1));
        for closed in old.into_iter().flatten() {
            closed.booked.close();
        }
    }
    // The lines above made room.
    #[expect(
        clippy::indexing_slicing,
        reason = "there are more than `number` of them"
    )]
    &mut seconds[number]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_that_is_closed_tells_what_it_told_and_a_longer_time_that_comes_late() {
        let mut second = SecondTimes::default();
        for millis in 1..=100 {
            second.record(Duration::from_millis(millis));
        }
        let whole = second.summary();
        second.close();
        assert_eq!(second.summary(), whole);
        second.record(Duration::from_millis(1));
        assert_eq!(second.summary(), whole);
        second.record(Duration::from_secs(40));
        let told = second.summary();
        assert!(told.max > 39_000.0, "{told:?}");
        assert!((told.p99 - whole.p99).abs() < f64::EPSILON, "{told:?}");
    }

    #[test]
    fn only_the_last_seconds_keep_every_time() {
        let mut seconds = Vec::new();
        second_of(&mut seconds, 0).due = 7;
        second_of(&mut seconds, CHANGING).due = 9;
        second_of(&mut seconds, 3 * CHANGING);
        let counting = |second: &&Second| matches!(second.booked, SecondTimes::Counting(_));
        assert_eq!(seconds.iter().filter(counting).count(), CHANGING);
        assert_eq!(seconds.iter().rev().take_while(counting).count(), CHANGING);
        assert_eq!((seconds[0].due, seconds[CHANGING].due), (7, 9));
    }
}
