//! How often one recipient may be written to.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use super::Told;

/// Of more pauses than this the soonest over is forgotten.
const MOST_PAUSES: usize = 100_000;

/// How often quotas that are whole again are forgotten. What is left is bounded by the provider's rate.
const CLEANING_INTERVAL: Duration = Duration::from_mins(1);

type Quotas = RateLimiter<u64, HashMapStateStore<u64>, Told>;

/// Pauses and quotas of single recipients, kept by a keyed hash: no address stays here.
#[derive(Debug)]
pub(crate) struct Recipients {
    hasher: RandomState,
    pauses: HashMap<u64, Instant>,
    /// The same, the soonest over first.
    endings: BTreeSet<(Instant, u64)>,
    quotas: Option<Quotas>,
    next_cleaning: Instant,
}

impl Recipients {
    /// `quota` is what the provider is known to allow one recipient, if it is.
    pub(crate) fn new(quota: Option<Quota>, now: Instant) -> Self {
        Self {
            hasher: RandomState::new(),
            pauses: HashMap::new(),
            endings: BTreeSet::new(),
            quotas: quota.map(|quota| Quotas::hashmap_with_clock(quota, Told::new(now))),
            next_cleaning: now + CLEANING_INTERVAL,
        }
    }

    /// The provider asked us not to write to this one before `until`. A longer pause stands.
    pub(crate) fn pause(&mut self, recipient: &str, until: Instant) {
        let key = self.hasher.hash_one(recipient);
        if let Some(&standing) = self.pauses.get(&key) {
            if standing >= until {
                return;
            }
            self.endings.remove(&(standing, key));
        }
        self.pauses.insert(key, until);
        self.endings.insert((until, key));
        if self.endings.len() > MOST_PAUSES {
            self.forget_soonest();
        }
    }

    /// Until when, if it is.
    pub(crate) fn is_paused(&mut self, recipient: &str, now: Instant) -> Option<Instant> {
        while self.endings.first().is_some_and(|(until, _)| *until <= now) {
            self.forget_soonest();
        }
        let key = self.hasher.hash_one(recipient);
        self.pauses.get(&key).copied()
    }

    /// Draws one message of the recipient's quota.
    ///
    /// # Errors
    /// The instant before which nothing may be sent, as it is paused or its quota is used up; nothing is drawn.
    pub(crate) fn admit(&mut self, recipient: &str, now: Instant) -> Result<(), Instant> {
        if let Some(until) = self.is_paused(recipient, now) {
            return Err(until);
        }
        let Some(quotas) = &self.quotas else {
            return Ok(());
        };
        quotas.clock().tell(now);
        if now >= self.next_cleaning {
            quotas.retain_recent();
            quotas.shrink_to_fit();
            self.next_cleaning = now + CLEANING_INTERVAL;
        }
        let key = self.hasher.hash_one(recipient);
        let drawn = quotas.check_key(&key);
        drawn.map_err(|refusal| refusal.earliest_possible())
    }

