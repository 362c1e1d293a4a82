//! Answers in JSON.

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use chassis::chance;
use serde::Serialize;
use serde_json::json;

/// The value as a JSON body.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    body(status, "application/json", value)
}

/// A refusal after RFC 9457, naming the field at fault by its JSON pointer.
pub(crate) fn unprocessable(pointer: &str, detail: &str) -> Response {
    let problem = json!({
        "type": "about:blank",
        "title": "Unprocessable Content",
        "status": 422,
        "detail": "a field cannot be used",
        "errors": [{"pointer": pointer, "detail": detail}],
    });
    problem_body(StatusCode::UNPROCESSABLE_ENTITY, &problem)
}

/// A problem after RFC 9457 without more to say than its status.
pub(crate) fn problem(status: StatusCode, detail: &str) -> Response {
    let title = status.canonical_reason();
    let problem =
        json!({"type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail});
    problem_body(status, &problem)
}

fn problem_body(status: StatusCode, problem: &serde_json::Value) -> Response {
    body(status, "application/problem+json", problem)
}

fn body(status: StatusCode, media_type: &'static str, value: &impl Serialize) -> Response {
    let Ok(bytes) = serde_json::to_vec(value) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let media_type = HeaderValue::from_static(media_type);
    (status, [(CONTENT_TYPE, media_type)], bytes).into_response()
}

/// The text of a header, if it is there and visible ASCII.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// `prefix` and 32 random hexadecimal digits.
pub(crate) fn identifier(prefix: &str) -> String {
    format!("{prefix}{}", chance::token())
}
