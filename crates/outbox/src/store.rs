//! The rows in the database.

use std::time::Duration;

use bus::Published;
use chassis::{SharedClock, chance};
use chrono::{DateTime, Utc};
use database::{Database, Error, WriteTransaction, batch, from_micros, micros};
use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::any::AnyRow;

/// A row to publish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OutboxRow {
    /// Identity: consumers deduplicate by it.
    pub event_id: String,
    /// Topic.
    pub topic: String,
    /// Record key.
    pub key: String,
    /// The kind of event, for the log.
    pub event_type: String,
    /// Order among the rows of a key.
    pub version: i64,
    /// The record's value.
    pub payload: String,
    /// The record's headers.
    #[serde(serialize_with = "as_text")]
    pub headers: Vec<(String, String)>,
    /// Microseconds since 1970.
    pub created_at_micros: i64,
}

fn as_text<S: serde::Serializer>(headers: &[(String, String)], to: S) -> Result<S::Ok, S::Error> {
    let text = serde_json::to_string(headers).map_err(serde::ser::Error::custom)?;
    to.serialize_str(&text)
}

/// A row that the broker has.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Mark {
    pub(crate) event_id: String,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

impl Mark {
    pub(crate) fn new(event_id: String, at: Published) -> Self {
        Self {
            event_id,
            partition: at.partition,
            offset: at.offset,
        }
    }
}

/// Whose the rows of an insert are to publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    This,
    Nobody,
}

/// What becomes of a row that the broker has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum History {
    /// It stays, with partition and offset: the history of what was published.
    Kept,
    /// It goes: the topic is the history.
    Dropped,
}

/// How long the rows of a process are its own when it says nothing more.
pub(crate) const LEASE: Duration = Duration::from_secs(5);

/// The statements. Leases are told by the database's clock, which all processes share.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    database: Database,
    owner: String,
    history: History,
}

impl Store {
    pub(crate) fn new(database: Database, clock: &SharedClock, history: History) -> Self {
        Self {
            database,
            owner: chance::uuid_v7(clock.now()).to_string(),
            history,
        }
    }

    /// Writes rows.
    pub(crate) async fn insert(
        &self,
        transaction: &mut WriteTransaction,
        rows: &[OutboxRow],
        holder: Holder,
    ) -> Result<(), Error> {
        let sql = self.database.pick(
            "insert into outbox (event_id, topic, record_key, event_type, version, payload, headers, created_at, owner, not_before)
             select event_id, topic, key, event_type, version, payload, headers, created_at_micros, $2, 0
             from json_to_recordset($1::json) as r(event_id text, topic text, key text, event_type text, version bigint, payload text, headers text, created_at_micros bigint)",
            "insert into outbox (event_id, topic, record_key, event_type, version, payload, headers, created_at, owner, not_before)
             select value->>'event_id', value->>'topic', value->>'key', value->>'event_type', value->>'version', value->>'payload', value->>'headers', value->>'created_at_micros', $2, 0
             from json_each($1)",
        );
        let owner = match holder {
            Holder::This => self.owner.as_str(),
            Holder::Nobody => "",
        };
        let insert = sqlx::query(sql).bind(batch(rows)?).bind(owner);
        insert.execute(transaction).await.map(|_| ())
    }

    /// Holds, from now on for a lease, every row that carries this process's name.
    pub(crate) async fn hold(&self) -> Result<(), Error> {
        let sql = self.database.pick(
            "insert into outbox_relay (owner, lease_until) values ($1, (extract(epoch from clock_timestamp()) * 1000000)::bigint + $2)
             on conflict (owner) do update set lease_until = excluded.lease_until",
            "insert into outbox_relay (owner, lease_until) values ($1, cast(unixepoch('subsec') * 1000000 as integer) + $2)
             on conflict (owner) do update set lease_until = excluded.lease_until",
        );
        self.write(
            sqlx::query(sql)
                .bind(self.owner.clone())
                .bind(span_micros(LEASE)),
        )
        .await
    }