    fn forget_soonest(&mut self) {
        if let Some((_, key)) = self.endings.pop_first() {
            self.pauses.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASHA: &str = "+919800000001";
    const RAVI: &str = "+919800000002";

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// One message in six seconds to one user, 45 at once: the pair rate of the WhatsApp Business Platform.
    fn pair_rate() -> Recipients {
        let quota = Quota::with_period(seconds(6)).unwrap();
        let burst = 45.try_into().unwrap();
        Recipients::new(Some(quota.allow_burst(burst)), Instant::now())
    }

    fn kept(recipients: &Recipients) -> usize {
        recipients.quotas.as_ref().unwrap().len()
    }

    #[test]
    fn a_pause_concerns_one_recipient() {
        let now = Instant::now();
        let mut recipients = Recipients::new(None, now);
        let until = now + seconds(4);
        recipients.pause(ASHA, until);
        assert_eq!(recipients.is_paused(ASHA, now), Some(until));
        assert_eq!(recipients.admit(ASHA, now), Err(until));
        assert_eq!(recipients.is_paused(RAVI, now), None);
        assert_eq!(recipients.admit(RAVI, now), Ok(()));
    }

    #[test]
    fn a_pause_that_is_over_is_forgotten() {
        let now = Instant::now();
        let mut recipients = Recipients::new(None, now);
        recipients.pause(ASHA, now + seconds(4));
        recipients.pause(RAVI, now + seconds(8));
        assert_eq!(recipients.is_paused(ASHA, now + seconds(4)), None);
        assert_eq!(recipients.admit(ASHA, now + seconds(4)), Ok(()));
        assert_eq!(recipients.pauses.len(), 1);
        assert_eq!(recipients.endings.len(), 1);
    }

    #[test]
    fn the_longest_pause_stands() {
        let now = Instant::now();
        let mut recipients = Recipients::new(None, now);
        for pause in [4, 16, 1] {
            recipients.pause(ASHA, now + seconds(pause));
        }
        let until = now + seconds(16);
        assert_eq!(recipients.is_paused(ASHA, now + seconds(5)), Some(until));
        assert_eq!(recipients.endings.len(), 1);
    }

    #[test]
    fn of_too_many_pauses_the_soonest_over_goes_first() {
        let now = Instant::now();
        let mut recipients = Recipients::new(None, now);
        recipients.pause(RAVI, now + seconds(2));
        recipients.pause(ASHA, now + seconds(1));
        for number in 2..MOST_PAUSES {
            recipients.pause(&number.to_string(), now + seconds(3));
        }
        assert!(recipients.is_paused(ASHA, now).is_some());
        recipients.pause("one more", now + seconds(3));
        assert_eq!(recipients.is_paused(ASHA, now), None);
        assert!(recipients.is_paused(RAVI, now).is_some());
        assert_eq!(recipients.pauses.len(), MOST_PAUSES);
        assert_eq!(recipients.endings.len(), MOST_PAUSES);
    }

    #[test]
    fn no_recipient_is_kept_in_words() {
        let mut recipients = pair_rate();
        let now = Instant::now();
        recipients.admit(ASHA, now).unwrap();
        recipients.pause(ASHA, now + seconds(4));
        assert!(!format!("{recipients:?}").contains(ASHA.trim_start_matches('+')));
    }

    #[test]
    fn the_pair_rate_allows_a_burst_and_then_one_in_six_seconds() {
        let mut recipients = pair_rate();
        let now = Instant::now();
        for _ in 0..45 {
            assert_eq!(recipients.admit(ASHA, now), Ok(()));
        }
        let next = now + seconds(6);
        assert_eq!(recipients.admit(ASHA, now), Err(next));
        assert_eq!(recipients.admit(RAVI, now), Ok(()));
        assert_eq!(recipients.admit(ASHA, next), Ok(()));
        assert_eq!(recipients.admit(ASHA, next), Err(next + seconds(6)));
    }

    #[test]
    fn a_paused_recipient_draws_nothing() {
        let mut recipients = pair_rate();
        let now = Instant::now();
        recipients.pause(ASHA, now + seconds(1));
        assert!(recipients.admit(ASHA, now).is_err());
        assert_eq!(kept(&recipients), 0);
    }

    #[test]
    fn whole_quotas_are_forgotten_and_others_kept() {
        let mut recipients = pair_rate();
        let start = Instant::now();
        for _ in 0..45 {
            recipients.admit(ASHA, start).unwrap();
        }
        for number in 0..1000 {
            recipients.admit(&number.to_string(), start).unwrap();
        }
        let later = start + seconds(61);
        recipients.admit(RAVI, later).unwrap();
        assert_eq!(kept(&recipients), 2);
        let earned = (0..45).filter(|_| recipients.admit(ASHA, later).is_ok());
        assert_eq!(earned.count(), 10);
    }
}
