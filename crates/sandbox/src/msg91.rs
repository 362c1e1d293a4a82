//! A stand-in for MSG91's Flow API (`/api/v5/flow`).

mod flows;
mod order;
mod refusal;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use events::Channel;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

pub(crate) use self::flows::Flows;
use self::order::Order;
use self::refusal::Refusal;
use crate::accepted::Accepted;
use crate::admission::{Admission, Verdict};
use crate::http;
use crate::wire::Wire;

/// The one account that is known.
#[derive(Debug)]
pub(crate) struct Msg91 {
    pub(crate) authkeys: Vec<SecretString>,
    pub(crate) flows: Flows,
    pub(crate) admission: Admission,
}

impl Msg91 {
    pub(crate) fn router(self) -> Router {
        Router::new()
            .route("/msg91/api/v5/flow", post(send_flow))
            .with_state(Arc::new(self))
    }

    fn authorize(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let given = http::header(headers, "authkey").ok_or(Refusal::NO_AUTHKEY)?;
        let known = self.authkeys.iter();
        if known.into_iter().any(|key| key.expose_secret() == given) {
            Ok(())
        } else {
            Err(Refusal::BAD_AUTHKEY)
        }
    }

    async fn send(&self, headers: &HeaderMap, body: &[u8]) -> Result<Verdict, Refusal> {
        self.authorize(headers)?;
        let order = Order::parse(body, &self.flows)?;
        Ok(self.admission.admit(order.into_accepted(headers)).await)
    }
}

async fn send_flow(
    State(msg91): State<Arc<Msg91>>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let requests = &msg91.admission.requests;
    requests.saw(Channel::Sms);
    let verdict = match msg91.send(&headers, &body).await {
        Ok(verdict) => verdict,
        Err(refusal) => {
            requests.refused(Channel::Sms);
            return refusal.into_response();
        }
    };
    let accepted = |message: &Accepted| {
        let answer = json!({"type": "success", "message": message.provider_message_id});
        http::json(StatusCode::OK, &answer)
    };
    verdict.respond(&wire, accepted, Refusal::injected, Refusal::INTERNAL)
}
