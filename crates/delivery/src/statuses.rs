//! What becomes of a notification, as a record of `notification-status`. It goes through the outbox, in the transaction of the change it tells.

use chassis::SharedClock;
use chrono::SecondsFormat;
use database::{Error, micros};
use events::{BookingEvent, Channel, NOTIFICATION_STATUS, NotificationStatus, Step, header};
use inbox::{Claimed, Outcome, Place, Stored};
use outbox::OutboxRow;

use crate::verdicts::is_of_a_send;

/// The row of a status. `step` tells the steps of one event on one channel apart.
pub(crate) fn row(status: &NotificationStatus, step: &str) -> Result<OutboxRow, Error> {
    let payload = serde_json::to_string(status).map_err(|error| Error::Encode(error.into()))?;
    let id = format!("{}:{}:{step}", status.event_id, status.channel);
    let time = status
        .occurred_at
        .to_rfc3339_opts(SecondsFormat::Millis, true);
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Ok(OutboxRow {
        headers: vec![
            header(header::CONTENT_TYPE, "application/json"),
            header(header::SPEC_VERSION, "1.0"),
            header(header::ID, &id),
            header(header::TYPE, "notification.status.v1"),
            header(header::SOURCE, &format!("/{}-notifier", status.channel)),
            header(header::TIME, &time),
            header(header::SUBJECT, &status.booking_id.to_string()),
        ],
        event_id: id,
        topic: NOTIFICATION_STATUS.to_owned(),
        key: status.pnr_number.to_string(),
        event_type: format!("{}:{}", status.event_type, status.status),
        version: i64::from(status.attempt),
        payload,
        created_at_micros: micros(status.occurred_at),
    })
}

/// Writes the statuses of one channel.
#[derive(Clone, Debug)]
pub(crate) struct Statuses {
    pub(crate) channel: Channel,
    pub(crate) clock: SharedClock,
}

impl Statuses {
    /// What is to be told of a row that was taken in; nothing of one that simply waits its turn. `away`: the provider that answers nobody now.
    pub(crate) fn of_arrival(
        &self,
        event: &BookingEvent,
        stored: &Stored,
        away: Option<&str>,
    ) -> Option<NotificationStatus> {
        let (step, reason) = match stored.place {
            Place::Claimed => return None,
            Place::Due => (
                Step::Retrying,
                format!("waits until {} answers again", away?),
            ),
            Place::Waiting => (
                Step::Retrying,
                "waits for an earlier event of this booking that has not come yet".to_owned(),
            ),
            Place::Expired => (Step::Expired, "too old when it was taken in".to_owned()),
            Place::Reopened => (Step::Retrying, "came back from the dead letters".to_owned()),
        };
        Some(NotificationStatus {
            reason: Some(reason),
            ..self.blank(event, step)
        })
    }

    /// What is to be told of a claim that came to an end.
    pub(crate) fn of_outcome(
        &self,
        event: &BookingEvent,
        row: &Claimed,
        outcome: &Outcome,
        provider: &str,
    ) -> NotificationStatus {
        let step = match outcome {
            Outcome::Sent { .. } => Step::Sent,
            Outcome::Retry { .. } | Outcome::Defer { .. } => Step::Retrying,
            Outcome::Condemned { .. } => Step::Failed,
            Outcome::Dead { .. } => Step::DeadLettered,
            Outcome::Suppressed { .. } => Step::Suppressed,
            Outcome::Expired { .. } => Step::Expired,
        };
        let (asked, message_id, spent) = match outcome {
            Outcome::Sent {
                provider_message_id,
                ..
            } => (true, Some(provider_message_id.clone()), 0),
            Outcome::Retry { .. } => (true, None, 0),
            Outcome::Condemned { verdict, .. } | Outcome::Dead { verdict } => {
                let was_asked = is_of_a_send(verdict);
                (was_asked, None, u32::from(!was_asked))
            }
            Outcome::Defer { .. } => (true, None, 1),
            Outcome::Suppressed { .. } | Outcome::Expired { .. } => (false, None, 1),
        };
        NotificationStatus {
            attempt: row.attempt.saturating_sub(spent),
            provider: asked.then(|| provider.to_owned()),
            provider_message_id: message_id,
            reason: reason(outcome),
            ..self.blank(event, step)
        }
    }

    fn blank(&self, event: &BookingEvent, step: Step) -> NotificationStatus {
        NotificationStatus::new(event, self.channel, step, self.clock.now())
    }
}

