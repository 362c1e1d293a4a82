//! The calls on bookings.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::header::{CONTENT_TYPE, ETAG, LOCATION};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use database::Error;
use serde::Serialize;
use tracing::error;

use crate::answer::{Answer, BookingOut, BookingPage, Problem};
use crate::booking::{Booking, Command};
use crate::http::Api;
use crate::http::booking_in::{BookingIn, CancellationIn, PaymentIn};
use crate::http::call::{BookingPath, Call};
use crate::http::envelope::PROBLEM_JSON;
use crate::http::headers::IDEMPOTENT_REPLAYED;
use crate::http::listing::{Listing, cursor};
use crate::http::openapi::{BookingResponse, Changed, Changes, Created, Creates, Page, Reads};
use crate::http::parameters::{KeyParameter, ListParameters, MatchParameter, PnrParameter};
use crate::writer::{Reply, Task};

/// Books a seat
///
/// The booking is confirmed and durable when this answers, and `BOOKING_CONFIRMED` will be published, whether Kafka is up or not.
/// A part of the fare that is left out is computed: convenience fee 2 % and GST 5 % of the base fare, the total their sum.
#[utoipa::path(
    post,
    path = "/api/v1/bookings",
    tag = "bookings",
    params(KeyParameter),
    request_body(content = BookingIn),
    responses(Created, Creates)
)]
pub(super) async fn create_booking(
    State(api): State<Api>,
    call: Call,
) -> Result<Response, Problem> {
    let BookingIn(details) = BookingIn::read(&call.body)?;
    let task = Task::Create(Arc::new(details));
    api.submit(call, task).await.and_then(respond)
}

/// Shows a booking
#[utoipa::path(
    get,
    path = "/api/v1/bookings/{pnr}",
    tag = "bookings",
    params(PnrParameter),
    responses(BookingResponse, Reads)
)]
pub(super) async fn get_booking(
    State(api): State<Api>,
    BookingPath(pnr): BookingPath,
) -> Result<Response, Problem> {
    let booking = api.store.find(&pnr).await.map_err(unreadable)?;
    let booking = booking.ok_or_else(Problem::booking_not_found)?;
    Answer::booking(&booking).map(send).map_err(unwritable)
}

/// Lists bookings, newest first
#[utoipa::path(
    get,
    path = "/api/v1/bookings",
    tag = "bookings",
    params(ListParameters),
    responses(Page)
)]
pub(super) async fn list_bookings(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let Listing { filter, limit } = Listing::read(&query.unwrap_or_default())?;
    let mut bookings = api
        .store
        .list(filter, limit + 1)
        .await
        .map_err(unreadable)?;
    let page_size = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = bookings.len() > page_size;
    bookings.truncate(page_size);
    let last = bookings.last().filter(|_| more);
    json(&BookingPage {
        items: bookings.iter().map(BookingOut::from).collect(),
        next_cursor: last.map(|last: &Booking| cursor(last.id)),
    })
}

/// Cancels a booking
///
/// `BOOKING_CANCELLED` will be published. The body may be left out.
#[utoipa::path(
    post,
    path = "/api/v1/bookings/{pnr}/cancel",
    tag = "bookings",
    params(PnrParameter, KeyParameter, MatchParameter),
    request_body(content = Option<CancellationIn>),
    responses(Changed, Changes)
)]
pub(super) async fn cancel_booking(
    State(api): State<Api>,
    BookingPath(pnr): BookingPath,
    call: Call,
) -> Result<Response, Problem> {
    let CancellationIn { reason } = CancellationIn::read(&call.body)?;
    let task = Task::Change {
        pnr,
        only_if: call.only_if.clone(),
        command: Command::Cancel { reason },
    };
    api.submit(call, task).await.and_then(respond)
}

/// Changes the state of the payment
///
/// `PAYMENT_COMPLETED` will be published when it becomes `COMPLETED`. The state it has already changes nothing and publishes nothing.
/// `PENDING` may become `COMPLETED` or `FAILED`; `FAILED` may become `PENDING` or `COMPLETED`; `COMPLETED` may become `REFUNDED` or `PARTIALLY_REFUNDED`; `PARTIALLY_REFUNDED` may become `REFUNDED`. A cancelled booking can only be refunded.
#[utoipa::path(
    put,
    path = "/api/v1/bookings/{pnr}/payment-status",
    tag = "bookings",
    params(PnrParameter, KeyParameter, MatchParameter),
    request_body(content = PaymentIn),
    responses(Changed, Changes)
)]
pub(super) async fn update_payment_status(
    State(api): State<Api>,
    BookingPath(pnr): BookingPath,
    call: Call,
) -> Result<Response, Problem> {
    let PaymentIn(status) = PaymentIn::read(&call.body)?;
    let task = Task::Change {
        pnr,
        only_if: call.only_if.clone(),
        command: Command::SetPaymentStatus(status),
    };
    api.submit(call, task).await.and_then(respond)
}

fn respond(reply: Reply) -> Result<Response, Problem> {
    match reply {
        Reply::Answered(answer) => Ok(send(answer)),
        Reply::Replayed(answer) => {
            let mut response = send(answer);
            let replayed = HeaderValue::from_static("true");
            response.headers_mut().insert(IDEMPOTENT_REPLAYED, replayed);
            Ok(response)
        }
        Reply::KeyReused => Err(Problem::key_reused()),
        Reply::Unavailable => Err(Problem::unavailable()),
    }
}

fn send(answer: Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let media_type = if answer.is_problem() {
        PROBLEM_JSON
    } else {
        "application/json"
    };
    let mut response = (status, [(CONTENT_TYPE, media_type)], answer.body).into_response();
    for (name, text) in [(LOCATION, answer.location), (ETAG, answer.etag)] {
        if let Some(value) = text.and_then(|text| HeaderValue::from_str(&text).ok()) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

pub(super) fn json(body: &impl Serialize) -> Result<Response, Problem> {
    let body = serde_json::to_string(body).map_err(unwritable)?;
    Ok(([(CONTENT_TYPE, "application/json")], body).into_response())
}

#[expect(clippy::needless_pass_by_value, reason = "the end of a map_err")]
pub(super) fn unreadable(error: Error) -> Problem {
    error!(error = %error, "could not read bookings");
    Problem::unavailable()
}

#[expect(clippy::needless_pass_by_value, reason = "the end of a map_err")]
fn unwritable(error: serde_json::Error) -> Problem {
    error!(error = %error, "could not write an answer");
    Problem::internal()
}
