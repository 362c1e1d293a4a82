//! One claimed row: is it still true, has it gone before, send, judge.

mod judging;
mod lease;

use std::time::{Duration, Instant};

use bus::Record;
use chassis::trace::{KeyValue, Span, SpanKind};
use chassis::{SharedClock, loggable_id};
use chrono::{DateTime, Utc};
use events::{BookingEvent, EventType, header};
use inbox::{Certainty, Claimed, Fate, Outcome, Settled, Verdict};
use tracing::{info, warn};

use crate::backoff::Backoff;
use crate::channel::{Channel, Delivery, LookedUp, Receipt, SendError};
use crate::dead_letters::{DeadLetters, Failures, warn_unwritten};
use crate::gates::Gate;
use crate::metrics::{Event, NotifierMetrics, Provider};
use crate::recorder::Finished;
use crate::settings::OnAmbiguous;
use crate::statuses::Statuses;
use crate::verdicts;
use crate::worker::judging::exhausted;
use crate::worker::lease::{no_answer, while_leased};

/// No provider is waited for longer, whatever it asks.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_hours(24);

/// How long a dead-letter topic that took nothing is left alone.
const DEAD_LETTER_WAIT: Duration = Duration::from_secs(5);

/// A message that was held up less is not worth an excuse.
const NOTICEABLE: Duration = Duration::from_secs(1);

/// Sends the messages of one channel.
pub(crate) struct Worker<C> {
    pub(crate) channel: C,
    pub(crate) dead_letters: DeadLetters,
    pub(crate) statuses: Statuses,
    pub(crate) clock: SharedClock,
    pub(crate) metrics: NotifierMetrics,
    pub(crate) backoff: Backoff,
    pub(crate) max_attempts: u32,
    pub(crate) provider_timeout: Duration,
    pub(crate) on_ambiguous: OnAmbiguous,
}

/// A row in its worker's hands, and what it takes to send it.
struct Job<'a, M> {
    row: &'a Claimed,
    event: &'a BookingEvent,
    message: &'a M,
    gate: &'a Gate,
    deadline: Instant,
}

impl<M> Job<'_, M> {
    fn delivery(&self) -> Delivery {
        Delivery {
            provider: self.gate.provider(),
            event_id: self.event.event_id.clone(),
            topic: self.row.record.topic.clone(),
            attempt: self.row.attempt,
        }
    }
}

impl<C: Channel> Worker<C> {
    /// `deadline`: after it the lease might end before the provider answers, so nothing is sent.
    pub(crate) async fn work(&self, row: Claimed, gate: &Gate, deadline: Instant) -> Finished {
        let event = BookingEvent::decode(row.record.value.as_deref().unwrap_or_default());
        let (outcome, status) = match event {
            Ok(event) => {
                let outcome = self.settle(&row, &event, gate, deadline).await;
                let provider = gate.provider();
                let status = (!judging::still_waits(&row, &outcome))
                    .then(|| self.statuses.of_outcome(&event, &row, &outcome, provider));
                (outcome, status)
            }
            Err(error) => {
                let verdict = verdicts::unread(&error);
                (self.bury(&row, gate.provider(), verdict).await, None)
            }
        };
        let settled = Settled {
            seq: row.seq,
            token: row.token,
            outcome,
        };
        Finished {
            settled,
            status,
            at: Instant::now(),
        }
    }

    async fn settle(
        &self,
        row: &Claimed,
        event: &BookingEvent,
        gate: &Gate,
        deadline: Instant,
    ) -> Outcome {
        if let Some(verdict) = &row.verdict {
            return self.bury(row, gate.provider(), verdict.clone()).await;
        }
        match &row.fate {
            Fate::Send => {}
            Fate::Suppress { reason } => return self.suppress(row, event, reason),
            Fate::Expire { reason } => return self.expire(event, reason),
        }
        if row.attempt > self.max_attempts {
            let class = exhausted(row, Certainty::Unchanged);
            let verdict = verdicts::abandoned(class);
            return self.bury(row, gate.provider(), verdict).await;
        }
        let message = match self.channel.render(event) {
            Ok(message) => message,
            Err(error) => {
                let verdict = verdicts::invalid(error.stage, &error);
                return self.bury(row, gate.provider(), verdict).await;
            }
        };
        let message = &message;
        let job = Job {
            row,
            event,
            message,
            gate,
            deadline,
        };
        self.deliver(&job).await
    }

