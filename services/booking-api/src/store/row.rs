//! A booking as its table has it.

use std::error::Error as StdError;
use std::str::FromStr;
use std::sync::Arc;

use database::{Error, from_micros, micros};
use serde::Serialize;
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::booking::Booking;

#[derive(Serialize)]
pub(super) struct BookingRow<'a> {
    pnr: &'a str,
    version: i64,
    user_id: i64,
    status: &'static str,
    payment_status: &'static str,
    history: String,
    details: String,
    cancel_reason: Option<&'a str>,
    created_at: i64,
    updated_at: i64,
}

impl<'a> BookingRow<'a> {
    pub(super) fn of(booking: &'a Booking) -> Result<Self, Error> {
        let details = serde_json::to_string(booking.details.as_ref());
        Ok(Self {
            pnr: booking.pnr.as_str(),
            version: booking.version,
            user_id: booking.details.user_id,
            status: booking.status.as_str(),
            payment_status: booking.payment_status.as_str(),
            history: booking.history.to_string(),
            details: details.map_err(|error| Error::Encode(error.into()))?,
            cancel_reason: booking.cancel_reason.as_deref(),
            created_at: micros(booking.created_at),
            updated_at: micros(booking.updated_at),
        })
    }
}

pub(super) fn read(row: &AnyRow) -> Result<Booking, Error> {
    let details: String = row.try_get("details")?;
    let details = serde_json::from_str(&details).map_err(|error| Error::Decode(error.into()))?;
    Ok(Booking {
        id: row.try_get("booking_id")?,
        pnr: parse(row, "pnr")?,
        version: row.try_get("version")?,
        status: parse(row, "status")?,
        payment_status: parse(row, "payment_status")?,
        history: parse(row, "history")?,
        details: Arc::new(details),
        cancel_reason: row.try_get("cancel_reason")?,
        created_at: from_micros(row.try_get("created_at")?),
        updated_at: from_micros(row.try_get("updated_at")?),
    })
}

/// A column whose text is a word or a number with a form of its own.
pub(super) fn parse<T>(row: &AnyRow, column: &'static str) -> Result<T, Error>
where
    T: FromStr<Err: StdError + Send + Sync + 'static>,
{
    let text: String = row.try_get(column)?;
    text.parse()
        .map_err(|error: T::Err| undecodable(column, error))
}

pub(super) fn undecodable(
    column: &'static str,
    error: impl StdError + Send + Sync + 'static,
) -> Error {
    Error::ColumnDecode {
        index: column.to_owned(),
        source: error.into(),
    }
}
