#![doc = include_str!("../README.md")]

mod claims;
mod fate;
mod outcome;
mod row;
mod settle;
mod sql;
mod store;

use database::Schema;

pub use claims::{Choice, ClaimFailed};
pub use fate::Fate;
pub use outcome::{Certainty, Outcome, Settled, State, Verdict};
pub use row::{Arrival, Claimed};
pub use settle::Counted;
pub use store::{Idle, Inbox, Place, Rules, Stored};

/// The tables of this crate.
pub const SCHEMA: Schema = Schema {
    table: "_inbox_migrations",
    postgres: &sqlx::migrate!("./migrations/postgres"),
    sqlite: &sqlx::migrate!("./migrations/sqlite"),
};
