//! A text message: the form that asks for it, and the resource that tells of it.

use std::collections::HashMap;

use axum::http::HeaderMap;
use chrono::{DateTime, Utc};
use events::{EventId, EventType, sms};
use serde_json::{Value, json};

use super::refusal::Refusal;
use crate::accepted::{Accepted, Provider, find_pnr};
use crate::http;

/// Twilio's limit, in characters (error 21617).
const BODY_LIMIT: usize = 1600;

/// A message that passed the checks.
#[derive(Debug)]
pub(super) struct Outgoing {
    to: String,
    from: String,
    body: String,
}

impl Outgoing {
    /// Reads the form of a request.
    pub(super) fn parse(form: &[u8]) -> Result<Self, Refusal> {
        let fields: HashMap<_, _> = url::form_urlencoded::parse(form).collect();
        let field = |name: &str| {
            let value = fields.get(name).map(|value| value.trim().to_owned());
            value.filter(|value| !value.is_empty())
        };
        let to = field("To").ok_or(Refusal::NO_TO)?;
        if !is_e164(&to) {
            return Err(Refusal::BAD_TO);
        }
        let from = sender(field("From"), field("MessagingServiceSid"))?;
        let body = fields.get("Body").filter(|body| !body.trim().is_empty());
        let body = body.ok_or(Refusal::NO_BODY)?.to_string();
        if body.chars().count() > BODY_LIMIT {
            return Err(Refusal::LONG_BODY);
        }
        Ok(Self { to, from, body })
    }

    /// The message for the ledger; its event is named by the headers `X-Event-Id` and `X-Event-Type`.
    pub(super) fn into_accepted(self, headers: &HeaderMap) -> Accepted {
        let event_id = http::header(headers, "x-event-id");
        let event_type = http::header(headers, "x-event-type");
        Accepted {
            event_id: event_id.and_then(|id| id.parse::<EventId>().ok()),
            event_type: event_type.and_then(|name| name.parse::<EventType>().ok()),
            pnr: find_pnr(&self.body),
            segments: Some(sms::segments(&self.body).into()),
            sender: self.from,
            recipient: self.to,
            text: self.body,
            ..Accepted::unnumbered(Provider::Twilio, http::identifier("SM"))
        }
    }
}

fn sender(from: Option<String>, service: Option<String>) -> Result<String, Refusal> {
    match (from, service) {
        (_, Some(service)) if is_service(&service) => Ok(service),
        (_, Some(_)) => Err(Refusal::BAD_SERVICE),
        (Some(from), None) if is_sender(&from) => Ok(from),
        (Some(_), None) => Err(Refusal::BAD_FROM),
        (None, None) => Err(Refusal::NO_FROM),
    }
}

/// `+` and 8 to 15 digits, the first not 0 (ITU-T E.164).
fn is_e164(number: &str) -> bool {
    let digits = number.strip_prefix('+').unwrap_or_default();
    (8..=15).contains(&digits.len()) && is_digits(digits) && !digits.starts_with('0')
}

/// A number, a short code of 3 to 8 digits, or 1 to 11 letters, digits and spaces with a letter among them.
fn is_sender(from: &str) -> bool {
    let short_code = (3..=8).contains(&from.len()) && is_digits(from);
    let alphanumeric = (1..=11).contains(&from.len())
        && from.bytes().all(|b| b.is_ascii_alphanumeric() || b == b' ')
        && from.bytes().any(|b| b.is_ascii_alphabetic());
    is_e164(from) || short_code || alphanumeric
}

fn is_service(sid: &str) -> bool {
    let hex = sid.strip_prefix("MG").unwrap_or_default();
    hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_hexdigit())
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit())
}

/// When a resource is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// In the answer to its creation.
    Created,
    /// Later. What the sandbox accepts lies in its inbox at once.
    Delivered,
}

/// The JSON of a message resource.
pub(super) fn resource(message: &Accepted, account: &str, stage: Stage) -> Value {
    let by_service = is_service(&message.sender);
    let status = match stage {
        Stage::Created if by_service => "accepted",
        Stage::Created => "queued",
        Stage::Delivered => "delivered",
    };
    let created = rfc2822(message.accepted_at);
    let sid = &message.provider_message_id;
    let uri = format!("/2010-04-01/Accounts/{account}/Messages/{sid}");
    let segments = message.segments.as_ref().map_or(1, |size| size.segments);
    json!({
        "sid": sid,
        "account_sid": account,
        "messaging_service_sid": by_service.then_some(&message.sender),
        "from": (!by_service).then_some(&message.sender),
        "to": message.recipient,
        "body": message.text,
        "status": status,
        "num_segments": segments.to_string(),
        "num_media": "0",
        "direction": "outbound-api",
        "api_version": "2010-04-01",
        "price": null,
        "price_unit": "USD",
        "error_code": null,
        "error_message": null,
        "date_created": created,
        "date_updated": created,
        "date_sent": (stage == Stage::Delivered).then_some(&created),
        "subresource_uris": {"media": format!("{uri}/Media.json")},
        "uri": format!("{uri}.json"),
    })
}

/// `Mon, 23 Nov 2026 06:00:00 +0000`.
fn rfc2822(time: DateTime<Utc>) -> String {
    time.format("%a, %d %b %Y %H:%M:%S +0000").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senders_are_numbers_short_codes_and_names() {
        for good in ["+15557122661", "RAILTK", "12345", "Rail 24"] {
            assert!(is_sender(good), "{good}");
        }
        for bad in [
            "",
            "12",
            "1234567890",
            "TWELVELETTER",
            "RAIL_TK",
            "+0123456789",
        ] {
            assert!(!is_sender(bad), "{bad}");
        }
    }

    #[test]
    fn times_are_written_as_mail_does() {
        let time = DateTime::from_timestamp(1_795_413_600, 0).unwrap();
        assert_eq!(rfc2822(time), "Mon, 23 Nov 2026 06:00:00 +0000");
    }
}
