//! How fast a provider may be asked: GCRA by `governor`, with the time as an argument.

pub(crate) mod recipients;

use std::cell::Cell;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use governor::clock::Clock;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

/// A bucket holds what a tenth of a second brings.
const BURSTS_PER_SECOND: u32 = 10;

/// Sends in flight together are rate-limited together: that is one reason to slow down, not many.
const SHORTEST_WINDOW: Duration = Duration::from_secs(1);

/// No pause is longer, whatever a provider asks for: instants have an end, and messages are not kept for longer either.
const LONGEST_PAUSE: Duration = Duration::from_hours(24);

/// So long without another 429, and the rate grows by half.
const GROWTH_INTERVAL: Duration = Duration::from_secs(30);

/// Governor's clock: it shows the time it was last told.
#[derive(Debug)]
struct Told(Cell<Instant>);

impl Told {
    fn new(now: Instant) -> Self {
        Self(Cell::new(now))
    }

    fn tell(&self, now: Instant) {
        self.0.set(now);
    }
}

impl Clock for Told {
    type Instant = Instant;

    fn now(&self) -> Instant {
        self.0.get()
    }
}

/// How many sends may be begun now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// So many. What is not used is [put back](Limiter::put_back).
    Tokens(usize),
    /// None before this instant.
    NotBefore(Instant),
}

/// The rate of one provider.
#[derive(Debug)]
pub(crate) struct Limiter {
    configured: NonZeroU32,
    bucket: Bucket,
    slowed: Option<Slowed>,
}

/// What the last 429 left behind.
#[derive(Clone, Copy, Debug)]
struct Slowed {
    rate: NonZeroU32,
    paused_until: Instant,
    /// A 429 before this does not halve the rate again.
    window_end: Instant,
}

impl Limiter {
    /// With a full bucket.
    pub(crate) fn new(per_second: NonZeroU32, now: Instant) -> Self {
        Self {
            configured: per_second,
            bucket: Bucket::full(per_second, now),
            slowed: None,
        }
    }

    /// Takes up to `wanted` tokens.
    pub(crate) fn take(&mut self, now: Instant, wanted: usize) -> Taken {
        if let Some(until) = self.paused_until(now) {
            return Taken::NotBefore(until);
        }
        self.follow_rate(now);
        self.bucket.take(now, wanted)
    }

    /// Keeps tokens that were not used for the next time, up to a burst.
    ///
    /// Meanwhile the bucket fills as if they had been used, so that two bursts may come together.
    pub(crate) fn put_back(&mut self, tokens: usize) {
        self.bucket.put_back(tokens);
    }

    /// The provider limited the whole account: nothing more for so long, and then half the rate.
    pub(crate) fn slow_down(&mut self, now: Instant, after: Duration) {
        let after = after.min(LONGEST_PAUSE);
        let (until, rate) = (now + after, self.rate(now));
        let same_window = self.slowed.filter(|slowed| now < slowed.window_end);
        self.slowed = Some(match same_window {
            Some(slowed) => Slowed {
                rate,
                paused_until: slowed.paused_until.max(until),
                window_end: slowed.window_end.max(until),
            },
            None => Slowed {
                rate: NonZeroU32::new(rate.get() / 2).unwrap_or(NonZeroU32::MIN),
                paused_until: until,
                window_end: now + after.max(SHORTEST_WINDOW),
            },
        });
        self.follow_rate(now);
    }

    /// Sends a second.
    pub(crate) fn rate(&self, now: Instant) -> NonZeroU32 {
        let Some(slowed) = self.slowed else {
            return self.configured;
        };
        let quiet = now.saturating_duration_since(slowed.paused_until);
        let mut intervals = quiet.as_secs() / GROWTH_INTERVAL.as_secs();
        let mut rate = slowed.rate;
        while intervals > 0 && rate < self.configured {
            let more = (rate.get() / 2).max(1);
            rate = rate.saturating_add(more).min(self.configured);
            intervals -= 1;
        }
        rate
    }

    /// The end of the pause that a 429 asked for, if it is not over.
    pub(crate) fn paused_until(&self, now: Instant) -> Option<Instant> {
        let until = self.slowed?.paused_until;
        (now < until).then_some(until)
    }

    fn follow_rate(&mut self, now: Instant) {
        let rate = self.rate(now);
        if rate != self.bucket.rate {
            self.bucket = Bucket::empty(rate, now);
        }
    }
}

