#![doc = include_str!("../README.md")]

mod connection;
mod dialect;
mod inspection;
mod patience;
mod settings;
mod time;

pub use connection::{Database, Schema, WriteTransaction};
pub use dialect::Dialect;
pub use inspection::{Inspection, inspect};
pub use settings::DatabaseSettings;
pub use sqlx::Error;
pub use time::{from_micros, micros};

/// A batch as the text of a JSON array, for `json_to_recordset` or `json_each`.
///
/// # Errors
/// [`Error::Encode`] if a row cannot be written as JSON.
pub fn batch<T: serde::Serialize>(rows: &[T]) -> Result<String, Error> {
    serde_json::to_string(rows).map_err(|error| Error::Encode(error.into()))
}
