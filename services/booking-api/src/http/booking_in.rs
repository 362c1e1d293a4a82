//! The bodies that clients send.

use std::ops::RangeInclusive;

use chrono::{Datelike, NaiveDate};
use events::{Money, PaymentStatus, Quota, RailTime};
use serde_json::value::RawValue;

use crate::answer::Problem;
use crate::details::Details;
use crate::fare::{Fare, GivenFare, MAX_RUPEES};
use crate::http::fields::{Fields, Rule, boolean, integer, mark, parsed, reason, string, text};

/// The oldest passenger, in years (contract, "Values").
const MAX_AGE: i64 = 125;

/// Years a journey may be in: a date outside is a slip of the keyboard.
const YEARS: RangeInclusive<i32> = 1900..=2999;

/// `bookingSource` of a body without one (contract, "Create body").
const DEFAULT_SOURCE: &str = "WEB";

/// The body of a new booking.
#[derive(Debug)]
pub(super) struct BookingIn(pub(super) Details);

/// The body of a cancellation, which may be missing.
#[derive(Debug)]
pub(super) struct CancellationIn {
    pub(super) reason: Option<String>,
}

/// The body of a payment's change.
#[derive(Debug)]
pub(super) struct PaymentIn(pub(super) PaymentStatus);

impl BookingIn {
    pub(super) fn read(body: &[u8]) -> Result<Self, Problem> {
        let mut fields = Fields::read(body)?;
        let details = details(&mut fields);
        fields.finish(details).map(Self)
    }
}

impl CancellationIn {
    pub(super) fn read(body: &[u8]) -> Result<Self, Problem> {
        if matches!(body.trim_ascii(), b"" | b"null") {
            return Ok(Self { reason: None });
        }
        let mut fields = Fields::read(body)?;
        let reason = fields.optional("reason", reason);
        fields.finish(Some(Self { reason }))
    }
}

impl PaymentIn {
    pub(super) fn read(body: &[u8]) -> Result<Self, Problem> {
        let mut fields = Fields::read(body)?;
        let status = fields.required("paymentStatus", parsed);
        fields.finish(status.map(Self))
    }
}

/// Every field is read before the first missing one ends it, so that all faults are told.
fn details(fields: &mut Fields) -> Option<Details> {
    let user_id = fields.required("userId", id);
    let user_email = fields.required("userEmail", parsed);
    let user_phone = fields.required("userPhone", parsed);
    let user_name = fields.required("userName", text);
    let train_id = fields.required("trainId", id);
    let train_number = fields.required("trainNumber", parsed);
    let train_name = fields.required("trainName", text);
    let source_station = fields.required("sourceStation", text);
    let destination_station = fields.required("destinationStation", text);
    let journey_date = fields.required("journeyDate", date);
    let departure_time = fields.required("departureTime", time);
    let arrival_time = fields.required("arrivalTime", time);
    let passenger_name = fields.required("passengerName", text);
    let passenger_age = fields.required("passengerAge", age);
    let passenger_gender = fields.required("passengerGender", parsed);
    let coach_number = fields.required("coachNumber", mark);
    let seat_number = fields.required("seatNumber", mark);
    let coach_type = fields.required("coachType", parsed);
    let fare = fare(fields);
    let quota_type = fields.optional("quotaType", parsed);
    let is_tatkal = fields.optional("isTatkal", boolean);
    let booking_source = fields.optional("bookingSource", text);
    let fare = fare?;
    Some(Details {
        user_id: user_id?,
        user_email: user_email?,
        user_phone: user_phone?,
        user_name: user_name?,
        train_id: train_id?,
        train_number: train_number?,
        train_name: train_name?,
        source_station: source_station?,
        destination_station: destination_station?,
        journey_date: journey_date?,
        departure_time: departure_time?,
        arrival_time: arrival_time?,
        passenger_name: passenger_name?,
        passenger_age: passenger_age?,
        passenger_gender: passenger_gender?,
        coach_number: coach_number?,
        seat_number: seat_number?,
        coach_type: coach_type?,
        total_fare: fare.total,
        base_fare: fare.base,
        convenience_fee: fare.convenience_fee,
        gst_amount: fare.gst,
        quota_type: quota_type.unwrap_or(Quota::General),
        is_tatkal: is_tatkal.unwrap_or(false),
        booking_source: booking_source.unwrap_or_else(|| DEFAULT_SOURCE.to_owned()),
    })
}

fn fare(fields: &mut Fields) -> Option<Fare> {
    let base = fields.required("baseFare", money);
    let convenience_fee = fields.optional("convenienceFee", money);
    let gst = fields.optional("gstAmount", money);
    let total = fields.optional("totalFare", money);
    let given = GivenFare {
        base: base?,
        convenience_fee,
        gst,
        total,
    };
    fields.checked(
        "totalFare",
        given.complete().map_err(|rule| rule.to_string()),
    )
}

fn id(value: &RawValue) -> Result<i64, Rule> {
    integer(value, 1, i64::MAX)
}

fn age(value: &RawValue) -> Result<u8, Rule> {
    let age = integer(value, 0, MAX_AGE)?;
    u8::try_from(age).map_err(|error| error.to_string())
}

/// Read from the digits as they stand: no float ever holds money.
fn money(value: &RawValue) -> Result<Money, Rule> {
    let limits = Money::default()..=Money::from_paise(MAX_RUPEES * 100);
    let amount = value.get().parse().ok();
    let within = amount.filter(|amount| limits.contains(amount));
    within
        .ok_or_else(|| format!("must be a number from 0 to {MAX_RUPEES} with at most two decimals"))
}

fn date(value: &RawValue) -> Result<NaiveDate, Rule> {
    let (first, last) = (YEARS.start(), YEARS.end());
    let rule = || format!("must be a date such as 2024-01-15, of the years {first} to {last}");
    let text = string(value).map_err(|_no_text| rule())?;
    let date = has_shape(&text, "0000-00-00").then(|| text.parse().ok());
    let within = date
        .flatten()
        .filter(|date: &NaiveDate| YEARS.contains(&date.year()));
    within.ok_or_else(rule)
}

/// Stricter than what is read from Kafka: no fraction, and no second 60.
fn time(value: &RawValue) -> Result<RailTime, Rule> {
    let rule = || "must be a time such as 16:00 or 16:00:00".to_owned();
    let text = string(value).map_err(|_no_text| rule())?;
    let exact = has_shape(&text, "00:00") || has_shape(&text, "00:00:00");
    let time = exact.then(|| text.parse().ok()).flatten();
    time.filter(|_| !text.ends_with(":60")).ok_or_else(rule)
}

/// Whether the text has a digit where the shape has a 0, and elsewhere what the shape has.
fn has_shape(text: &str, shape: &str) -> bool {
    let alike = |(byte, form): (u8, u8)| match form {
        b'0' => byte.is_ascii_digit(),
        other => byte == other,
    };
    text.len() == shape.len() && text.bytes().zip(shape.bytes()).all(alike)
}

#[cfg(test)]
mod tests;
