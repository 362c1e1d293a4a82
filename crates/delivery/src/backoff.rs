//! How long to wait between attempts.

use std::time::Duration;

use chassis::chance;

/// Exponential backoff with full jitter: a wait is anything from zero to the limit, so that failed sends do not come back together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    pub(crate) base: Duration,
    pub(crate) cap: Duration,
}

impl Backoff {
    /// The longest wait after this attempt (from 1).
    pub(crate) fn limit(self, attempt: u32) -> Duration {
        let doubled = 2_u32.checked_pow(attempt.saturating_sub(1));
        let limit = doubled.and_then(|factor| self.base.checked_mul(factor));
        limit.unwrap_or(self.cap).min(self.cap)
    }

    /// The wait after this attempt.
    pub(crate) fn wait(self, attempt: u32) -> Duration {
        chance::up_to(self.limit(attempt))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff {
        base: Duration::from_millis(500),
        cap: Duration::from_mins(10),
    };

    #[test]
    fn limits_double_up_to_the_cap() {
        let limits =
            [1, 2, 3, 11, 12, 40, u32::MAX].map(|attempt| BACKOFF.limit(attempt).as_millis());
        assert_eq!(
            limits,
            [500, 1000, 2000, 512_000, 600_000, 600_000, 600_000]
        );
    }

    #[test]
    fn waits_stay_below_their_limit() {
        assert!((0..1000).all(|_| BACKOFF.wait(3) <= BACKOFF.limit(3)));
    }
}
