//! The way to each provider: its circuit, its rate, and what its recipients may be sent.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use governor::Quota;
use tracing::{error, info};

use crate::breaker::{Allowance, Answer, Breaker, BreakerSettings, BreakerState, Change};
use crate::channel::{Channel, FailureClass, Receipt, RecipientQuota, Scope, SendError};
use crate::limiter::recipients::Recipients;
use crate::limiter::{Limiter, Taken};
use crate::metrics::{NotifierMetrics, Provider};
use crate::settings::DeliverySettings;
use crate::worker::LONGEST_WAIT;

/// The providers of a channel, the preferred one first. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Gates(Arc<[Arc<Gate>]>);

/// One provider.
#[derive(Debug)]
pub(crate) struct Gate {
    provider: &'static str,
    state: Mutex<State>,
    in_flight: AtomicUsize,
    metrics: NotifierMetrics,
}

#[derive(Debug)]
struct State {
    breaker: Breaker,
    limiter: Limiter,
    recipients: Recipients,
}

/// Whether a failure was an attempt of its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spent {
    /// It was.
    Attempt,
    /// It was not: the provider was known to be away.
    Nothing,
}

/// A message that may not be sent yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) after: Duration,
    pub(crate) reason: String,
}

/// A send on its way; it counts until this is dropped.
pub(crate) struct Turn(Arc<Gate>);

impl Turn {
    pub(crate) fn gate(&self) -> &Gate {
        &self.0
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Gates {
    /// The provider that is asked first, if every circuit is open.
    pub(crate) fn away(&self) -> Option<&'static str> {
        let first = self
            .0
            .first()
            .filter(|_| self.iter().all(|gate| gate.is_open()));
        first.map(|gate| gate.provider())
    }

    pub(crate) fn new<C: Channel>(
        channel: &C,
        settings: &DeliverySettings,
        metrics: &NotifierMetrics,
    ) -> Self {
        let (now, quota) = (Instant::now(), quota(channel.recipient_quota()));
        let gate = |provider: &&'static str| {
            Arc::new(Gate {
                provider,
                state: Mutex::new(State {
                    breaker: Breaker::new(BreakerSettings {
                        failures: settings.breaker_failures,
                        open: settings.breaker_open,
                        concurrency: usize::from(settings.concurrency),
                    }),
                    limiter: Limiter::new(settings.rate_limit, now),
                    recipients: Recipients::new(quota, now),
                }),
                in_flight: AtomicUsize::new(0),
                metrics: metrics.clone(),
            })
        };
        Self(channel.providers().iter().map(gate).collect())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Gate>> {
        self.0.iter()
    }
}

impl Gate {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn provider(&self) -> &'static str {
        self.provider
    }

    /// Whether its circuit lets everything through.
    pub(crate) fn is_closed(&self) -> bool {
        self.lock().breaker.state() == BreakerState::Closed
    }

    /// Whether its circuit lets nothing through.
    pub(crate) fn is_open(&self) -> bool {
        self.lock().breaker.state() == BreakerState::Open
    }

    /// How many of `wanted` sends may be begun; [`Self::not_begun`] is told of those that were not, [`Self::probing`] of the probe.
    pub(crate) fn allowance(&self, now: Instant, wanted: usize) -> Allowance {
        let in_flight = self.in_flight.load(Ordering::Acquire);
        let mut state = self.lock();
        match state.breaker.allowance(now, in_flight) {
            Allowance::Sends(allowed) => match state.limiter.take(now, allowed.min(wanted)) {
                Taken::Tokens(count) => Allowance::Sends(count),
                Taken::NotBefore(until) => Allowance::Wait(until),
            },
            Allowance::Probe => match state.limiter.paused_until(now) {
                Some(until) => Allowance::Wait(until),
                None => Allowance::Probe,
            },
            closed @ (Allowance::Full | Allowance::Wait(_)) => closed,
        }
    }

    /// For so many of the sends that were allowed there was no message.
    pub(crate) fn not_begun(&self, count: usize) {
        self.lock().limiter.put_back(count);
    }

    /// A message was found for the probe.
    pub(crate) fn probing(&self, now: Instant) {
        let change = self.lock().breaker.probing(now);
        self.tell(change);
    }

    pub(crate) fn enter(self: &Arc<Self>) -> Turn {
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        Turn(Arc::clone(self))
    }

    /// Whether this recipient may be sent to; what was claimed before a limit was met is held here.
    pub(crate) fn admit(&self, recipient: &str, now: Instant) -> Result<(), Held> {
        let mut state = self.lock();
        let held = |until: Instant, limit: &str| Held {
            after: until.saturating_duration_since(now),
            reason: format!("{limit} of {} is reached", self.provider),
        };
        if let Some(until) = state.limiter.paused_until(now) {
            return Err(held(until, "the rate limit"));
        }
        match state.recipients.admit(recipient, now) {
            Ok(()) => Ok(()),
            Err(until) => Err(held(until, "the limit for this recipient")),
        }
    }

    /// The provider took a message, or did not: then whether that was an attempt.
    pub(crate) fn answered(
        &self,
        now: Instant,
        recipient: &str,
        outcome: &Result<Receipt, SendError>,
    ) -> Spent {
        let mut state = self.lock();
        let spent = if state.breaker.spends_attempts() {
            Spent::Attempt
        } else {
            Spent::Nothing
        };
        let class = outcome.as_ref().err().map(|failure| failure.class);
        if let Some(FailureClass::RateLimited { after, scope }) = class {
            match scope {
                Scope::Account => state.limiter.slow_down(now, after),
                Scope::Recipient => {
                    let until = now + after.min(LONGEST_WAIT);
                    state.recipients.pause(recipient, until);
                }
            }
        }
        let change = state.breaker.record(now, Answer::of(outcome));
        drop(state);
        self.tell(change);
        spent
    }

    /// For how long of the time just passed its circuit was not closed.
    pub(crate) fn outage_within(&self, passed: Duration) -> Duration {
        let now = Instant::now();
        let since = now.checked_sub(passed).unwrap_or(now);
        self.lock().breaker.outage_since(now, since)
    }

    /// Brings the metrics up to date, and says what an operator should know.
    pub(crate) fn look(&self, now: Instant) -> Result<(), String> {
        let state = self.lock();
        let label = Provider {
            provider: self.provider,
        };
        let (circuit, rate) = (state.breaker.state().gauge(), state.limiter.rate(now));
        let told = state.breaker.describe(now);
        drop(state);
        self.metrics
            .breaker_state
            .get_or_create(&label)
            .set(circuit);
        self.metrics
            .rate
            .get_or_create(&label)
            .set(rate.get().into());
        told.map_or(Ok(()), |told| Err(format!("circuit {told}")))
    }

    fn tell(&self, change: Option<Change>) {
        let provider = self.provider;
        let Some(change) = change else { return };
        let label = Provider { provider };
        let state = self.lock().breaker.state().gauge();
        self.metrics.breaker_state.get_or_create(&label).set(state);
        let circuit = match change {
            Change::Opened { period, why } => {
                let seconds = period.as_secs();
                error!(
                    provider,
                    seconds,
                    reason = why,
                    "circuit open: nothing is sent"
                );
                return;
            }
            Change::HalfOpened => "half-open: one message probes it",
            Change::Ramping => "half-open: a few messages at a time",
            Change::Closed => "closed",
        };
        info!(provider, circuit, "circuit changed");
    }
}

fn quota(limit: Option<RecipientQuota>) -> Option<Quota> {
    let limit = limit?;
    Some(Quota::with_period(limit.every)?.allow_burst(limit.burst))
}
