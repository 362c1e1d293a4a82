//! Whether a provider may be asked at all: one circuit for each provider.
//!
//! ```text
//!           failures                period over, nothing in flight
//! Closed ─────────────▶ Open(period) ──────────────────────────▶ HalfOpen
//!    ▲                  ▲    ▲ period doubled     probe failed      │
//!    │ enough healthy   │    └──────────────────────────────────────┤
//!    │     answers      │ same or half    failures                  │ probe answered
//!    └──────────────────┴────────────────────────────── Ramp ◀──────┘
//! ```
//!
//! A pure state machine: time is an argument, and a send counts as in flight until its answer was recorded.

mod outages;
mod recent;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use crate::channel::{FailureClass, Receipt, Scope, SendError};

use outages::Outages;
use recent::Recent;

/// No period grows beyond this, unless the first is longer: a provider that is back is noticed within a minute.
const LONGEST_PERIOD: Duration = Duration::from_mins(1);

/// No first period is longer, whatever is set: instants have an end.
const LONGEST_FIRST_PERIOD: Duration = Duration::from_hours(24);

/// Sends in flight that the ramp begins with, after the one of the probe.
const RAMP_START: usize = 2;

/// What opens a circuit, for how long, and what it lets through.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BreakerSettings {
    /// Failures in a row that open it.
    pub(crate) failures: u32,
    /// How long it stays open at first.
    pub(crate) open: Duration,
    /// Sends in flight while it is closed.
    pub(crate) concurrency: usize,
}

/// The circuit of one provider.
#[derive(Debug)]
pub(crate) struct Breaker {
    settings: BreakerSettings,
    circuit: Circuit,
    /// What opened it last, with the provider's problem: free of personal data, as [`SendError::problem`] is.
    why: String,
    outages: Outages,
}

#[derive(Debug)]
enum Circuit {
    Closed(Recent),
    Open {
        until: Instant,
        period: Duration,
    },
    HalfOpen {
        period: Duration,
    },
    Ramp {
        allowed: usize,
        period: Duration,
        recent: Recent,
    },
}

/// How a provider answered a send, as its circuit counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer<'a> {
    /// It did its work: it took the message, or refused it for the recipient's sake.
    Healthy,
    /// It answered that this recipient is to wait, which a greylist says before anything else is tried.
    Answered,
    /// It did not, for this problem.
    Failed(&'a str),
    /// It refuses all our messages, for this problem.
    Misconfigured(&'a str),
    /// It tells nothing of its health: it asked our account to wait, or was never asked.
    Neutral,
}

impl<'a> Answer<'a> {
    /// How a send's outcome counts.
    pub(crate) fn of(outcome: &'a Result<Receipt, SendError>) -> Self {
        let Err(error) = outcome else {
            return Self::Healthy;
        };
        match error.class {
            // It answered, and others may pass.
            FailureClass::Permanent
            | FailureClass::Transient(Scope::Recipient)
            | FailureClass::Misconfigured(Scope::Recipient) => Self::Healthy,
            FailureClass::RateLimited {
                scope: Scope::Recipient,
                ..
            } => Self::Answered,
            FailureClass::Transient(Scope::Account) | FailureClass::Ambiguous => {
                Self::Failed(&error.problem)
            }
            FailureClass::Misconfigured(Scope::Account) => Self::Misconfigured(&error.problem),
            FailureClass::RateLimited {
                scope: Scope::Account,
                ..
            } => Self::Neutral,
        }
    }
}

/// How many sends may be begun now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Allowance {
    /// So many, at least one.
    Sends(usize),
    /// One, whose answer decides. [`Breaker::probing`] is told as soon as there is a message for it.
    Probe,
    /// None before another answer is recorded.
    Full,
    /// None before this instant.
    Wait(Instant),
}

/// What became of a circuit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It opened.
    Opened {
        /// For this long.
        period: Duration,
        /// What opened it, without personal data.
        why: String,
    },
    /// The probe is on its way.
    HalfOpened,
    /// The probe was healthy: a few sends at a time.
    Ramping,
    /// All is well again.
    Closed,
}

/// A circuit's state as `notifier_breaker_state` tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BreakerState {
    Closed,
    HalfOpen,
    Open,
}

impl BreakerState {
    /// The metric's value.
    pub(crate) const fn gauge(self) -> i64 {
        match self {
            Self::Closed => 0,
            Self::HalfOpen => 1,
            Self::Open => 2,
        }
    }
}

impl Breaker {
    pub(crate) fn new(settings: BreakerSettings) -> Self {
        let open = settings.open.min(LONGEST_FIRST_PERIOD);
        Self {
            settings: BreakerSettings { open, ..settings },
            circuit: Circuit::Closed(Recent::default()),
            why: String::new(),
            outages: Outages::default(),
        }
    }

    /// How many sends may be begun, with so many of this provider in flight.
    pub(crate) fn allowance(&self, now: Instant, in_flight: usize) -> Allowance {
        match self.circuit {
            Circuit::Closed(_) => up_to(self.settings.concurrency, in_flight),
            Circuit::Open { until, .. } if now < until => Allowance::Wait(until),
            // Nothing in flight: no answer but the probe's can come. In `HalfOpen` that says the probe was lost.
            Circuit::Open { .. } | Circuit::HalfOpen { .. } if in_flight == 0 => Allowance::Probe,
            Circuit::Open { .. } | Circuit::HalfOpen { .. } => Allowance::Full,
            Circuit::Ramp { allowed, .. } => up_to(allowed, in_flight),
        }
    }

