//! What a client is told: kept with an idempotency key, so that a replay says the same.

mod booking_out;
mod problem;
mod story_out;

pub(crate) use booking_out::{BookingOut, BookingPage};
pub(crate) use problem::{FieldError, Kind, Problem, ProblemOut};
use serde::{Deserialize, Serialize};
pub(crate) use story_out::{ItemOut, Items, NotificationOut};

use crate::booking::Booking;

/// The path of the bookings, under which each has its PNR.
pub(crate) const BOOKINGS: &str = "/api/v1/bookings";

/// An answer to a command.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) location: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) etag: Option<String>,
    pub(crate) body: String,
}

impl Answer {
    /// 201, and where the booking is.
    pub(crate) fn created(booking: &Booking) -> Result<Self, serde_json::Error> {
        Ok(Self {
            status: 201,
            location: Some(format!("{BOOKINGS}/{}", booking.pnr)),
            ..Self::booking(booking)?
        })
    }

    /// 200, and the booking.
    pub(crate) fn booking(booking: &Booking) -> Result<Self, serde_json::Error> {
        Ok(Self {
            status: 200,
            location: None,
            etag: Some(format!("\"{}\"", booking.version)),
            body: serde_json::to_string(&BookingOut::from(booking))?,
        })
    }

    /// A refusal of what was asked at `instance`, a path.
    pub(crate) fn refused(problem: &Problem, instance: &str) -> Self {
        Self {
            status: problem.status(),
            location: None,
            etag: None,
            body: problem.body(instance, None),
        }
    }

    /// Whether the body is `application/problem+json`.
    pub(crate) fn is_problem(&self) -> bool {
        self.status >= 400
    }
}

/// The body names a passenger.
impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}