    /// Takes rows nobody holds, oldest first. The lease comes first: rows in our name are ours only while we hold it, and no other relay may see the one before the other.
    pub(crate) async fn claim(&self, limit: u16) -> Result<Vec<OutboxRow>, Error> {
        let sql = "select 1 from outbox where published_at is null limit 1";
        let unpublished = sqlx::query(sql).fetch_optional(&self.database).await?;
        if unpublished.is_none() {
            return Ok(Vec::new());
        }
        self.hold().await?;
        let sql = self.database.pick(
            "with free as materialized (
                 select o.seq from outbox o where o.published_at is null and o.not_before <= (extract(epoch from clock_timestamp()) * 1000000)::bigint
                 and not exists (select 1 from outbox_relay r where r.owner = o.owner and r.lease_until > (extract(epoch from clock_timestamp()) * 1000000)::bigint)
                 order by o.seq limit $2 for update skip locked)
             update outbox set owner = $1 from free where outbox.seq = any (array[free.seq])
             returning outbox.seq, event_id, topic, record_key, event_type, version, payload, headers, created_at",
            "with free as materialized (
                 select o.seq from outbox o where o.published_at is null and o.not_before <= cast(unixepoch('subsec') * 1000000 as integer)
                 and not exists (select 1 from outbox_relay r where r.owner = o.owner and r.lease_until > cast(unixepoch('subsec') * 1000000 as integer))
                 order by o.seq limit $2)
             update outbox set owner = $1 from free where outbox.seq = free.seq
             returning outbox.seq, event_id, topic, record_key, event_type, version, payload, headers, created_at",
        );
        let claim = sqlx::query(sql).bind(&self.owner).bind(i64::from(limit));
        let mut transaction = self.database.begin().await?;
        let rows = claim.fetch_all(&mut transaction).await?;
        transaction.commit().await?;
        let mut rows = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        rows.sort_by_key(|(seq, _)| *seq);
        Ok(rows.into_iter().map(|(_, row)| row).collect())
    }

    /// Unpublished rows in the name of this process that were written before then.
    pub(crate) async fn held(&self, before: DateTime<Utc>) -> Result<Vec<String>, Error> {
        let sql = "select event_id from outbox where published_at is null and owner = $1 and created_at < $2";
        let held = sqlx::query_scalar(sql)
            .bind(&self.owner)
            .bind(micros(before));
        held.fetch_all(&self.database).await
    }

    /// Lets go of rows: anybody may take them after `delay`.
    pub(crate) async fn release(&self, event_ids: &[String], delay: Duration) -> Result<(), Error> {
        let sql = self.database.pick(
            "update outbox set owner = '', not_before = (extract(epoch from clock_timestamp()) * 1000000)::bigint + $2 where published_at is null and event_id = any (array(select json_array_elements_text($1::json)))",
            "update outbox set owner = '', not_before = cast(unixepoch('subsec') * 1000000 as integer) + $2 where published_at is null and event_id in (select value from json_each($1))",
        );
        self.write(
            sqlx::query(sql)
                .bind(batch(event_ids)?)
                .bind(span_micros(delay)),
        )
        .await
    }

    /// Lets go of every row of this process.
    pub(crate) async fn leave(&self) -> Result<(), Error> {
        let sql = "delete from outbox_relay where owner = $1";
        self.write(sqlx::query(sql).bind(self.owner.clone())).await
    }

    /// Notes where rows were written, or that they are done with.
    pub(crate) async fn mark(&self, marks: &[Mark], now: DateTime<Utc>) -> Result<(), Error> {
        match self.history {
            History::Kept => self.note(marks, now).await,
            History::Dropped => self.drop_published(marks).await,
        }
    }

    async fn drop_published(&self, marks: &[Mark]) -> Result<(), Error> {
        let sql = self.database.pick(
            "delete from outbox where event_id = any (array(select json_array_elements_text($1::json)))",
            "delete from outbox where event_id in (select value from json_each($1))",
        );
        let event_ids: Vec<_> = marks.iter().map(|mark| mark.event_id.as_str()).collect();
        self.write(sqlx::query(sql).bind(batch(&event_ids)?)).await
    }

    async fn note(&self, marks: &[Mark], now: DateTime<Utc>) -> Result<(), Error> {
        let sql = self.database.pick(
            "update outbox set published_at = $2, kafka_partition = r.partition, kafka_offset = r.\"offset\"
             from json_to_recordset($1::json) as r(event_id text, partition integer, \"offset\" bigint)
             where outbox.event_id = any (array[r.event_id])",
            "update outbox set published_at = $2, kafka_partition = r.value->>'partition', kafka_offset = r.value->>'offset'
             from json_each($1) as r where outbox.event_id = r.value->>'event_id'",
        );
        self.write(sqlx::query(sql).bind(batch(marks)?).bind(micros(now)))
            .await
    }

    /// How many rows wait.
    pub(crate) async fn waiting(&self) -> Result<i64, Error> {
        let sql = "select count(*) from outbox where published_at is null";
        sqlx::query_scalar(sql).fetch_one(&self.database).await
    }

    /// When the first of the rows that wait was written.
    pub(crate) async fn oldest(&self) -> Result<Option<DateTime<Utc>>, Error> {
        let sql = "select created_at from outbox where published_at is null order by seq limit 1";
        let oldest: Option<i64> = sqlx::query_scalar(sql)
            .fetch_optional(&self.database)
            .await?;
        Ok(oldest.map(from_micros))
    }

    async fn write(
        &self,
        query: sqlx::query::Query<'_, sqlx::Any, sqlx::any::AnyArguments>,
    ) -> Result<(), Error> {
        let mut transaction = self.database.begin().await?;
        query.execute(&mut transaction).await?;
        transaction.commit().await
    }
}

fn span_micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

fn read(row: &AnyRow) -> Result<(i64, OutboxRow), Error> {
    let headers: String = row.try_get("headers")?;
    let headers = serde_json::from_str(&headers).map_err(|error| Error::Decode(error.into()))?;
    let outbox_row = OutboxRow {
        event_id: row.try_get("event_id")?,
        topic: row.try_get("topic")?,
        key: row.try_get("record_key")?,
        event_type: row.try_get("event_type")?,
        version: row.try_get("version")?,
        payload: row.try_get("payload")?,
        headers,
        created_at_micros: row.try_get("created_at")?,
    };
    Ok((row.try_get("seq")?, outbox_row))
}
