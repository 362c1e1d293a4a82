//! The JSON that asks for a text message.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use events::{EventId, EventType, sms};
use serde::Deserialize;

use super::flows::{Flow, Flows};
use super::refusal::Refusal;
use crate::accepted::{Accepted, Provider, TemplateUse, find_pnr};
use crate::http;

/// Characters of a variable's value (MSG91, "SMS not matched with DLT template").
const VALUE_LIMIT: usize = 40;

/// Digits of a DLT template's id.
const DLT_DIGITS: usize = 19;

#[derive(Deserialize)]
struct Body {
    template_id: Option<String>,
    sender: Option<String>,
    #[serde(rename = "DLT_TE_ID")]
    dlt: Option<String>,
    #[serde(default)]
    recipients: Vec<BTreeMap<String, String>>,
}

/// A message that passed the checks.
#[derive(Debug)]
pub(super) struct Order {
    flow: String,
    sender: String,
    mobile: String,
    text: String,
    values: Vec<(String, String)>,
}

impl Order {
    /// Reads the body of a request. One recipient: more would be more messages than the one that is answered.
    pub(super) fn parse(body: &[u8], flows: &Flows) -> Result<Self, Refusal> {
        let body: Body = serde_json::from_slice(body).map_err(|_syntax| Refusal::NOT_JSON)?;
        let id = body.template_id.unwrap_or_default();
        let flow = flows.find(&id).ok_or(Refusal::BAD_TEMPLATE)?;
        check_dlt(flow, body.dlt.as_deref())?;
        let sender = body.sender.unwrap_or_default();
        if !sender.is_empty() && !is_header(&sender) {
            return Err(Refusal::BAD_SENDER);
        }
        let [mut values] =
            <[_; 1]>::try_from(body.recipients).map_err(|_others| Refusal::NO_MOBILE)?;
        let mobile = values.remove("mobiles").ok_or(Refusal::NO_MOBILE)?;
        if !is_indian_mobile(&mobile) {
            return Err(Refusal::BAD_MOBILE);
        }
        if values
            .values()
            .any(|value| value.chars().count() > VALUE_LIMIT)
        {
            return Err(Refusal::LONG_VALUE);
        }
        let text = flow.render(&values).ok_or(Refusal::NO_VALUE)?;
        Ok(Self {
            flow: id,
            sender,
            mobile,
            text,
            values: values.into_iter().collect(),
        })
    }

    /// The message for the ledger; its event is named by the headers `X-Event-Id` and `X-Event-Type`.
    pub(super) fn into_accepted(self, headers: &HeaderMap) -> Accepted {
        let event_id = http::header(headers, "x-event-id");
        let event_type = http::header(headers, "x-event-type");
        // A request id is 24 hexadecimal digits.
        let request_id: String = http::identifier("").chars().take(24).collect();
        Accepted {
            event_id: event_id.and_then(|id| id.parse::<EventId>().ok()),
            event_type: event_type.and_then(|name| name.parse::<EventType>().ok()),
            pnr: find_pnr(&self.text),
            segments: Some(sms::segments(&self.text).into()),
            sender: self.sender,
            recipient: format!("+{}", self.mobile),
            text: self.text,
            template: Some(TemplateUse {
                name: self.flow,
                language: "en".to_owned(),
                params: self.values,
            }),
            ..Accepted::unnumbered(Provider::Msg91, request_id)
        }
    }
}

/// A DLT id may be left to the flow; one that is given is 19 digits, and the flow's own where that is known.
fn check_dlt(flow: &Flow, given: Option<&str>) -> Result<(), Refusal> {
    let Some(given) = given else { return Ok(()) };
    let shape = given.len() == DLT_DIGITS && given.bytes().all(|b| b.is_ascii_digit());
    let own = flow.dlt.as_ref().is_none_or(|own| own == given);
    if shape && own {
        Ok(())
    } else {
        Err(Refusal::BAD_DLT_TEMPLATE)
    }
}

/// A registered header: 6 letters.
fn is_header(sender: &str) -> bool {
    sender.len() == 6 && sender.bytes().all(|b| b.is_ascii_alphabetic())
}

/// `91XXXXXXXXXX`, without a plus.
fn is_indian_mobile(mobile: &str) -> bool {
    let national = mobile.strip_prefix("91").unwrap_or_default();
    national.len() == 10
        && national.bytes().all(|b| b.is_ascii_digit())
        && national.starts_with(['6', '7', '8', '9'])
}
