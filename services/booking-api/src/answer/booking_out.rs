//! A booking as a client reads it.

use events::{BookingStatus, IstDateTime, PaymentStatus};
use serde::Serialize;

use crate::booking::Booking;
use crate::details::Details;

/// The names are those of the event.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BookingOut<'a> {
    booking_id: i64,
    pnr_number: &'a str,
    booking_status: BookingStatus,
    payment_status: PaymentStatus,
    #[serde(flatten)]
    details: &'a Details,
    booking_date: IstDateTime,
    version: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cancel_reason: Option<&'a str>,
}

/// A page of bookings, newest first.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BookingPage<'a> {
    pub(crate) items: Vec<BookingOut<'a>>,
    /// Asks for the next page; none on the last.
    pub(crate) next_cursor: Option<String>,
}

impl<'a> From<&'a Booking> for BookingOut<'a> {
    fn from(booking: &'a Booking) -> Self {
        Self {
            booking_id: booking.id,
            pnr_number: booking.pnr.as_str(),
            booking_status: booking.status,
            payment_status: booking.payment_status,
            details: &booking.details,
            booking_date: IstDateTime::from_utc(booking.created_at),
            version: booking.version,
            cancel_reason: booking.cancel_reason.as_deref(),
        }
    }
}
