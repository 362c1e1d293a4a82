//! A request that wants to write.

use std::time::Duration;

use axum::body::{Bytes, HttpBody};
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use chassis::trace::TraceParent;
use events::Pnr;
use tokio::time::timeout;

use crate::answer::{Kind, Problem};
use crate::http::{BODY_LIMIT_BYTES, fields, headers};
use crate::idempotency::Claim;
use crate::writer::Precondition;

/// How long the whole body may take, so that a client that stalls is told so before the request's own limit.
const BODY_TIME: Duration = Duration::from_secs(10);

/// Headers and body of a POST or PUT.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) path: String,
    pub(super) only_if: Precondition,
    pub(super) claim: Option<Claim>,
    pub(super) trace: TraceParent,
    pub(super) body: Bytes,
}

/// The PNR of the path. What is no PNR is nobody's booking.
#[derive(Debug)]
pub(super) struct BookingPath(pub(super) Pnr);

impl<S: Send + Sync> FromRequest<S> for Call {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let key = headers::idempotency_key(request.headers())?;
        let only_if = headers::precondition(request.headers())?;
        let trace = request.extensions().get().copied();
        let trace = trace.unwrap_or_else(TraceParent::start);
        let json = headers::may_be_json(request.headers());
        let body = read(request, state, BODY_TIME).await?;
        if !json && !body.is_empty() {
            // What is no JSON either is told that first.
            fields::value(&body)?;
            return Err(Problem::new(
                Kind::MediaType,
                "Content-Type must be application/json",
            ));
        }
        let claim = key.map(|key| Claim::new(method.as_str(), &path, &key, &body));
        Ok(Self {
            path,
            only_if,
            claim,
            trace,
            body,
        })
    }
}

/// A body that says in the head that it is too large is refused unread.
async fn read<S: Send + Sync>(
    request: Request,
    state: &S,
    limit: Duration,
) -> Result<Bytes, Problem> {
    if request.body().size_hint().lower() > BODY_LIMIT_BYTES as u64 {
        return Err(too_large());
    }
    let body = timeout(limit, Bytes::from_request(request, state)).await;
    let body = body.map_err(|_elapsed| {
        let detail = format!("the body must arrive within {} seconds", limit.as_secs());
        Problem::new(Kind::RequestTimeout, detail)
    })?;
    body.map_err(|rejection| unreadable(rejection.status()))
}

fn too_large() -> Problem {
    let detail = format!("the body must not be over {BODY_LIMIT_BYTES} bytes");
    Problem::new(Kind::BodyTooLarge, detail)
}

fn unreadable(status: StatusCode) -> Problem {
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        return too_large();
    }
    Problem::new(Kind::NotJson, "the body could not be read to its end")
}

impl<S: Send + Sync> FromRequestParts<S> for BookingPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let pnr = path.ok().and_then(|Path(pnr)| pnr.parse().ok());
        pnr.map(Self).ok_or_else(Problem::booking_not_found)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::body::Body;
    use futures_util::stream::pending;

    use super::*;

    #[tokio::test]
    async fn a_body_that_stalls_is_the_client_s_fault() {
        let nothing = pending::<Result<Bytes, Infallible>>();
        let request = Request::new(Body::from_stream(nothing));
        let problem = read(request, &(), Duration::from_millis(20)).await;
        let problem = problem.unwrap_err();
        assert_eq!(problem.status(), 408);
        assert!(!problem.is_our_fault());
    }
}
