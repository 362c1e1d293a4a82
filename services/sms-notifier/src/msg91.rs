//! MSG91's Flow API: `POST /api/v5/flow`.
//!
//! MSG91 writes the text from a flow, approved under DLT, and from our values; so the flow's words must be [`crate::wording`]'s.

mod classify;

use std::collections::BTreeMap;
use std::time::Duration;

use chassis::{Failure, http};
use delivery::{Delivery, FailureClass, HttpAnswer, HttpApi, Receipt, SendError};
use events::EventType;
use reqwest::Client;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use self::classify::classify;
use crate::channel::Sms;
use crate::settings::{Flow, Msg91Settings};

const API: HttpApi = HttpApi {
    name: "MSG91",
    codes: "https://msg91.com/help/api",
};

/// An account at MSG91.
pub(crate) struct Msg91 {
    client: Client,
    flow: Url,
    settings: Msg91Settings,
}

#[derive(Serialize)]
struct Order<'a> {
    template_id: &'a str,
    #[serde(rename = "DLT_TE_ID", skip_serializing_if = "Option::is_none")]
    dlt_template: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sender: Option<&'a str>,
    short_url: &'static str,
    recipients: [BTreeMap<&'a str, &'a str>; 1],
}

#[derive(Default, Deserialize)]
struct Answer {
    #[serde(rename = "type")]
    kind: Option<String>,
    /// Text, as far as is documented; another form must not hide `type`.
    message: Option<Value>,
    code: Option<Code>,
    #[serde(rename = "apiError")]
    api_error: Option<Code>,
}

/// MSG91 writes its codes as text, and has written them as numbers.
#[derive(Deserialize)]
#[serde(untagged)]
enum Code {
    Number(u32),
    Text(String),
}

impl Code {
    fn number(&self) -> Option<u32> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.parse().ok(),
        }
    }
}

impl Msg91 {
    pub(crate) const NAME: &str = "msg91";

    pub(crate) fn new(settings: Msg91Settings, timeout: Duration) -> Result<Self, Failure> {
        let mut flow = settings.base_url.clone();
        if let Ok(mut path) = flow.path_segments_mut() {
            path.extend(["api", "v5", "flow"]);
        }
        Ok(Self {
            client: http::client(timeout)?,
            flow,
            settings,
        })
    }

    /// The flow of an event, if there is one.
    pub(crate) fn flow(&self, event_type: EventType) -> Option<&Flow> {
        match event_type {
            EventType::BookingConfirmed => Some(&self.settings.confirmed),
            EventType::BookingCancelled => Some(&self.settings.cancelled),
            EventType::PaymentCompleted => self.settings.paid.as_ref(),
        }
    }

    pub(crate) async fn send(&self, sms: &Sms, delivery: &Delivery) -> Result<Receipt, SendError> {
        let flow = self.flow(sms.event_type).ok_or_else(no_flow)?;
        let mobile = sms.to.e164().trim_start_matches('+');
        let values = sms.values.iter().map(|(name, value)| (*name, &**value));
        let order = Order {
            template_id: &flow.id,
            dlt_template: flow.dlt_template.as_deref(),
            sender: self.settings.sender.as_deref(),
            // A shortened link would be another text than the approved one.
            short_url: "0",
            recipients: [values.chain([("mobiles", mobile)]).collect()],
        };
        let authkey = self.settings.authkey.expose_secret();
        let request = self
            .client
            .post(self.flow.clone())
            .header("authkey", authkey);
        read(&API.ask(sms.traced(request, delivery).json(&order)).await?)
    }
}

/// Rendering has seen to it that there is one.
fn no_flow() -> SendError {
    SendError {
        class: FailureClass::Permanent,
        status: None,
        problem: "MSG91 has no flow for this event".to_owned(),
    }
}

/// The body decides, for MSG91 refuses with status 200 too.
fn read(answer: &HttpAnswer) -> Result<Receipt, SendError> {
    let body = serde_json::from_slice::<Answer>(&answer.body).unwrap_or_default();
    let kind = body.kind.as_deref();
    if !answer.status.is_success() || kind == Some("error") || body.api_error.is_some() {
        let code = body.api_error.or(body.code);
        let refusal = answer.refusal(code.and_then(|code| code.number()));
        let class = classify(&refusal, body.message.as_ref().and_then(Value::as_str));
        return Err(API.refused(&refusal, class));
    }
    let id = body
        .message
        .filter(|_| kind == Some("success"))
        .and_then(|message| id_of(&message));
    Ok(Receipt {
        provider_message_id: id.ok_or_else(|| API.nameless(answer))?,
    })
}

/// What is neither text nor a number may hold the recipient, and the id is logged and published.
fn id_of(message: &Value) -> Option<String> {
    match message {
        Value::String(id) => (!id.is_empty()).then(|| id.clone()),
        Value::Number(id) => Some(id.to_string()),
        Value::Object(_) | Value::Array(_) => Some("unnamed".to_owned()),
        Value::Null | Value::Bool(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_accepted_answer_is_accepted_whatever_form_its_message_has() {
        for (message, id) in [("\"a1\"", "a1"), ("17", "17"), ("{\"x\":1}", "unnamed")] {
            let answer = HttpAnswer {
                status: reqwest::StatusCode::OK,
                retry_after: None,
                body: format!("{{\"type\":\"success\",\"message\":{message}}}").into_bytes(),
            };
            assert_eq!(read(&answer).unwrap().provider_message_id, id);
        }
    }
}
