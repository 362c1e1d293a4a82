//! A stand-in for Twilio's Messages API (`/2010-04-01/Accounts/{sid}/Messages.json`).

mod message;
mod refusal;
mod search;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, RawQuery, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use events::Channel;
use secrecy::{ExposeSecret, SecretString};

use self::message::{Outgoing, Stage, resource};
use self::refusal::Refusal;
use self::search::Search;
use crate::accepted::{Accepted, Provider};
use crate::admission::{Admission, Verdict};
use crate::http;
use crate::ledger::Filter;
use crate::wire::Wire;

/// The one account that is known.
#[derive(Debug)]
pub(crate) struct Twilio {
    pub(crate) account: String,
    pub(crate) token: SecretString,
    pub(crate) admission: Admission,
}

impl Twilio {
    pub(crate) fn router(self) -> Router {
        let messages = "/twilio/2010-04-01/Accounts/{account}/Messages.json";
        let message = "/twilio/2010-04-01/Accounts/{account}/Messages/{file}";
        Router::new()
            .route(messages, post(create_message).get(list_messages))
            .route(message, get(fetch_message))
            .with_state(Arc::new(self))
    }

    /// HTTP basic authentication with the account's SID and token, for the account of the path.
    fn authorize(&self, headers: &HeaderMap, account: &str) -> Result<(), Refusal> {
        let given = http::header(headers, AUTHORIZATION.as_str()).unwrap_or_default();
        let given = given
            .strip_prefix("Basic ")
            .and_then(|text| STANDARD.decode(text).ok());
        let known = format!("{}:{}", self.account, self.token.expose_secret());
        if given.as_deref() != Some(known.as_bytes()) {
            return Err(Refusal::AUTHENTICATE);
        }
        if account == self.account {
            Ok(())
        } else {
            Err(Refusal::NOT_FOUND)
        }
    }

    async fn send(
        &self,
        headers: &HeaderMap,
        account: &str,
        body: &[u8],
    ) -> Result<Verdict, Refusal> {
        self.authorize(headers, account)?;
        let outgoing = Outgoing::parse(body)?;
        Ok(self.admission.admit(outgoing.into_accepted(headers)).await)
    }
}

type Known = State<Arc<Twilio>>;

async fn create_message(
    State(twilio): Known,
    ConnectInfo(wire): ConnectInfo<Wire>,
    Path(account): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    twilio.admission.requests.saw(Channel::Sms);
    let verdict = match twilio.send(&headers, &account, &body).await {
        Ok(verdict) => verdict,
        Err(refusal) => {
            twilio.admission.requests.refused(Channel::Sms);
            return refusal.into_response();
        }
    };
    let accepted = |message: &Accepted| {
        let message = resource(message, &account, Stage::Created);
        http::json(StatusCode::CREATED, &message)
    };
    verdict.respond(&wire, accepted, Refusal::injected, Refusal::INTERNAL)
}

async fn list_messages(
    State(twilio): Known,
    Path(account): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    if let Err(refusal) = twilio.authorize(&headers, &account) {
        return refusal.into_response();
    }
    let search = Search::parse(&query.unwrap_or_default());
    let found = twilio.admission.ledger.messages(&Filter {
        provider: Some(Provider::Twilio),
        recipient: search.to.clone(),
        ..Filter::default()
    });
    http::json(StatusCode::OK, &search.page(&found, &account))
}

async fn fetch_message(
    State(twilio): Known,
    Path((account, file)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    if let Err(refusal) = twilio.authorize(&headers, &account) {
        return refusal.into_response();
    }
    let sid = file.strip_suffix(".json").unwrap_or_default();
    let found = twilio
        .admission
        .ledger
        .find(|message| message.provider == Provider::Twilio && message.provider_message_id == sid);
    match found {
        Some(message) => http::json(
            StatusCode::OK,
            &resource(&message, &account, Stage::Delivered),
        ),
        None => Refusal::NOT_FOUND.into_response(),
    }
}