    /// A message was found for the probe.
    pub(crate) fn probing(&mut self, now: Instant) -> Option<Change> {
        match self.circuit {
            Circuit::Open { until, period } if now >= until => {
                self.circuit = Circuit::HalfOpen { period };
                Some(Change::HalfOpened)
            }
            Circuit::Open { .. }
            | Circuit::Closed(_)
            | Circuit::HalfOpen { .. }
            | Circuit::Ramp { .. } => None,
        }
    }

    /// An answer came.
    ///
    /// While the circuit is open it is one of a send begun before, and changes nothing.
    pub(crate) fn record(&mut self, now: Instant, answer: Answer<'_>) -> Option<Change> {
        use Answer::{Answered, Failed, Healthy, Misconfigured, Neutral};
        let first = self.settings.open;
        match (&mut self.circuit, answer) {
            (Circuit::Closed(recent), Healthy) => {
                recent.healthy(now);
                None
            }
            (Circuit::Closed(recent), Failed(problem)) => {
                let cause = recent.failed(now, self.settings.failures)?;
                Some(self.open(now, first, format!("{cause}: {problem}")))
            }
            (Circuit::Closed(_), Misconfigured(problem)) => {
                Some(self.open(now, first, format!("our account was refused: {problem}")))
            }
            (&mut Circuit::HalfOpen { period }, Healthy | Answered) => {
                Some(self.begin_ramp(now, period))
            }
            (&mut Circuit::HalfOpen { period }, Failed(problem) | Misconfigured(problem)) => {
                let longest = LONGEST_PERIOD.max(first);
                let period = period.saturating_mul(2).min(longest);
                Some(self.open(now, period, format!("a failed probe: {problem}")))
            }
            (&mut Circuit::HalfOpen { period }, Neutral) => {
                Some(self.open(now, period, "a probe that told nothing".to_owned()))
            }
            (
                Circuit::Ramp {
                    allowed, recent, ..
                },
                Healthy,
            ) => {
                recent.healthy(now);
                *allowed = allowed.saturating_add(1);
                let is_full = *allowed >= self.settings.concurrency;
                is_full.then(|| self.close(now))
            }
            // The probe's answer was all that spoke for it.
            (
                &mut Circuit::Ramp {
                    allowed: RAMP_START,
                    period,
                    ..
                },
                Failed(problem),
            ) => Some(self.open(now, period, format!("a failure after the probe: {problem}"))),
            // As while it is closed: of a provider that fails one in ten, no ramp would ever reach its end without a failure.
            (Circuit::Ramp { recent, period, .. }, Failed(problem)) => {
                let cause = recent.failed(now, self.settings.failures)?;
                let period = (*period / 2).max(first);
                let why = format!("{cause} after the probe: {problem}");
                Some(self.open(now, period, why))
            }
            (&mut Circuit::Ramp { period, .. }, Misconfigured(problem)) => {
                let why = format!("our account was refused after the probe: {problem}");
                Some(self.open(now, period, why))
            }
            (Circuit::Closed(_) | Circuit::Ramp { .. }, Neutral | Answered)
            | (Circuit::Open { .. }, Healthy | Answered | Failed(_) | Misconfigured(_) | Neutral) => {
                None
            }
        }
    }

    fn open(&mut self, now: Instant, period: Duration, why: String) -> Change {
        let until = now + period;
        self.circuit = Circuit::Open { until, period };
        self.why.clone_from(&why);
        self.outages.begin(now);
        Change::Opened { period, why }
    }

    fn begin_ramp(&mut self, now: Instant, period: Duration) -> Change {
        if RAMP_START >= self.settings.concurrency {
            return self.close(now);
        }
        self.circuit = Circuit::Ramp {
            allowed: RAMP_START,
            period,
            recent: Recent::default(),
        };
        Change::Ramping
    }

    fn close(&mut self, now: Instant) -> Change {
        self.circuit = Circuit::Closed(Recent::default());
        self.outages.end(now);
        Change::Closed
    }

    /// Whether a failed send is an attempt of its message. Asked before [`Self::record`]: the failure that opens the circuit is one.
    ///
    /// A message never runs out of attempts because of an outage that is known. Where the provider has just answered another, a failure is the message's own: one that always fails must not open the circuit again for ever.
    pub(crate) const fn spends_attempts(&self) -> bool {
        matches!(self.circuit, Circuit::Closed(_) | Circuit::Ramp { .. })
    }

    /// For the metric.
    pub(crate) fn state(&self) -> BreakerState {
        match self.circuit {
            Circuit::Closed(_) => BreakerState::Closed,
            Circuit::HalfOpen { .. } | Circuit::Ramp { .. } => BreakerState::HalfOpen,
            Circuit::Open { .. } => BreakerState::Open,
        }
    }

    /// For an operator, unless all is well; without personal data.
    pub(crate) fn describe(&self, now: Instant) -> Option<String> {
        let state = match self.circuit {
            Circuit::Closed(_) => return None,
            Circuit::Open { until, .. } if now < until => {
                let seconds = (until - now).as_millis().div_ceil(1000);
                format!("open for {seconds} s more")
            }
            Circuit::Open { .. } => "open until a message probes it".to_owned(),
            Circuit::HalfOpen { .. } => "half-open, with a probe on its way".to_owned(),
            Circuit::Ramp { allowed, .. } => {
                let full = self.settings.concurrency;
                format!("half-open, with {allowed} of {full} sends at once")
            }
        };
        Some(format!("{state} after {}", self.why))
    }

    /// For how long it was not closed since then: what a message that is late may say in its excuse.
    pub(crate) fn outage_since(&self, now: Instant, since: Instant) -> Duration {
        self.outages.since(now, since)
    }
}

fn up_to(allowed: usize, in_flight: usize) -> Allowance {
    match allowed.saturating_sub(in_flight) {
        0 => Allowance::Full,
        more => Allowance::Sends(more),
    }
}
