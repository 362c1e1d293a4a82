//! The time, as an argument.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, Utc};

/// Tells the time. Tests hand in one they can turn.
pub trait Clock: Debug + Send + Sync + 'static {
    /// Now.
    fn now(&self) -> DateTime<Utc>;
}

/// A clock that many parts of a process share.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the clock"
    )]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

/// The machine's clock as it was when this was made, and from then on steady: whoever sets the clock of the machine does not set this one.
#[derive(Clone, Copy, Debug)]
pub struct SteadyClock {
    began: DateTime<Utc>,
    since: Instant,
}

impl SteadyClock {
    /// Begins with the time of `clock`.
    pub fn new(clock: &dyn Clock) -> Self {
        Self {
            began: clock.now(),
            since: Instant::now(),
        }
    }
}

impl Clock for SteadyClock {
    fn now(&self) -> DateTime<Utc> {
        self.began + self.since.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_clock_begins_with_the_machine_s_and_goes_on() {
        let steady = SteadyClock::new(&SystemClock);
        let first = steady.now();
        assert!(steady.now() >= first);
        assert!((SystemClock.now() - first).num_seconds().abs() < 60);
    }
}
