//! The tables, and every statement on them.

mod answers;
mod row;
mod steps;
mod told;

use std::collections::BTreeMap;

use chassis::Failure;
use database::{Database, DatabaseSettings, Error, Schema, WriteTransaction, batch};
use events::{BookingStatus, Pnr};
use sqlx::Row;

pub(crate) use answers::{KeptAnswer, NewAnswer};
pub(crate) use steps::NewStep;

use crate::booking::{Booking, NewBooking};
use row::{BookingRow, read};

/// Connections: the writers, the relay's three, the projection's one, the rest for readers.
const CONNECTIONS: u32 = 13;

/// The tables of this program.
pub const SCHEMAS: [Schema; 2] = [
    Schema {
        table: "_booking_migrations",
        postgres: &sqlx::migrate!("./migrations/postgres"),
        sqlite: &sqlx::migrate!("./migrations/sqlite"),
    },
    outbox::SCHEMA,
];

/// Which bookings a list holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) user_id: Option<i64>,
    pub(crate) status: Option<BookingStatus>,
    /// Only bookings with smaller numbers.
    pub(crate) before: Option<i64>,
}

/// The database of this program. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    database: Database,
}

/// A literal statement on whole bookings.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select booking_id, pnr, version, status, payment_status, history, details, cancel_reason, created_at, updated_at from booking ",
            $rest
        )
    };
}

impl Store {
    pub(crate) async fn open(settings: &DatabaseSettings) -> Result<Self, Failure> {
        let database = Database::open(settings, CONNECTIONS, &SCHEMAS).await?;
        Ok(Self { database })
    }

    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    pub(crate) async fn begin(&self) -> Result<WriteTransaction, Error> {
        self.database.begin().await
    }

    pub(crate) async fn find(&self, pnr: &Pnr) -> Result<Option<Booking>, Error> {
        let row = sqlx::query(select!("where pnr = $1"))
            .bind(pnr.as_str())
            .fetch_optional(&self.database)
            .await?;
        row.as_ref().map(read).transpose()
    }

    /// Newest first.
    pub(crate) async fn list(&self, filter: Filter, limit: i64) -> Result<Vec<Booking>, Error> {
        let before = filter.before.unwrap_or(i64::MAX);
        let status = filter.status.map(BookingStatus::as_str);
        let query = match (filter.user_id, status) {
            (None, None) => sqlx::query(select!(
                "where booking_id < $1 order by booking_id desc limit $2"
            )),
            (Some(user), None) => sqlx::query(select!(
                "where user_id = $1 and booking_id < $2 order by booking_id desc limit $3"
            ))
            .bind(user),
            (None, Some(status)) => sqlx::query(select!(
                "where status = $1 and booking_id < $2 order by booking_id desc limit $3"
            ))
            .bind(status),
            (Some(user), Some(status)) => sqlx::query(select!(
                "where user_id = $1 and status = $2 and booking_id < $3 order by booking_id desc limit $4"
            ))
            .bind(user)
            .bind(status),
        };
        let query = query.bind(before).bind(limit);
        let rows = query.fetch_all(&self.database).await?;
        rows.iter().map(read).collect()
    }

    /// Reads bookings that nobody else changes before the transaction ends: PostgreSQL locks the rows, in one order for all; SQLite has one writer.
    pub(crate) async fn lock(
        &self,
        transaction: &mut WriteTransaction,
        pnrs: &[&str],
    ) -> Result<Vec<Booking>, Error> {
        if pnrs.is_empty() {
            return Ok(Vec::new());
        }
        let sql = self.database.pick(
            select!(
                "where pnr = any (array(select json_array_elements_text($1::json))) order by pnr for update"
            ),
            select!("where pnr in (select value from json_each($1))"),
        );
        let rows = sqlx::query(sql)
            .bind(batch(pnrs)?)
            .fetch_all(transaction)
            .await?;
        rows.iter().map(read).collect()
    }

    /// Writes new bookings, and tells the numbers of those whose PNR was free.
    pub(crate) async fn insert(
        &self,
        transaction: &mut WriteTransaction,
        bookings: &[&NewBooking],
    ) -> Result<BTreeMap<String, i64>, Error> {
        let sql = self.database.pick(
            "insert into booking (pnr, version, user_id, status, payment_status, history, details, created_at, updated_at)
             select pnr, version, user_id, status, payment_status, history, details, created_at, updated_at
             from json_to_recordset($1::json) as r(pnr text, version bigint, user_id bigint, status text, payment_status text, history text, details text, created_at bigint, updated_at bigint)
             on conflict (pnr) do nothing returning booking_id, pnr",
            "insert into booking (pnr, version, user_id, status, payment_status, history, details, created_at, updated_at)
             select value->>'pnr', value->>'version', value->>'user_id', value->>'status', value->>'payment_status', value->>'history', value->>'details', value->>'created_at', value->>'updated_at'
             from json_each($1) where true
             on conflict (pnr) do nothing returning booking_id, pnr",
        );
        let rows = bookings.iter().map(|new| BookingRow::of(new.booking()));
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        let inserted = sqlx::query(sql)
            .bind(batch(&rows)?)
            .fetch_all(transaction)
            .await?;
        let numbers = inserted
            .iter()
            .map(|row| Ok((row.try_get("pnr")?, row.try_get("booking_id")?)));
        numbers.collect()
    }

    /// Writes what may have changed of bookings that were locked.
    pub(crate) async fn update(
        &self,
        transaction: &mut WriteTransaction,
        bookings: &[&Booking],
    ) -> Result<(), Error> {
        if bookings.is_empty() {
            return Ok(());
        }
        let sql = self.database.pick(
            "update booking set version = r.version, status = r.status, payment_status = r.payment_status, history = r.history, cancel_reason = r.cancel_reason, updated_at = r.updated_at
             from json_to_recordset($1::json) as r(pnr text, version bigint, status text, payment_status text, history text, cancel_reason text, updated_at bigint)
             where booking.pnr = any (array[r.pnr])",
            "update booking set version = r.value->>'version', status = r.value->>'status', payment_status = r.value->>'payment_status', history = r.value->>'history', cancel_reason = r.value->>'cancel_reason', updated_at = r.value->>'updated_at'
             from json_each($1) as r where booking.pnr = r.value->>'pnr'",
        );
        let rows = bookings.iter().map(|booking| BookingRow::of(booking));
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        let update = sqlx::query(sql).bind(batch(&rows)?);
        update.execute(transaction).await.map(|_| ())
    }
}

#[cfg(test)]
mod tests;
