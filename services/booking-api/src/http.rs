//! The HTTP surface: routes, bodies, headers, problems.

mod booking_in;
mod bookings;
mod call;
mod envelope;
mod fields;
mod headers;
mod listing;
mod openapi;
mod parameters;
mod schema;
mod story;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use chassis::Readiness;
use chassis::metrics::Metrics;
use tokio::sync::{Semaphore, oneshot};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;
use tracing::error;

use crate::answer::{Kind, Problem};
use crate::idempotency::InFlight;
use crate::store::Store;
use crate::writer::{Lanes, Refused, Reply, Submission, Task};
use call::Call;

/// The largest body (contract, "Body over 64 KiB: 413").
const BODY_LIMIT_BYTES: usize = 64 * 1024;

/// How long a request may take, from its head to its answer.
const REQUEST_LIMIT: Duration = Duration::from_secs(30);

/// Reads at once: those that the database answers and those that wait for a connection, as writers do. More are refused.
const READS_LIMIT: usize = 256;

/// What the handlers share.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    pub(crate) store: Store,
    pub(crate) lanes: Lanes,
    pub(crate) in_flight: InFlight,
}

/// Everything the port answers.
pub(crate) fn router(api: Api, metrics: &Metrics, readiness: Readiness) -> Router {
    let routes = guarded(admitted(openapi::router(api), READS_LIMIT), REQUEST_LIMIT);
    chassis::http::router(metrics, readiness, routes).layer(from_fn(envelope::wrap))
}

/// No more than so many reads at once; commands wait in lanes of their own.
fn admitted(routes: Router, reads: usize) -> Router {
    routes.layer(from_fn_with_state(Arc::new(Semaphore::new(reads)), admit))
}

async fn admit(State(reads): State<Arc<Semaphore>>, request: Request, next: Next) -> Response {
    if !request.method().is_safe() {
        return next.run(request).await;
    }
    match reads.try_acquire() {
        Ok(_place) => next.run(request).await,
        Err(_none) => {
            let detail = "too many reads are waiting already";
            Problem::new(Kind::Overloaded, detail).into_response()
        }
    }
}

/// Whatever a handler does, it ends with an answer.
fn guarded(routes: Router, limit: Duration) -> Router {
    routes
        .layer(DefaultBodyLimit::max(BODY_LIMIT_BYTES))
        .layer(CatchPanicLayer::custom(|_panic| {
            error!("a handler panicked");
            Problem::internal().into_response()
        }))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::SERVICE_UNAVAILABLE,
            limit,
        ))
}

impl Api {
    /// Queues a command and waits for its answer. If the client goes away, the command is obeyed all the same.
    async fn submit(&self, call: Call, task: Task) -> Result<Reply, Problem> {
        let turn = match &call.claim {
            Some(claim) => Some(self.in_flight.enter(&claim.scope_key).ok_or_else(|| {
                let detail = "the first request with this Idempotency-Key is still running";
                Problem::new(Kind::RequestInProgress, detail)
            })?),
            None => None,
        };
        let (reply, answered) = oneshot::channel();
        let submission = Submission {
            task,
            instance: call.path,
            claim: call.claim,
            turn,
            trace: call.trace,
            reply,
        };
        self.lanes.submit(submission).map_err(|Refused| {
            Problem::new(Kind::Overloaded, "too many commands are waiting already")
        })?;
        answered.await.or(Ok(Reply::Unavailable))
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use axum::routing::get;
    use tokio::net::TcpListener;
    use tokio::task::JoinSet;

    use super::*;

    async fn panics() {
        panic!("on purpose");
    }

    async fn answer_of(path: &str) -> reqwest::Response {
        let base = served(1, Duration::from_millis(50)).await;
        reqwest::get(format!("{base}{path}")).await.unwrap()
    }

    /// Where it is.
    async fn served(reads: usize, limit: Duration) -> String {
        let routes = Router::new()
            .route("/panics", get(panics))
            .route("/hangs", get(pending::<()>).post(async || "done"));
        let guarded = guarded(admitted(routes, reads), limit);
        let service = guarded.layer(from_fn(envelope::wrap));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, service).await });
        format!("http://{address}")
    }

    #[tokio::test]
    async fn reads_above_the_limit_are_refused_and_commands_are_not() {
        let url = served(2, Duration::from_secs(10)).await + "/hangs";
        let mut reads = JoinSet::new();
        for _ in 0..2 {
            reads.spawn(reqwest::get(url.clone()));
        }
        let refused = testkit::eventually("refusal", async || {
            let one = tokio::time::timeout(Duration::from_millis(100), reqwest::get(&url));
            one.await.ok()?.ok()
        });
        let refused = refused.await;
        assert_eq!(refused.status(), 503);
        assert_eq!(refused.headers().get("retry-after").unwrap(), "1");
        let body = refused.text().await.unwrap();
        assert!(body.contains("urn:harkara:problem:overloaded"), "{body}");
        let client = chassis::http::client(Duration::from_secs(10)).unwrap();
        let command = client.post(&url).send().await.unwrap();
        assert_eq!(command.status(), 200);
    }

    #[tokio::test]
    async fn a_panic_is_a_problem_with_nothing_but_a_request_id() {
        let answer = answer_of("/panics").await;
        assert_eq!(answer.status(), 500);
        let id = answer.headers().get("x-request-id").unwrap();
        let id = id.to_str().unwrap().to_owned();
        let body = answer.text().await.unwrap();
        assert!(body.contains(&format!("\"requestId\":\"{id}\"")), "{body}");
        assert!(!body.contains("on purpose"), "{body}");
    }

    #[tokio::test]
    async fn a_handler_that_hangs_is_given_up() {
        let answer = answer_of("/hangs").await;
        assert_eq!(answer.status(), 503);
        assert_eq!(answer.headers().get("retry-after").unwrap(), "1");
        let body = answer.text().await.unwrap();
        assert!(body.contains("urn:harkara:problem:unavailable"), "{body}");
    }
}