/// Tokens at one rate.
#[derive(Debug)]
struct Bucket {
    rate: NonZeroU32,
    burst: NonZeroU32,
    tokens: RateLimiter<NotKeyed, InMemoryState, Told>,
    put_back: usize,
}

impl Bucket {
    fn full(rate: NonZeroU32, now: Instant) -> Self {
        let burst = NonZeroU32::new(rate.get() / BURSTS_PER_SECOND).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_second(rate).allow_burst(burst);
        Self {
            rate,
            burst,
            tokens: RateLimiter::direct_with_clock(quota, Told::new(now)),
            put_back: 0,
        }
    }

    /// A change of the rate is no occasion for a burst.
    fn empty(rate: NonZeroU32, now: Instant) -> Self {
        let mut bucket = Self::full(rate, now);
        let burst = bucket.burst();
        bucket.take(now, burst);
        bucket
    }

    fn burst(&self) -> usize {
        usize::try_from(self.burst.get()).unwrap_or(usize::MAX)
    }

    fn take(&mut self, now: Instant, wanted: usize) -> Taken {
        self.tokens.clock().tell(now);
        let mut taken = self.put_back.min(wanted);
        self.put_back -= taken;
        while taken < wanted {
            match self.tokens.check() {
                Ok(()) => taken += 1,
                Err(refusal) if taken == 0 => {
                    return Taken::NotBefore(refusal.earliest_possible());
                }
                Err(_) => break,
            }
        }
        Taken::Tokens(taken)
    }

