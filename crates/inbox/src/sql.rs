//! What every statement shares: the time by the database's clock, which all processes share, in microseconds since 1970.
//!
//! A statement that reaches rows by PNR, event or number says `finished_at is null`, not which states that are: the planner would rather read every unfinished row, of which its statistics know none.
//!
//! The first parameter of every statement is the time, where another clock than the database's is to tell it; `null` otherwise.

/// The time in a statement for `PostgreSQL`.
macro_rules! pg_now {
    () => {
        "coalesce($1, (extract(epoch from statement_timestamp()) * 1000000)::bigint)"
    };
}

/// The time in a statement for `SQLite`.
macro_rules! lite_now {
    () => {
        "coalesce($1, cast(unixepoch('subsec') * 1000000 as integer))"
    };
}

/// A statement for `PostgreSQL` and the same for `SQLite`, with `now` standing for the time.
macro_rules! timed {
    (@pg now) => { $crate::sql::pg_now!() };
    (@lite now) => { $crate::sql::lite_now!() };
    (@pg ($pg:literal | $lite:literal)) => { $pg };
    (@lite ($pg:literal | $lite:literal)) => { $lite };
    (@pg $text:literal) => { $text };
    (@lite $text:literal) => { $text };
    ($database:expr, $($part:tt),+ $(,)?) => {
        $database.pick(
            concat!($(timed!(@pg $part)),+),
            concat!($(timed!(@lite $part)),+),
        )
    };
}

pub(crate) use {lite_now, pg_now, timed};
