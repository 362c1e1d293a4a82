//! From a change of a booking to the record that tells of it.

use chassis::trace::{Span, SpanKind, TraceParent};
use chrono::{DateTime, Utc};
use database::micros;
use events::{BookingEvent, EventHeaders, IstDateTime};
use outbox::OutboxRow;

use crate::booking::{Announcement, Booking};

/// The outbox row of an event, and the step of its trace that lasts until it is committed.
pub(crate) fn outbox_row(
    booking: &Booking,
    event: &Announcement,
    trace: TraceParent,
    now: DateTime<Utc>,
) -> Result<(OutboxRow, Span), serde_json::Error> {
    let topic = event.event_type.topic();
    let (mut span, context) = Span::begin(SpanKind::Producer, ("create", topic), Some(trace));
    span.describe_message("create", topic, event.id.as_str());
    let payload = payload(booking, event, now);
    let headers = EventHeaders {
        id: event.id.clone(),
        event_type: event.event_type,
        time: now,
        booking_id: booking.id,
        booking_version: booking.version,
        history: event.earlier.clone(),
        traceparent: Some(context.to_string()),
    };
    let row = OutboxRow {
        event_id: event.id.as_str().to_owned(),
        topic: topic.to_owned(),
        key: booking.pnr.as_str().to_owned(),
        event_type: event.event_type.as_str().to_owned(),
        version: booking.version,
        payload: serde_json::to_string(&payload)?,
        headers: headers.to_pairs(),
        created_at_micros: micros(now),
    };
    Ok((row, span))
}

fn payload(booking: &Booking, event: &Announcement, now: DateTime<Utc>) -> BookingEvent {
    let details = booking.details.as_ref().clone();
    BookingEvent {
        event_id: event.id.clone(),
        event_type: event.event_type,
        booking_id: booking.id,
        pnr_number: booking.pnr.clone(),
        booking_status: booking.status.into(),
        payment_status: booking.payment_status.into(),
        user_id: details.user_id,
        user_email: Some(details.user_email.as_str().to_owned()),
        user_phone: Some(details.user_phone.wire().to_owned()),
        user_name: details.user_name,
        train_id: details.train_id,
        train_number: details.train_number,
        train_name: details.train_name,
        source_station: details.source_station,
        destination_station: details.destination_station,
        journey_date: details.journey_date,
        departure_time: details.departure_time,
        arrival_time: details.arrival_time,
        passenger_name: details.passenger_name,
        passenger_age: details.passenger_age,
        passenger_gender: details.passenger_gender.into(),
        coach_number: details.coach_number,
        seat_number: details.seat_number,
        coach_type: details.coach_type.into(),
        total_fare: details.total_fare,
        base_fare: details.base_fare,
        convenience_fee: details.convenience_fee,
        gst_amount: details.gst_amount,
        booking_date: IstDateTime::from_utc(booking.created_at),
        event_timestamp: IstDateTime::from_utc(now),
        quota_type: details.quota_type.into(),
        is_tatkal: details.is_tatkal,
        booking_source: details.booking_source,
    }
}