    fn put_back(&mut self, tokens: usize) {
        self.put_back = self.put_back.saturating_add(tokens).min(self.burst());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// A limiter, and the instant it was made.
    fn limiter(per_second: u32) -> (Limiter, Instant) {
        let now = Instant::now();
        (Limiter::new(per_second.try_into().unwrap(), now), now)
    }

    fn taken(limiter: &mut Limiter, now: Instant) -> usize {
        match limiter.take(now, usize::MAX) {
            Taken::Tokens(tokens) => tokens,
            Taken::NotBefore(_) => 0,
        }
    }

    /// What a loop gets that wakes every millisecond of so many.
    fn taken_during(limiter: &mut Limiter, from: Instant, length: u64) -> usize {
        (0..length)
            .map(|passed| taken(limiter, from + millis(passed)))
            .sum()
    }

    #[test]
    fn the_burst_is_a_tenth_of_a_second_and_at_least_one() {
        for (per_second, burst) in [(1, 1), (9, 1), (10, 1), (25, 2), (80, 8), (1000, 100)] {
            let (mut limiter, now) = limiter(per_second);
            assert_eq!(limiter.take(now, 1_000_000), Taken::Tokens(burst));
        }
    }

    #[test]
    fn no_more_is_taken_than_wanted() {
        let (mut limiter, now) = limiter(100);
        assert_eq!(limiter.take(now, 0), Taken::Tokens(0));
        assert_eq!(limiter.take(now, 4), Taken::Tokens(4));
        assert_eq!(limiter.take(now, 10), Taken::Tokens(6));
    }

    #[test]
    fn the_next_token_is_there_at_the_instant_told() {
        let (mut limiter, now) = limiter(100);
        limiter.take(now, 10);
        let next = now + millis(10);
        assert_eq!(limiter.take(now, 1), Taken::NotBefore(next));
        let early = now + millis(9);
        assert_eq!(limiter.take(early, 1), Taken::NotBefore(next));
        assert_eq!(limiter.take(next, 5), Taken::Tokens(1));
    }

    #[test]
    fn a_second_brings_the_rate() {
        let (mut limiter, now) = limiter(80);
        assert_eq!(taken(&mut limiter, now), 8);
        assert_eq!(taken_during(&mut limiter, now + millis(1), 10_000), 800);
    }

    #[test]
    fn tokens_put_back_are_taken_first_and_once() {
        let (mut limiter, now) = limiter(100);
        assert_eq!(limiter.take(now, 10), Taken::Tokens(10));
        limiter.put_back(4);
        assert_eq!(limiter.take(now, 3), Taken::Tokens(3));
        assert_eq!(limiter.take(now, 3), Taken::Tokens(1));
        assert_eq!(limiter.take(now, 3), Taken::NotBefore(now + millis(10)));
    }

    #[test]
    fn no_more_than_a_burst_is_kept() {
        let (mut limiter, now) = limiter(100);
        limiter.take(now, 10);
        limiter.put_back(7);
        limiter.put_back(7);
        assert_eq!(limiter.take(now, 100), Taken::Tokens(10));
    }

    #[test]
    fn a_429_pauses_everything_that_long() {
        let (mut limiter, now) = limiter(100);
        limiter.take(now, 10);
        limiter.slow_down(now, seconds(7));
        limiter.put_back(10);
        let until = now + seconds(7);
        assert_eq!(limiter.paused_until(now), Some(until));
        assert_eq!(limiter.take(now, 1), Taken::NotBefore(until));
        let early = now + millis(6999);
        assert_eq!(limiter.take(early, 1), Taken::NotBefore(until));
        assert_eq!(limiter.paused_until(until), None);
        assert_eq!(limiter.take(until, 1), Taken::Tokens(1));
    }

    #[test]
    fn after_the_pause_half_the_rate_is_left() {
        let (mut limiter, now) = limiter(80);
        limiter.slow_down(now, seconds(7));
        assert_eq!(limiter.rate(now).get(), 40);
        let after = now + seconds(7);
        assert_eq!(taken(&mut limiter, after), 4);
        assert_eq!(taken_during(&mut limiter, after + millis(1), 10_000), 400);
    }

    #[test]
    fn slowing_down_without_a_pause_empties_the_bucket() {
        let (mut limiter, now) = limiter(80);
        limiter.slow_down(now, Duration::ZERO);
        let next = now + millis(25);
        assert_eq!(limiter.take(now, 1), Taken::NotBefore(next));
    }

    #[test]
    fn many_429s_of_one_moment_halve_the_rate_once() {
        let (mut limiter, now) = limiter(80);
        for passed in 0..10 {
            limiter.slow_down(now + millis(passed * 99), Duration::ZERO);
        }
        assert_eq!(limiter.rate(now).get(), 40);
        limiter.slow_down(now + seconds(1), Duration::ZERO);
        assert_eq!(limiter.rate(now).get(), 20);
    }

    #[test]
    fn a_429_within_the_pause_prolongs_it_and_does_not_halve() {
        let (mut limiter, now) = limiter(80);
        limiter.slow_down(now, seconds(7));
        limiter.slow_down(now + seconds(6), seconds(7));
        let until = now + seconds(13);
        assert_eq!(limiter.paused_until(now), Some(until));
        limiter.slow_down(now + seconds(12), Duration::ZERO);
        assert_eq!(limiter.paused_until(now), Some(until));
        assert_eq!(limiter.rate(now).get(), 40);
        limiter.slow_down(until, Duration::ZERO);
        assert_eq!(limiter.rate(until).get(), 20);
    }

    #[test]
    fn the_rate_stays_at_one_a_second_at_least() {
        let (mut limiter, now) = limiter(5);
        for second in 0..10 {
            limiter.slow_down(now + seconds(second), Duration::ZERO);
        }
        assert_eq!(limiter.rate(now).get(), 1);
    }

    #[test]
    fn the_rate_grows_by_half_each_quiet_half_minute() {
        let (mut limiter, now) = limiter(10);
        for second in 0..3 {
            limiter.slow_down(now + seconds(second), seconds(1));
        }
        let pause_end = now + seconds(3);
        let rates = [0, 29, 30, 60, 90, 120, 150, 180, 210, 86_400]
            .map(|passed| limiter.rate(pause_end + seconds(passed)).get());
        assert_eq!(rates, [1, 1, 2, 3, 4, 6, 9, 10, 10, 10]);
    }

    #[test]
    fn another_429_begins_the_half_minute_again() {
        let (mut limiter, now) = limiter(80);
        limiter.slow_down(now, Duration::ZERO);
        let second = now + seconds(45);
        assert_eq!(limiter.rate(second).get(), 60);
        limiter.slow_down(second, Duration::ZERO);
        assert_eq!(limiter.rate(second + seconds(29)).get(), 30);
        assert_eq!(limiter.rate(second + seconds(30)).get(), 45);
    }

    #[test]
    fn a_grown_rate_is_taken_without_a_burst() {
        let (mut limiter, now) = limiter(80);
        limiter.slow_down(now, Duration::ZERO);
        let grown = now + seconds(30);
        assert_eq!(taken(&mut limiter, grown), 0);
        assert_eq!(taken_during(&mut limiter, grown + millis(1), 10_000), 600);
    }

    #[test]
    fn a_pause_without_end_is_a_day() {
        let (mut limiter, now) = limiter(80);
        limiter.slow_down(now, Duration::MAX);
        assert_eq!(limiter.paused_until(now), Some(now + seconds(86_400)));
    }
}
