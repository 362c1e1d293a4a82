//! A receiver of traces: OTLP over HTTP, as `opentelemetry-proto` has it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as SpanStatus;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A span that was exported. Ids are in lower-case hexadecimal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// `service.name`.
    pub service: String,
    /// The other attributes of who exported it.
    pub resource: BTreeMap<String, String>,
    /// The header `authorization` it came with.
    pub authorization: String,
    /// Name.
    pub name: String,
    /// Kind.
    pub kind: SpanKind,
    /// Trace.
    pub trace_id: String,
    /// The span itself.
    pub span_id: String,
    /// Its parent; empty for a root.
    pub parent_id: String,
    /// Spans that it links to.
    pub links: Vec<String>,
    /// Attributes, as text.
    pub attributes: BTreeMap<String, String>,
    /// Whether its status is an error.
    pub failed: bool,
    /// Nanoseconds since 1970 at its start.
    pub started: u64,
    /// Nanoseconds it took.
    pub took: u64,
}

type Kept = Arc<Mutex<Vec<Exported>>>;

/// A running receiver. It ends when dropped.
#[derive(Debug)]
pub struct Collector {
    address: SocketAddr,
    kept: Kept,
    task: JoinHandle<()>,
}

impl Collector {
    /// Takes any free port.
    ///
    /// # Errors
    /// If there is none.
    pub async fn start() -> Result<Self> {
        let kept = Kept::default();
        let router = Router::new()
            .route("/v1/traces", post(receive))
            .with_state(Arc::clone(&kept));
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.context("no port for the collector")?;
        let address = listener.local_addr()?;
        let serving = axum::serve(listener, router).into_future();
        let task = tokio::spawn(async move { drop(serving.await) });
        Ok(Self {
            address,
            kept,
            task,
        })
    }

    /// What `OTEL_EXPORTER_OTLP_ENDPOINT` is to be.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The spans of a trace so far, in the order of their starts.
    pub fn trace(&self, trace_id: &str) -> Vec<Exported> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let of_trace = kept.iter().filter(|span| span.trace_id == trace_id);
        let mut spans: Vec<_> = of_trace.cloned().collect();
        spans.sort_by_key(|span| span.started);
        spans
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn receive(State(kept): State<Kept>, headers: HeaderMap, body: Bytes) -> impl IntoResponse {
    let Ok(request) = ExportTraceServiceRequest::decode(body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let authorization = headers.get(AUTHORIZATION);
    let authorization = authorization.and_then(|value| value.to_str().ok());
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    for resource in request.resource_spans {
        let about = resource.resource.map(|about| texts(about.attributes));
        let mut about = about.unwrap_or_default();
        let sender = Exported {
            service: about.remove("service.name").unwrap_or_default(),
            resource: about,
            authorization: authorization.unwrap_or_default().to_owned(),
            ..Exported::default()
        };
        let spans = resource.scope_spans.into_iter();
        let spans = spans.flat_map(|scope| scope.spans);
        kept.extend(spans.map(|span| exported(&sender, span)));
    }
    let answer = ExportTraceServiceResponse::default().encode_to_vec();
    ([(CONTENT_TYPE, "application/x-protobuf")], answer).into_response()
}

fn exported(sender: &Exported, span: Span) -> Exported {
    let failed = |status: i32| status == SpanStatus::Error as i32;
    Exported {
        kind: span.kind(),
        name: span.name,
        trace_id: hex(&span.trace_id),
        span_id: hex(&span.span_id),
        parent_id: hex(&span.parent_span_id),
        links: span.links.iter().map(|link| hex(&link.span_id)).collect(),
        attributes: texts(span.attributes),
        failed: span.status.is_some_and(|status| failed(status.code)),
        started: span.start_time_unix_nano,
        took: span.end_time_unix_nano - span.start_time_unix_nano,
        ..sender.clone()
    }
}

fn hex(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return String::new();
    }
    let shifted = |number: u128, byte: &u8| (number << 8) | u128::from(*byte);
    let number = bytes.iter().fold(0, shifted);
    format!("{number:0width$x}", width = bytes.len() * 2)
}

fn texts(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    let pairs = attributes.into_iter();
    pairs.map(|pair| (pair.key, text(pair.value))).collect()
}

fn text(value: Option<AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}
