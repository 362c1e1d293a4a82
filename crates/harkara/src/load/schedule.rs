//! When passengers arrive.

use std::time::Duration;

/// Arrivals a second over the time of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Schedule {
    /// Always the same.
    Steady {
        /// Arrivals a second.
        rate: u32,
    },
    /// Rising evenly.
    Ramp {
        /// At the start.
        from: u32,
        /// At the end.
        to: u32,
        /// How long that takes.
        over: Duration,
    },
    /// Rising at once, again and again.
    Steps {
        /// At the start.
        from: u32,
        /// More after each step.
        by: u32,
        /// How long a step is.
        every: Duration,
    },
}

impl Schedule {
    /// Arrivals a second at this time of the run.
    pub(crate) fn rate_at(&self, at: Duration) -> f64 {
        match *self {
            Self::Steady { rate } => f64::from(rate),
            Self::Ramp { from, to, over } => {
                let passed = (at.as_secs_f64() / over.as_secs_f64()).min(1.0);
                f64::from(from) + (f64::from(to) - f64::from(from)) * passed
            }
            Self::Steps { from, by, .. } => f64::from(from) + f64::from(by) * self.step_at(at),
        }
    }

    /// The number of the step at this time, from 0.
    fn step_at(&self, at: Duration) -> f64 {
        match *self {
            Self::Steady { .. } | Self::Ramp { .. } => 0.0,
            Self::Steps { every, .. } => (at.as_secs_f64() / every.as_secs_f64()).floor(),
        }
    }

    /// From one arrival to the next.
    pub(crate) fn gap(&self, at: Duration) -> Duration {
        Duration::from_secs_f64(1.0 / self.rate_at(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(schedule: Schedule, until: Duration) -> usize {
        let next = |at: &Duration| Some(*at + schedule.gap(*at));
        let all = std::iter::successors(Some(Duration::ZERO), next);
        all.take_while(|at| *at < until).count()
    }

    const fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn a_steady_rate_has_as_many_arrivals_each_second() {
        let steady = Schedule::Steady { rate: 530 };
        assert!(arrivals(steady, seconds(10)).abs_diff(5300) <= 1);
    }

    #[test]
    fn a_ramp_has_the_arrivals_of_its_middle() {
        let ramp = Schedule::Ramp {
            from: 100,
            to: 300,
            over: seconds(10),
        };
        assert!(arrivals(ramp, seconds(10)).abs_diff(2000) <= 4);
        assert!((ramp.rate_at(seconds(99)) - 300.0).abs() < f64::EPSILON);
    }

    #[test]
    fn a_step_holds_its_rate_until_the_next() {
        let steps = Schedule::Steps {
            from: 10,
            by: 5,
            every: seconds(2),
        };
        for (at, rate) in [(0, 10.0), (1, 10.0), (2, 15.0), (3, 15.0), (4, 20.0)] {
            let at = steps.rate_at(seconds(at));
            assert!((at - rate).abs() < f64::EPSILON, "{at} is not {rate}");
        }
    }
}
