//! The HTTP port every program has, and the client every adapter uses.

mod connection;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::Listener;
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use crate::metrics::{self, Counter, EncodeLabelSet, Family, Histograms, Metrics};
use crate::trace::{KeyValue, Span, SpanKind, TraceParent};
use crate::usage::Usage;
use crate::{Failure, Readiness, Shutdown};
use connection::{Limits, converse};

/// What a client gets that does nothing wrong but is slow.
const LIMITS: Limits = Limits {
    // Longer than the minute a load balancer keeps a connection, or it would send a request into a closing one.
    head: Duration::from_secs(75),
    drain: Duration::from_secs(3),
};

/// A client for one provider: `timeout` bounds the whole call, and connections are kept for the next one.
///
/// # Errors
/// [`Failure::Broken`] if TLS cannot be set up.
pub fn client(timeout: Duration) -> Result<reqwest::Client, Failure> {
    reqwest::Client::builder()
        .timeout(timeout)
        .connect_timeout(timeout.min(Duration::from_secs(3)))
        .pool_idle_timeout(Duration::from_mins(1))
        .redirect(reqwest::redirect::Policy::none())
        .user_agent("harkara")
        .build()
        .map_err(Failure::broken("could not build an HTTP client"))
}

/// Whether the other side may have acted on a call that failed: the connection stood, so the request may have been written.
pub fn may_have_arrived(error: &reqwest::Error) -> bool {
    !error.is_connect() && !error.is_builder()
}

/// The wait that `Retry-After` asks for in seconds (RFC 9110 §10.2.3); its other form, a date, is not read.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse();
    seconds.ok().map(Duration::from_secs)
}

/// Takes the address of `HTTP_ADDR`.
///
/// # Errors
/// [`Failure::Unavailable`] if it is taken or not ours.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address)
        .await
        .map_err(|error| Failure::Unavailable {
            what: "HTTP_ADDR",
            problem: format!("could not listen on {address}: {error}"),
        })
}

/// `/livez`, `/readyz` and `/metrics`, with `more` beside them, every route counted and timed, and what the process takes told.
pub fn router(metrics: &Metrics, readiness: Readiness, more: Router) -> Router {
    #[cfg(target_os = "linux")]
    metrics.register(|registry| registry.register_collector(Box::new(Usage::of_new_process())));
    metrics.register(|registry| registry.register_collector(Box::new(readiness.clone())));
    let text = metrics.clone();
    let operations = Router::new()
        .route("/livez", get(|| async { "ok" }))
        .route("/readyz", get(move || async move { readiness.respond() }))
        .route("/metrics", get(move || async move { encode(&text) }));
    let http = HttpMetrics::register(metrics);
    more.layer(from_fn(trace))
        .merge(operations)
        .layer(from_fn_with_state(http, measure))
}

/// Serves until shutdown, then answers every request that arrived whole.
///
/// The head of a request may take 75 seconds, and a connection may be idle as long.
/// After shutdown, what has not arrived within 3 seconds is dropped, and so is an answer that does not end.
///
/// # Errors
/// None so far.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: Shutdown,
) -> Result<(), Failure> {
    serve_within(LIMITS, listener, router, shutdown).await;
    Ok(())
}

async fn serve_within(
    limits: Limits,
    mut listener: TcpListener,
    router: Router,
    shutdown: Shutdown,
) {
    let connections = TaskTracker::new();
    while let Some((stream, _address)) = shutdown
        .run_until_cancelled(Listener::accept(&mut listener))
        .await
    {
        // Answers are small and awaited; without it each may wait for an acknowledgement.
        drop(stream.set_nodelay(true));
        connections.spawn(converse(stream, router.clone(), limits, shutdown.clone()));
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

fn encode(metrics: &Metrics) -> Response {
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics.encode()).into_response()
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Route {
    method: String,
    route: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Answer {
    method: String,
    route: String,
    status: u16,
}

#[derive(Clone, Debug)]
struct HttpMetrics {
    requests: Family<Answer, Counter>,
    seconds: Histograms<Route>,
}

impl HttpMetrics {
    fn register(metrics: &Metrics) -> Self {
        let own = Self {
            requests: Family::default(),
            seconds: metrics::seconds_by(),
        };
        metrics.register(|registry| {
            registry.register("http_requests", "Requests answered", own.requests.clone());
            registry.register(
                "http_request_duration_seconds",
                "Seconds from a request's head to its answer's head",
                own.seconds.clone(),
            );
        });
        own
    }
}

/// What a request is called where many are told apart: a client may invent methods and paths, a label may not.
fn named(request: &Request) -> (&'static str, &str) {
    let known = ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"];
    let method = request.method().as_str();
    let method = known.iter().find(|name| **name == method);
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or("unmatched", MatchedPath::as_str);
    (method.unwrap_or(&"OTHER"), route)
}

/// A step of the client's trace, or of a new one, for each request; the request takes its context along. The path is not told: it may hold a PNR.
async fn trace(mut request: Request, next: Next) -> Response {
    let header = request.headers().get(TraceParent::HEADER);
    let parent = header.and_then(|value| value.to_str().ok()?.parse().ok());
    let (method, route) = named(&request);
    let route = route.to_owned();
    let (mut span, context) = Span::begin(SpanKind::Server, (method, &route), parent);
    request.extensions_mut().insert(context);
    let response = next.run(request).await;
    let status = response.status();
    span.describe(|| {
        [
            KeyValue::new("http.request.method", method),
            KeyValue::new("http.route", route),
            KeyValue::new("http.response.status_code", i64::from(status.as_u16())),
        ]
    });
    if status.is_server_error() {
        span.fail(status.as_str().to_owned());
    }
    response
}

async fn measure(State(http): State<HttpMetrics>, request: Request, next: Next) -> Response {
    let (method, route) = named(&request);
    let label = Route {
        method: method.to_owned(),
        route: route.to_owned(),
    };
    let started = Instant::now();
    let response = next.run(request).await;
    http.seconds
        .get_or_create(&label)
        .observe(started.elapsed().as_secs_f64());
    let Route { method, route } = label;
    let status = StatusCode::as_u16(&response.status());
    http.requests
        .get_or_create(&Answer {
            method,
            route,
            status,
        })
        .inc();
    response
}