fn reason(outcome: &Outcome) -> Option<String> {
    let next = |after: &std::time::Duration| humantime::format_duration(rounded(*after));
    match outcome {
        Outcome::Sent { remark, .. } => remark.clone(),
        Outcome::Retry { after, reason, .. } => {
            Some(format!("{reason}; the next attempt is in {}", next(after)))
        }
        Outcome::Defer { after, reason, .. } => {
            Some(format!("{reason}; it waits at least {}", next(after)))
        }
        Outcome::Condemned { verdict, .. } | Outcome::Dead { verdict } => {
            let status = verdict.provider_status.as_deref();
            let status = status.map_or_else(String::new, |status| format!(" ({status})"));
            Some(format!("{}: {}{status}", verdict.class, verdict.error))
        }
        Outcome::Suppressed { reason } | Outcome::Expired { reason } => Some(reason.clone()),
    }
}

/// Nobody reads microseconds.
fn rounded(span: std::time::Duration) -> std::time::Duration {
    let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    std::time::Duration::from_millis(if millis > 10_000 {
        millis / 1000 * 1000
    } else {
        millis
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use events::Stage;

    use super::*;

    fn sample() -> BookingEvent {
        let sample = include_bytes!("../../events/golden/specification-sample.json");
        BookingEvent::decode(sample).unwrap()
    }

    fn statuses() -> Statuses {
        Statuses {
            channel: Channel::Sms,
            clock: Arc::new(chassis::SystemClock),
        }
    }

    #[test]
    fn a_status_is_keyed_by_pnr_and_named_once_for_each_step() {
        let status = NotificationStatus::new(
            &sample(),
            Channel::Sms,
            Step::Sent,
            chrono::DateTime::UNIX_EPOCH,
        );
        let row = row(&status, "7").unwrap();
        assert_eq!(row.event_id, "uuid-string:sms:7");
        assert_eq!(row.key, "1234567890");
        assert_eq!(row.topic, "notification-status");
        let headers = row.headers.iter();
        let headers: Vec<_> = headers
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(
            headers,
            [
                ("content-type", "application/json"),
                ("ce_specversion", "1.0"),
                ("ce_id", "uuid-string:sms:7"),
                ("ce_type", "notification.status.v1"),
                ("ce_source", "/sms-notifier"),
                ("ce_time", "1970-01-01T00:00:00.000Z"),
                ("ce_subject", "123"),
            ]
        );
    }

    #[test]
    fn what_waits_its_turn_is_not_told_and_what_waits_for_another_is() {
        let told = |place, away| {
            let stored = Stored {
                event_id: "a".to_owned(),
                seq: 1,
                token: 0,
                received_at: chrono::DateTime::UNIX_EPOCH,
                place,
            };
            let status = statuses().of_arrival(&sample(), &stored, away);
            status.map(|status| status.status)
        };
        assert_eq!(told(Place::Due, None), None);
        assert_eq!(told(Place::Due, Some("twilio")), Some(Step::Retrying));
        assert_eq!(told(Place::Claimed, None), None);
        assert_eq!(told(Place::Waiting, None), Some(Step::Retrying));
        assert_eq!(told(Place::Expired, None), Some(Step::Expired));
        assert_eq!(told(Place::Reopened, None), Some(Step::Retrying));
    }

    #[test]
    fn an_event_that_cannot_be_told_was_no_attempt_of_any_provider() {
        let dead = |stage| {
            let error = "userPhone is missing";
            let verdict = crate::verdicts::invalid(stage, &error);
            let outcome = Outcome::Dead { verdict };
            let row = Claimed {
                seq: 1,
                token: 1,
                attempt: 1,
                record: bus::Record::default(),
                fate: inbox::Fate::Send,
                verdict: None,
                unsure_of: None,
                first_failure_at: None,
                received_at: chrono::DateTime::UNIX_EPOCH,
                taken_at: chrono::DateTime::UNIX_EPOCH,
                awaited: None,
                reason: None,
            };
            let status = statuses().of_outcome(&sample(), &row, &outcome, "twilio");
            (status.attempt, status.provider)
        };
        assert_eq!(dead(Stage::Validate), (0, None));
        assert_eq!(dead(Stage::Send), (1, Some("twilio".to_owned())));
    }

    #[test]
    fn a_retry_says_when_the_next_attempt_is() {
        let retry = Outcome::Retry {
            after: Duration::from_micros(90_123_456),
            certainty: inbox::Certainty::Unchanged,
            reason: "503".to_owned(),
        };
        assert_eq!(
            reason(&retry).unwrap(),
            "503; the next attempt is in 1m 30s"
        );
    }
}
