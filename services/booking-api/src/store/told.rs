//! What was told of a booking, and what changed without being told.

use database::{Error, WriteTransaction, batch, from_micros, micros};
use events::Pnr;
use serde::Serialize;
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::booking::Booking;
use crate::store::Store;
use crate::store::row::parse;
use crate::timeline::{Place, QuietChange, Story, ToldChange};

#[derive(Serialize)]
struct QuietRow<'a> {
    pnr: &'a str,
    version: i64,
    payment_status: &'static str,
    changed_at: i64,
}

impl Store {
    /// Notes changes of the payment that no event tells of: the bookings as they were right after each.
    pub(crate) async fn note_quiet_changes(
        &self,
        transaction: &mut WriteTransaction,
        changed: &[&Booking],
    ) -> Result<(), Error> {
        if changed.is_empty() {
            return Ok(());
        }
        let sql = self.database.pick(
            "insert into quiet_change (pnr, version, payment_status, changed_at)
             select pnr, version, payment_status, changed_at
             from json_to_recordset($1::json) as r(pnr text, version bigint, payment_status text, changed_at bigint)",
            "insert into quiet_change (pnr, version, payment_status, changed_at)
             select value->>'pnr', value->>'version', value->>'payment_status', value->>'changed_at'
             from json_each($1)",
        );
        let rows = changed.iter().map(|booking| QuietRow {
            pnr: booking.pnr.as_str(),
            version: booking.version,
            payment_status: booking.payment_status.as_str(),
            changed_at: micros(booking.updated_at),
        });
        let rows: Vec<_> = rows.collect();
        let insert = sqlx::query(sql).bind(batch(&rows)?);
        insert.execute(transaction).await.map(|_| ())
    }

    /// All that is known of a booking's past; none of a PNR that was never booked here, whatever others wrote of it.
    pub(crate) async fn story_of(&self, pnr: &Pnr) -> Result<Option<Story>, Error> {
        let told = self.told_changes_of(pnr).await?;
        let quiet = self.quiet_changes_of(pnr).await?;
        let steps = self.steps_of(pnr).await?;
        // Last, so that no cancellation is told without its reason.
        let booking = self.find(pnr).await?;
        Ok(booking.map(|booking| Story {
            told,
            quiet,
            steps,
            cancel_reason: booking.cancel_reason,
        }))
    }

    /// The changes of a booking that no event tells of, in their order.
    async fn quiet_changes_of(&self, pnr: &Pnr) -> Result<Vec<QuietChange>, Error> {
        let sql = "select version, payment_status, changed_at from quiet_change where pnr = $1 order by version";
        let rows = sqlx::query(sql)
            .bind(pnr.as_str())
            .fetch_all(&self.database)
            .await?;
        let read = |row: &AnyRow| {
            Ok(QuietChange {
                version: row.try_get("version")?,
                payment_status: parse(row, "payment_status")?,
                at: from_micros(row.try_get("changed_at")?),
            })
        };
        rows.iter().map(read).collect()
    }

    /// The events of a booking in their order: the outbox is their history.
    async fn told_changes_of(&self, pnr: &Pnr) -> Result<Vec<ToldChange>, Error> {
        let sql = "select event_id, event_type, version, topic, created_at, published_at, kafka_partition, kafka_offset
             from outbox where record_key = $1 order by version";
        let rows = sqlx::query(sql)
            .bind(pnr.as_str())
            .fetch_all(&self.database)
            .await?;
        rows.iter().map(read).collect()
    }
}

fn read(row: &AnyRow) -> Result<ToldChange, Error> {
    let published_at: Option<i64> = row.try_get("published_at")?;
    let published = published_at.map(|at| {
        Ok::<_, Error>(Place {
            partition: row.try_get("kafka_partition")?,
            offset: row.try_get("kafka_offset")?,
            at: from_micros(at),
        })
    });
    Ok(ToldChange {
        event_id: parse(row, "event_id")?,
        event_type: parse(row, "event_type")?,
        version: row.try_get("version")?,
        topic: row.try_get("topic")?,
        at: from_micros(row.try_get("created_at")?),
        published: published.transpose()?,
    })
}