    fn suppress(&self, row: &Claimed, event: &BookingEvent, reason: &str) -> Outcome {
        self.metrics
            .count_notification(event.event_type, "suppressed");
        info!(
            event.id = %loggable_id(event.event_id.as_str()),
            event.type = %event.event_type,
            pnr = ?event.pnr_number,
            channel = %self.channel.channel(),
            attempt = row.attempt.saturating_sub(1),
            reason,
            "message suppressed"
        );
        let reason = reason.to_owned();
        Outcome::Suppressed { reason }
    }

    fn expire(&self, event: &BookingEvent, reason: &str) -> Outcome {
        self.metrics.count_notification(event.event_type, "expired");
        info!(
            event.id = %loggable_id(event.event_id.as_str()),
            event.type = %event.event_type,
            channel = %self.channel.channel(),
            reason,
            "message expired"
        );
        let reason = reason.to_owned();
        Outcome::Expired { reason }
    }

    /// Past a doubt about an earlier attempt, and past the limits of account and recipient.
    async fn deliver(&self, job: &Job<'_, C::Message>) -> Outcome {
        let recipient = self.channel.recipient(job.message);
        if let Err(held) = job.gate.admit(recipient, Instant::now()) {
            return defer(held.after, held.reason);
        }
        let certainty = match &job.row.unsure_of {
            None => Certainty::Unchanged,
            Some(_) => match self.clear_doubt(job).await {
                Ok(certainty) => certainty,
                Err(outcome) => return outcome,
            },
        };
        if Instant::now() > job.deadline {
            return defer(Duration::ZERO, "the lease was nearly over".to_owned());
        }
        let result = self.send(job).await;
        let spent = job.gate.answered(Instant::now(), recipient, &result);
        match result {
            Ok(receipt) => self.sent(job, receipt),
            Err(error) => self.judge(job, (spent, certainty), error).await,
        }
    }

    /// An earlier attempt may have arrived: asks the provider; where it cannot tell, the policy decides.
    async fn clear_doubt(&self, job: &Job<'_, C::Message>) -> Result<Certainty, Outcome> {
        let delivery = job.delivery();
        if job.row.unsure_of.as_deref() != Some(delivery.provider) {
            // One that is ours no more: it cannot be asked.
            return self.decide_doubt(job).await;
        }
        match self.channel.look_up(job.message, &delivery).await {
            Ok(LookedUp::Taken(receipt)) => {
                self.metrics.count_attempt(delivery.provider, "found");
                Err(self.sent(job, receipt))
            }
            Ok(LookedUp::NotTaken) => Ok(Certainty::NotTaken),
            Ok(LookedUp::Unknown) => self.decide_doubt(job).await,
            Err(error) => {
                let recipient = self.channel.recipient(job.message);
                let answer = Err(error.clone());
                let spent = job.gate.answered(Instant::now(), recipient, &answer);
                Err(self.judge(job, (spent, Certainty::Unchanged), error).await)
            }
        }
    }

    async fn decide_doubt(&self, job: &Job<'_, C::Message>) -> Result<Certainty, Outcome> {
        // Who replays a held message has decided.
        let decided = job.row.replays() > 0 && job.row.attempt == 1;
        match self.on_ambiguous {
            OnAmbiguous::Hold if !decided => {
                let provider = job.gate.provider();
                Err(self.bury(job.row, provider, verdicts::held()).await)
            }
            OnAmbiguous::Hold | OnAmbiguous::Resend => {
                self.metrics.maybe_duplicates.inc();
                warn!(
                    event.id = %loggable_id(job.event.event_id.as_str()),
                    channel = %self.channel.channel(),
                    attempt = job.row.attempt,
                    "sent again although an earlier attempt may have arrived"
                );
                Ok(if decided {
                    Certainty::NotTaken
                } else {
                    Certainty::Unchanged
                })
            }
        }
    }

    async fn send(&self, job: &Job<'_, C::Message>) -> Result<Receipt, SendError> {
        // An adapter keeps the timeout itself; this one is for an adapter that does not.
        let limit = self.provider_timeout + Duration::from_secs(1);
        let delivery = job.delivery();
        let provider = delivery.provider;
        let mut span = self.attempt(job, provider);
        let started = Instant::now();
        let sending = self.channel.send(job.message, &delivery);
        let sending = while_leased(job.deadline + limit, sending);
        let answered = tokio::time::timeout(limit, sending).await;
        let label = Provider { provider };
        self.metrics
            .send_seconds
            .get_or_create(&label)
            .observe(started.elapsed().as_secs_f64());
        let result = answered.unwrap_or_else(|_elapsed| Err(no_answer()));
        let outcome = match &result {
            Ok(_) => "sent",
            Err(error) => {
                span.fail(error.class.as_str());
                error.class.as_str()
            }
        };
        self.metrics.count_attempt(provider, outcome);
        result
    }

