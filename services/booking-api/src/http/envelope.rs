//! What every answer has: a request id, and a body that says what went wrong.

use axum::extract::Request;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use chassis::chance;
use tracing::warn;

use crate::answer::{Kind, Problem};
use crate::http::headers::{self, X_REQUEST_ID};

pub(super) const PROBLEM_JSON: &str = "application/problem+json";

/// Leaves the problem for [`wrap`], which knows the path and the request id.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status());
        let mut response = status
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            .into_response();
        if let Some(seconds) = self.retry_after_seconds() {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// Takes over or makes the request id, and writes the body of a problem.
pub(super) async fn wrap(request: Request, next: Next) -> Response {
    let id = headers::request_id(request.headers()).unwrap_or_else(chance::token);
    let path = request.uri().path().to_owned();
    let response = next.run(request).await;
    let (problem, mut response) = match nameless(&response) {
        Some(problem) => (Some(problem.clone()), with_headers(problem, response)),
        None => (response.extensions().get::<Problem>().cloned(), response),
    };
    if let Some(problem) = problem {
        if problem.is_our_fault() {
            warn!(
                request.id = id,
                status = problem.status(),
                "a request failed"
            );
        }
        *response.body_mut() = problem.body(&path, Some(&id)).into();
        let content_type = HeaderValue::from_static(PROBLEM_JSON);
        response.headers_mut().insert(CONTENT_TYPE, content_type);
        response
            .headers_mut()
            .remove(axum::http::header::CONTENT_LENGTH);
    }
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(X_REQUEST_ID, id);
    }
    response
}

/// The problem of an error that the router or a layer answered without a word.
fn nameless(response: &Response) -> Option<Problem> {
    let silent = !response.headers().contains_key(CONTENT_TYPE)
        && response.extensions().get::<Problem>().is_none();
    match response.status() {
        StatusCode::NOT_FOUND if silent => {
            Some(Problem::new(Kind::NotFound, "nothing is at this path"))
        }
        StatusCode::METHOD_NOT_ALLOWED if silent => Some(Problem::new(
            Kind::MethodNotAllowed,
            "the Allow header names the methods of this path",
        )),
        StatusCode::SERVICE_UNAVAILABLE if silent => Some(Problem::unavailable()),
        status if silent && status.is_server_error() => Some(Problem::internal()),
        _answered => None,
    }
}

/// The problem's own answer, with the headers that were set already, `Allow` among them.
fn with_headers(problem: Problem, silent: Response) -> Response {
    let mut response = problem.into_response();
    let (parts, _body) = silent.into_parts();
    response.headers_mut().extend(parts.headers);
    response
}
