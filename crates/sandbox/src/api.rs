//! The sandbox's own API: what arrived, how it misbehaves, and the inbox page.

mod live;
mod query;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use chassis::chance;
use events::Channel;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use self::query::Query;
use crate::accepted::Accepted;
use crate::admission::Admission;
use crate::faults::Rule;
use crate::http;

/// The page, whole: styles, script, icon. `NONCE` stands where a random number goes that lets this script run and no other.
const PAGE: &str = include_str!("inbox.html");

pub(crate) fn router(admission: Admission) -> Router {
    Router::new()
        .route("/", get(show_page))
        .route("/api/messages", get(list_messages).delete(clear_messages))
        .route("/api/messages/stream", get(live::stream))
        .route("/api/messages/{seq}", get(get_message))
        .route("/api/faults", get(get_faults).put(replace_faults))
        .route("/api/stats", get(get_stats))
        .with_state(Arc::new(admission))
}

type Shared = State<Arc<Admission>>;

/// Nothing from elsewhere, no script but the page's own. A mail's frame inherits this, so even `sandbox` failing would run nothing.
async fn show_page() -> Response {
    let nonce = chance::token();
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'unsafe-inline'; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
        (CONTENT_SECURITY_POLICY, policy),
        (CACHE_CONTROL, "no-store".to_owned()),
    ];
    (headers, PAGE.replace("NONCE", &nonce)).into_response()
}

async fn list_messages(State(sandbox): Shared, RawQuery(query): RawQuery) -> Response {
    let query = match Query::parse(query.as_deref().unwrap_or_default()) {
        Ok(query) => query,
        Err(invalid) => return http::unprocessable(&invalid.parameter, &invalid.detail),
    };
    let items = sandbox.ledger.messages(&query.filter);
    let total = sandbox.ledger.count(&query.filter);
    if query.html {
        let items: Vec<&Accepted> = items.iter().map(AsRef::as_ref).collect();
        return http::json(StatusCode::OK, &Page { items, total });
    }
    let items: Vec<_> = items.iter().map(|message| brief(message)).collect();
    http::json(StatusCode::OK, &Page { items, total })
}

#[derive(Serialize)]
struct Page<T> {
    items: Vec<T>,
    total: usize,
}

/// A message without its HTML, which may be long, and whether there is any.
fn brief(message: &Accepted) -> Value {
    let has_html = message.html.is_some();
    let without = Accepted {
        html: None,
        ..message.clone()
    };
    let mut value = serde_json::to_value(without).unwrap_or_default();
    if let Some(fields) = value.as_object_mut() {
        fields.remove("html");
        fields.insert("hasHtml".to_owned(), json!(has_html));
    }
    value
}

async fn get_message(State(sandbox): Shared, Path(seq): Path<String>) -> Response {
    let seq = seq.parse::<u64>().ok();
    match sandbox.ledger.find(|message| Some(message.seq) == seq) {
        Some(message) => http::json(StatusCode::OK, &*message),
        None => http::problem(StatusCode::NOT_FOUND, "no such message in the view"),
    }
}

async fn clear_messages(State(sandbox): Shared) -> Response {
    match sandbox.ledger.clear() {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => {
            tracing::error!(error = %error, "could not write the ledger");
            http::problem(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the ledger could not be written",
            )
        }
    }
}

/// The document of `/api/faults`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultsDocument {
    rules: Vec<Rule>,
}

async fn get_faults(State(sandbox): Shared) -> Response {
    let rules = sandbox.faults.rules();
    http::json(StatusCode::OK, &FaultsDocument { rules })
}

async fn replace_faults(State(sandbox): Shared, body: Bytes) -> Response {
    let mut json = serde_json::Deserializer::from_slice(&body);
    let document: FaultsDocument = match serde_path_to_error::deserialize(&mut json) {
        Ok(document) => document,
        Err(error) => {
            let pointer = pointer(error.path());
            return http::unprocessable(&pointer, &error.into_inner().to_string());
        }
    };
    match sandbox.faults.replace(document.rules) {
        Ok(()) => get_faults(State(sandbox)).await,
        Err(invalid) => http::unprocessable(&invalid.pointer, &invalid.detail),
    }
}

/// `rules[0].rate` → `/rules/0/rate` (RFC 6901).
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let segments = path.iter().map(|segment| match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } => format!("/{key}"),
        Segment::Enum { variant } => format!("/{variant}"),
        Segment::Unknown => String::new(),
    });
    segments.collect()
}

async fn get_stats(State(sandbox): Shared) -> Response {
    let ever = sandbox.ledger.ever();
    let mut channels = Map::new();
    for channel in Channel::ALL {
        let (requests, refused) = sandbox.requests.of(channel);
        let shown = sandbox.ledger.count(&Query::of(channel).filter);
        let counts = json!({"requests": requests, "refused": refused, "accepted": ever.of(channel), "shown": shown});
        channels.insert(channel.to_string(), counts);
    }
    http::json(StatusCode::OK, &json!({"channels": channels}))
}
