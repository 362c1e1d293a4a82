//! Errors as RFC 9457 has them.

use serde::Serialize;
use utoipa::ToSchema;

use crate::booking::Refusal;

/// A kind of problem: one stable `type`, one status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    NotJson,
    InvalidParameter,
    InvalidHeader,
    NotFound,
    BookingNotFound,
    MethodNotAllowed,
    RequestTimeout,
    RequestInProgress,
    AlreadyCancelled,
    JourneyOver,
    PaymentTransition,
    VersionMismatch,
    BodyTooLarge,
    MediaType,
    InvalidBody,
    IdempotencyKeyReused,
    Internal,
    Overloaded,
    Unavailable,
}

impl Kind {
    /// Status, the last part of `type`, `title`.
    const fn parts(self) -> (u16, &'static str, &'static str) {
        match self {
            Self::NotJson => (400, "not-json", "The body is not JSON"),
            Self::InvalidParameter => (400, "invalid-parameter", "A query parameter is not valid"),
            Self::InvalidHeader => (400, "invalid-header", "A header is not valid"),
            Self::NotFound => (404, "not-found", "There is nothing here"),
            Self::BookingNotFound => (404, "booking-not-found", "No booking has this PNR"),
            Self::MethodNotAllowed => (405, "method-not-allowed", "The method is not allowed here"),
            Self::RequestTimeout => (408, "request-timeout", "The body did not arrive in time"),
            Self::RequestInProgress => (
                409,
                "request-in-progress",
                "The first request with this key is still running",
            ),
            Self::AlreadyCancelled => (409, "already-cancelled", "The booking is cancelled"),
            Self::JourneyOver => (409, "journey-over", "The journey is over"),
            Self::PaymentTransition => (
                409,
                "payment-transition",
                "The payment cannot change like this",
            ),
            Self::VersionMismatch => (412, "version-mismatch", "The booking has changed"),
            Self::BodyTooLarge => (413, "body-too-large", "The body is too large"),
            Self::MediaType => (415, "media-type", "The body must be JSON"),
            Self::InvalidBody => (422, "invalid-body", "The body is not valid"),
            Self::IdempotencyKeyReused => (
                422,
                "idempotency-key-reused",
                "The key belongs to another request",
            ),
            Self::Internal => (500, "internal", "Something went wrong here"),
            Self::Overloaded => (503, "overloaded", "Too much to do"),
            Self::Unavailable => (503, "unavailable", "Not available now"),
        }
    }
}

/// A problem to answer with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    kind: Kind,
    detail: String,
    errors: Vec<FieldError>,
}

/// What is wrong with one field of the body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FieldError {
    /// The field, a JSON Pointer (RFC 6901); empty for the whole body.
    #[schema(example = "/passengerAge")]
    pub(crate) pointer: String,
    /// What it must be.
    #[schema(example = "must be a whole number from 0 to 125")]
    pub(crate) detail: String,
}

/// A problem as a client reads it (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProblemOut {
    /// The kind of problem, for programs.
    #[serde(rename = "type")]
    #[schema(example = "urn:harkara:problem:invalid-body")]
    kind: String,
    /// The kind of problem, for people.
    #[schema(example = "The body is not valid")]
    title: String,
    /// The HTTP status.
    #[schema(example = 422)]
    status: u16,
    /// What is wrong this time.
    #[schema(example = "1 field at fault")]
    detail: String,
    /// The path that was asked.
    #[schema(example = "/api/v1/bookings")]
    instance: String,
    /// With 422: every field at fault.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<FieldError>,
    /// With 5xx: under what the operator finds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
}

impl Problem {
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            errors: Vec::new(),
        }
    }

    pub(crate) fn invalid_body(errors: Vec<FieldError>) -> Self {
        let fields = if errors.len() == 1 { "field" } else { "fields" };
        Self {
            kind: Kind::InvalidBody,
            detail: format!("{} {fields} at fault", errors.len()),
            errors,
        }
    }

    pub(crate) fn key_reused() -> Self {
        let detail = "this Idempotency-Key was used with another body";
        let whole_body = FieldError {
            pointer: String::new(),
            detail: "must be the body of the first request with this key".to_owned(),
        };
        Self {
            errors: vec![whole_body],
            ..Self::new(Kind::IdempotencyKeyReused, detail)
        }
    }

    pub(crate) fn booking_not_found() -> Self {
        Self::new(Kind::BookingNotFound, "no booking has this PNR")
    }

    pub(crate) fn unavailable() -> Self {
        let detail = "the booking could not be stored or read; try again, with the same Idempotency-Key if there was one";
        Self::new(Kind::Unavailable, detail)
    }

    pub(crate) fn internal() -> Self {
        Self::new(Kind::Internal, "the request id leads to the reason")
    }

    pub(crate) const fn status(&self) -> u16 {
        self.kind.parts().0
    }

    /// Whether an operator should hear of it. An overload is told by the metrics: a line for each request would add to it.
    pub(crate) const fn is_our_fault(&self) -> bool {
        self.status() >= 500 && !matches!(self.kind, Kind::Overloaded)
    }

    /// Seconds after which it may be tried again.
    pub(crate) const fn retry_after_seconds(&self) -> Option<u64> {
        match self.kind {
            Kind::Overloaded | Kind::Unavailable | Kind::RequestInProgress => Some(1),
            Kind::NotJson
            | Kind::InvalidParameter
            | Kind::InvalidHeader
            | Kind::NotFound
            | Kind::BookingNotFound
            | Kind::MethodNotAllowed
            | Kind::RequestTimeout
            | Kind::AlreadyCancelled
            | Kind::JourneyOver
            | Kind::PaymentTransition
            | Kind::VersionMismatch
            | Kind::BodyTooLarge
            | Kind::MediaType
            | Kind::InvalidBody
            | Kind::IdempotencyKeyReused
            | Kind::Internal => None,
        }
    }

    /// The body. A 5xx shows the request id.
    pub(crate) fn body(&self, instance: &str, request_id: Option<&str>) -> String {
        let (status, slug, title) = self.kind.parts();
        let out = ProblemOut {
            kind: format!("urn:harkara:problem:{slug}"),
            title: title.to_owned(),
            status,
            detail: self.detail.clone(),
            instance: instance.to_owned(),
            errors: self.errors.clone(),
            request_id: request_id.filter(|_| status >= 500).map(str::to_owned),
        };
        serde_json::to_string(&out).unwrap_or_default()
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let kind = match refusal {
            Refusal::AlreadyCancelled => Kind::AlreadyCancelled,
            Refusal::JourneyOver => Kind::JourneyOver,
            Refusal::PaymentTransition { .. } | Refusal::PaymentAfterCancellation { .. } => {
                Kind::PaymentTransition
            }
        };
        Self::new(kind, refusal.to_string())
    }
}
