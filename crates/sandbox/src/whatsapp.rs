//! A stand-in for Meta's `WhatsApp` Business Cloud API (`/{version}/{phone-number-id}/messages`).

mod order;
mod refusal;
mod templates;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chassis::chance;
use events::Channel;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use self::order::Order;
use self::refusal::Refusal;
use crate::accepted::Accepted;
use crate::admission::Admission;
use crate::http;
use crate::wire::Wire;

/// The one sender number that is known.
#[derive(Debug)]
pub(crate) struct Whatsapp {
    pub(crate) phone_number_id: String,
    pub(crate) token: SecretString,
    pub(crate) admission: Admission,
}

impl Whatsapp {
    pub(crate) fn router(self) -> Router {
        Router::new()
            .route("/whatsapp/{version}/{sender}/messages", post(send_message))
            .with_state(Arc::new(self))
    }

    fn authorize(&self, headers: &HeaderMap, version: &str, sender: &str) -> Result<(), Refusal> {
        if !is_version(version) {
            return Err(Refusal::unknown_path());
        }
        let given = http::header(headers, AUTHORIZATION.as_str());
        let given = given.and_then(|text| text.strip_prefix("Bearer "));
        match given {
            None => Err(Refusal::no_token()),
            Some(token) if token != self.token.expose_secret() => Err(Refusal::bad_token()),
            Some(_) if sender != self.phone_number_id => Err(Refusal::unknown_sender(sender)),
            Some(_) => Ok(()),
        }
    }
}

/// `v23.0`.
fn is_version(segment: &str) -> bool {
    let number = segment
        .strip_prefix('v')
        .and_then(|text| text.split_once('.'));
    number
        .is_some_and(|(major, minor)| major.parse::<u16>().is_ok() && minor.parse::<u16>().is_ok())
}

async fn send_message(
    State(whatsapp): State<Arc<Whatsapp>>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    Path((version, sender)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let admission = &whatsapp.admission;
    admission.requests.saw(Channel::Whatsapp);
    let checked = whatsapp.authorize(&headers, &version, &sender);
    let order = match checked.and_then(|()| Order::parse(&body)) {
        Ok(order) => order,
        Err(refusal) => {
            admission.requests.refused(Channel::Whatsapp);
            return refusal.into_response();
        }
    };
    let input = order.input.clone();
    let message = order.into_accepted(sender, message_id());
    let verdict = admission.admit(message).await;
    let accepted = |message: &Accepted| http::json(StatusCode::OK, &receipt(message, &input));
    let failed = Refusal::injected(500, 131_000);
    verdict.respond(&wire, accepted, Refusal::injected, failed)
}

/// `wamid.` and base64, as Meta's ids look.
fn message_id() -> String {
    format!("wamid.{}", STANDARD.encode(chance::bytes::<33>()))
}

fn receipt(message: &Accepted, input: &str) -> Value {
    json!({
        "messaging_product": "whatsapp",
        "contacts": [{"input": input, "wa_id": message.recipient.trim_start_matches('+')}],
        "messages": [{"id": message.provider_message_id, "message_status": "accepted"}],
    })
}
