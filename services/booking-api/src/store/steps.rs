//! Steps of notifications, each kept once.

use database::{Error, batch, from_micros, micros};
use events::{Channel, Pnr, Step};
use serde::Serialize;
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::notification::NotificationStep;
use crate::store::Store;
use crate::store::row::{parse, undecodable};

/// A step to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewStep {
    /// Identity: the same record again is not kept again.
    pub(crate) record_id: String,
    pub(crate) pnr: Pnr,
    pub(crate) step: NotificationStep,
}

#[derive(Serialize)]
struct StepRow<'a> {
    record_id: &'a str,
    pnr: &'a str,
    event_id: &'a str,
    event_type: &'static str,
    channel: &'static str,
    status: &'static str,
    attempt: u32,
    provider: Option<&'a str>,
    provider_message_id: Option<&'a str>,
    reason: Option<&'a str>,
    occurred_at: i64,
    kafka_partition: i32,
    kafka_offset: i64,
}

impl<'a> StepRow<'a> {
    fn of(new: &'a NewStep) -> Self {
        let step = &new.step;
        Self {
            record_id: &new.record_id,
            pnr: new.pnr.as_str(),
            event_id: step.event_id.as_str(),
            event_type: step.event_type.as_str(),
            channel: step.channel.status_name(),
            status: step.step.as_str(),
            attempt: step.attempt,
            provider: step.provider.as_deref(),
            provider_message_id: step.provider_message_id.as_deref(),
            reason: step.reason.as_deref(),
            occurred_at: micros(step.occurred_at),
            kafka_partition: step.partition,
            kafka_offset: step.offset,
        }
    }
}

impl Store {
    /// Keeps steps, and tells how many were not kept before.
    pub(crate) async fn keep_steps(&self, steps: &[NewStep]) -> Result<u64, Error> {
        if steps.is_empty() {
            return Ok(0);
        }
        // In one order for all, or two processes with the same records could wait for each other.
        let sql = self.database.pick(
            "insert into notification_step (record_id, pnr, event_id, event_type, channel, status, attempt, provider, provider_message_id, reason, occurred_at, kafka_partition, kafka_offset)
             select record_id, pnr, event_id, event_type, channel, status, attempt, provider, provider_message_id, reason, occurred_at, kafka_partition, kafka_offset
             from json_to_recordset($1::json) as r(record_id text, pnr text, event_id text, event_type text, channel text, status text, attempt bigint, provider text, provider_message_id text, reason text, occurred_at bigint, kafka_partition integer, kafka_offset bigint)
             order by record_id
             on conflict (record_id) do nothing",
            "insert into notification_step (record_id, pnr, event_id, event_type, channel, status, attempt, provider, provider_message_id, reason, occurred_at, kafka_partition, kafka_offset)
             select value->>'record_id', value->>'pnr', value->>'event_id', value->>'event_type', value->>'channel', value->>'status', value->>'attempt', value->>'provider', value->>'provider_message_id', value->>'reason', value->>'occurred_at', value->>'kafka_partition', value->>'kafka_offset'
             from json_each($1) where true
             on conflict (record_id) do nothing",
        );
        let rows: Vec<_> = steps.iter().map(StepRow::of).collect();
        let mut transaction = self.begin().await?;
        let insert = sqlx::query(sql).bind(batch(&rows)?);
        let kept = insert.execute(&mut transaction).await?.rows_affected();
        transaction.commit().await?;
        Ok(kept)
    }

    /// Every step known of a PNR, whoever wrote it.
    pub(super) async fn steps_of(&self, pnr: &Pnr) -> Result<Vec<NotificationStep>, Error> {
        let sql = "select event_id, event_type, channel, status, attempt, provider, provider_message_id, reason, occurred_at, kafka_partition, kafka_offset
             from notification_step where pnr = $1 order by kafka_partition, kafka_offset";
        let rows = sqlx::query(sql)
            .bind(pnr.as_str())
            .fetch_all(&self.database)
            .await?;
        rows.iter().map(read).collect()
    }
}

fn read(row: &AnyRow) -> Result<NotificationStep, Error> {
    let attempt: i64 = row.try_get("attempt")?;
    Ok(NotificationStep {
        event_id: parse(row, "event_id")?,
        event_type: parse(row, "event_type")?,
        channel: channel(row.try_get("channel")?)?,
        step: parse::<Step>(row, "status")?,
        attempt: u32::try_from(attempt).unwrap_or(u32::MAX),
        provider: row.try_get("provider")?,
        provider_message_id: row.try_get("provider_message_id")?,
        reason: row.try_get("reason")?,
        occurred_at: from_micros(row.try_get("occurred_at")?),
        partition: row.try_get("kafka_partition")?,
        offset: row.try_get("kafka_offset")?,
    })
}

fn channel(name: &str) -> Result<Channel, Error> {
    Channel::of_status_name(name).map_err(|error| undecodable("channel", error))
}