    /// The step of the event's trace that lasts until the provider answers.
    fn attempt(&self, job: &Job<'_, C::Message>, provider: &str) -> Span {
        let header = job.row.record.header(header::TRACEPARENT);
        let mut span = Span::following(SpanKind::Client, ("send", provider), header);
        span.describe(|| {
            [
                KeyValue::new(
                    "messaging.message.id",
                    loggable_id(job.event.event_id.as_str()).into_owned(),
                ),
                KeyValue::new("harkara.channel", self.channel.channel().as_str()),
                KeyValue::new("harkara.attempt", i64::from(job.row.attempt)),
            ]
        });
        span
    }

    fn sent(&self, job: &Job<'_, C::Message>, receipt: Receipt) -> Outcome {
        let (row, event) = (job.row, job.event);
        let waited = self.clock.now() - happened_at(&row.record, event);
        let label = Event {
            event_type: event.event_type.as_str(),
        };
        let seconds = waited.as_seconds_f64().max(0.0);
        self.metrics
            .end_to_end_seconds
            .get_or_create(&label)
            .observe(seconds);
        self.metrics.count_notification(event.event_type, "sent");
        let event_id = loggable_id(event.event_id.as_str());
        // By e-mail it is made of the event's.
        let message_id =
            (event_id == event.event_id.as_str()).then_some(receipt.provider_message_id.as_str());
        info!(
            event.id = %event_id,
            event.type = %event.event_type,
            pnr = ?event.pnr_number,
            channel = %self.channel.channel(),
            provider = job.gate.provider(),
            provider.message_id = message_id,
            attempt = row.attempt,
            topic = row.record.topic,
            partition = row.record.partition,
            offset = row.record.offset,
            "message sent"
        );
        Outcome::Sent {
            provider_message_id: receipt.provider_message_id,
            remark: remark(row, job.gate),
        }
    }

    /// The row is dead only when the dead-letter topic has it.
    async fn bury(&self, row: &Claimed, provider: &'static str, verdict: Verdict) -> Outcome {
        let now = self.clock.now();
        let failures = Failures::of_row(row, &verdict, provider, now);
        match self
            .dead_letters
            .write(&row.record, &verdict, failures)
            .await
        {
            Ok(()) => {
                if let Some(event) = EventType::of_topic(&row.record.topic) {
                    self.metrics.count_notification(event, "dead");
                }
                Outcome::Dead { verdict }
            }
            Err(error) => {
                warn_unwritten(&error);
                Outcome::Condemned {
                    after: DEAD_LETTER_WAIT,
                    verdict,
                }
            }
        }
    }
}

const fn defer(after: Duration, reason: String) -> Outcome {
    Outcome::Defer {
        after,
        certainty: Certainty::Unchanged,
        reason,
    }
}

/// Why a message came late, if it did: for the passenger's advocate who reads the timeline.
fn remark(row: &Claimed, gate: &Gate) -> Option<String> {
    let waited = (row.taken_at - row.received_at).to_std().ok()?;
    if waited < NOTICEABLE {
        return None;
    }
    let mut causes = Vec::new();
    let outage = gate.outage_within(waited);
    if outage >= NOTICEABLE {
        let (provider, seconds) = (gate.provider(), outage.as_secs());
        causes.push(format!(
            "the circuit of {provider} was open for {seconds} s"
        ));
    }
    if row.attempt > 1 {
        causes.push(format!("{} attempts failed", row.attempt - 1));
    }
    if row.replays() > 0 {
        causes.push("it came back from the dead letters".to_owned());
    }
    if row.awaited.is_some() {
        causes.push("an earlier event of the booking was waited for and did not come".to_owned());
    }
    let causes = if causes.is_empty() {
        "it waited its turn".to_owned()
    } else {
        causes.join(", ")
    };
    Some(format!(
        "sent {} s after it was taken in: {causes}",
        waited.as_secs()
    ))
}

/// The header has milliseconds, the event whole seconds.
pub(crate) fn happened_at(record: &Record, event: &BookingEvent) -> DateTime<Utc> {
    let exact = record
        .header(header::TIME)
        .and_then(|text| text.parse().ok());
    exact.unwrap_or_else(|| event.event_timestamp.to_utc())
}
