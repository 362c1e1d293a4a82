//! What an attempt that failed means for its message.

use std::time::Duration;

use chassis::loggable_id;
use events::DeadLetterClass;
use inbox::{Certainty, Claimed, Outcome};
use tracing::{error, warn};

use super::{Job, LONGEST_WAIT, Worker};
use crate::channel::{Channel, FailureClass, Scope, SendError};
use crate::gates::Spent;
use crate::verdicts;

/// So many provider timeouts after an answer was lost, the provider's own list has the message or never will.
const KNOWN_AFTER: u32 = 3;

impl<C: Channel> Worker<C> {
    /// Obeys the class.
    pub(super) async fn judge(
        &self,
        job: &Job<'_, C::Message>,
        (spent, certainty): (Spent, Certainty),
        error: SendError,
    ) -> Outcome {
        self.log(job, &error);
        match error.class {
            FailureClass::Transient(Scope::Account) => {
                self.try_again(job, spent, certainty, error).await
            }
            // Whatever the circuit is like: the provider did its part.
            FailureClass::Transient(Scope::Recipient) => {
                let spent = Spent::Attempt;
                self.try_again(job, spent, certainty, error).await
            }
            // Each may be a copy, so they are counted also while the circuit is open.
            FailureClass::Ambiguous => {
                let spent = Spent::Attempt;
                self.try_again(job, spent, Certainty::Unsure, error).await
            }
            FailureClass::RateLimited { after, scope: _ } => Outcome::Defer {
                after: after.min(LONGEST_WAIT),
                certainty,
                reason: error.problem,
            },
            // The circuit is open by now: it decides when the next is tried.
            FailureClass::Misconfigured(Scope::Account) => Outcome::Defer {
                after: self.backoff.base,
                certainty,
                reason: error.problem,
            },
            // Until an operator mends our reputation, or it is old news.
            FailureClass::Misconfigured(Scope::Recipient) => Outcome::Defer {
                after: self.backoff.cap,
                certainty,
                reason: error.problem,
            },
            FailureClass::Permanent => {
                let verdict = verdicts::refused(DeadLetterClass::Permanent, error);
                self.bury(job.row, job.gate.provider(), verdict).await
            }
        }
    }

    fn log(&self, job: &Job<'_, C::Message>, failure: &SendError) {
        let (id, kind) = (
            loggable_id(job.event.event_id.as_str()),
            job.event.event_type,
        );
        let (channel, provider) = (self.channel.channel(), job.gate.provider());
        let (class, status) = (failure.class.as_str(), failure.status.as_deref());
        if matches!(failure.class, FailureClass::Misconfigured(_)) {
            error!(event.id = %id, event.type = %kind, %channel, provider, class, status, error = %failure, "the provider refuses us: mend the account or its settings");
        } else {
            warn!(event.id = %id, event.type = %kind, %channel, provider, class, status, attempt = job.row.attempt, error = %failure, "message not sent");
        }
    }

    /// A provider that can be asked is not asked while it may still be taking the message in.
    fn until_known(&self, provider: &str, certainty: Certainty) -> Duration {
        if certainty == Certainty::Unsure && self.channel.can_look_up(provider) {
            self.provider_timeout.saturating_mul(KNOWN_AFTER)
        } else {
            Duration::ZERO
        }
    }

    async fn try_again(
        &self,
        job: &Job<'_, C::Message>,
        spent: Spent,
        certainty: Certainty,
        error: SendError,
    ) -> Outcome {
        let after = self.backoff.wait(job.row.attempt);
        let after = after.max(self.until_known(job.gate.provider(), certainty));
        let reason = error.problem.clone();
        match spent {
            Spent::Nothing => Outcome::Defer {
                after,
                certainty,
                reason,
            },
            Spent::Attempt if job.row.attempt < self.max_attempts => Outcome::Retry {
                after,
                certainty,
                reason,
            },
            Spent::Attempt => {
                let verdict = verdicts::refused(exhausted(job.row, certainty), error);
                self.bury(job.row, job.gate.provider(), verdict).await
            }
        }
    }
}

/// What a message is that used up its attempts: whoever replays it is to know if it may have arrived.
pub(super) const fn exhausted(row: &Claimed, certainty: Certainty) -> DeadLetterClass {
    match certainty {
        Certainty::Unsure => DeadLetterClass::Ambiguous,
        Certainty::Unchanged if row.unsure_of.is_some() => DeadLetterClass::Ambiguous,
        Certainty::Unchanged | Certainty::NotTaken => DeadLetterClass::Exhausted,
    }
}

/// A longer wait is told each time: what was told of the last one may be long over.
const SHORT_WAIT: Duration = Duration::from_mins(1);

/// Whether it waits on, and not for long, for what its last status told: hundreds of messages to one number wait for their turns.
pub(super) fn still_waits(row: &Claimed, outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Defer { after, reason, .. } if *after <= SHORT_WAIT && row.reason.as_ref() == Some(reason))
}

#[cfg(test)]
mod tests {
    use bus::Record;
    use chrono::DateTime;
    use inbox::Fate;

    use super::*;

    fn row(unsure_of: Option<&str>) -> Claimed {
        Claimed {
            seq: 1,
            token: 1,
            attempt: 8,
            record: Record::default(),
            fate: Fate::Send,
            verdict: None,
            unsure_of: unsure_of.map(str::to_owned),
            first_failure_at: None,
            received_at: DateTime::UNIX_EPOCH,
            taken_at: DateTime::UNIX_EPOCH,
            awaited: None,
            reason: None,
        }
    }

    #[test]
    fn a_message_that_still_waits_for_the_same_is_told_of_once() {
        let waits_for = |after, reason: &str| Outcome::Defer {
            after,
            certainty: Certainty::Unchanged,
            reason: reason.to_owned(),
        };
        let waits = |reason| waits_for(Duration::from_secs(6), reason);
        let mut row = row(None);
        assert!(!still_waits(&row, &waits("the limit")));
        row.reason = Some("the limit".to_owned());
        assert!(still_waits(&row, &waits("the limit")));
        let for_hours = waits_for(Duration::from_hours(2), "the limit");
        assert!(!still_waits(&row, &for_hours));
        assert!(!still_waits(&row, &waits("the mailbox is full")));
        let failed = Outcome::Retry {
            after: Duration::from_secs(6),
            certainty: Certainty::Unchanged,
            reason: "the limit".to_owned(),
        };
        assert!(!still_waits(&row, &failed));
    }

    #[test]
    fn what_may_have_arrived_and_is_given_up_says_so() {
        let ambiguous = DeadLetterClass::Ambiguous;
        let exhausted_one = DeadLetterClass::Exhausted;
        for (unsure_of, certainty, class) in [
            (None, Certainty::Unchanged, exhausted_one),
            (None, Certainty::Unsure, ambiguous),
            (Some("twilio"), Certainty::Unchanged, ambiguous),
            (Some("twilio"), Certainty::NotTaken, exhausted_one),
        ] {
            let given_up_as = exhausted(&row(unsure_of), certainty);
            assert_eq!(given_up_as, class, "{unsure_of:?}, {certainty:?}");
        }
    }
}
