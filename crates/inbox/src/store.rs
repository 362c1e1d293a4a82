//! Rows on their way in.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chassis::SharedClock;
use chrono::{DateTime, Utc};
use database::{Database, Error, WriteTransaction, batch, from_micros, micros};
use serde::Serialize;
use sqlx::any::AnyRow;
use sqlx::{Row as _, ValueRef as _};

use crate::claims::token_step;
use crate::row::Arrival;
use crate::sql::timed;

/// How long rows wait for what belongs before them, and how old they may become.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// How long an event waits for an earlier one of its PNR that was not taken in yet.
    pub order_wait: Duration,
    /// Age of a record above which it is not told any more.
    pub max_age: Duration,
}

/// The rows of one channel.
#[derive(Clone, Debug)]
pub struct Inbox {
    pub(crate) database: Database,
    pub(crate) rules: Rules,
    /// `,twilio,msg91,`
    pub(crate) providers: String,
    clock: Option<SharedClock>,
}

/// What became of an arrival that was new.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stored {
    /// The event.
    pub event_id: String,
    /// Its row.
    pub seq: i64,
    /// The claim, of one that is claimed.
    pub token: i64,
    /// When it was taken in.
    pub received_at: DateTime<Utc>,
    /// Its place.
    pub place: Place,
}

/// Workers that wait for a row while rows come in.
#[derive(Clone, Copy, Debug)]
pub struct Idle<'a> {
    /// The provider they send through.
    pub provider: &'a str,
    /// How many there are.
    pub workers: usize,
    /// How long a claim of theirs lasts.
    pub lease: Duration,
}

/// An arrival as the insert statement reads it.
#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    arrival: &'a Arrival,
    /// 1 if an idle worker may have it at once.
    at_once: i64,
}

/// Where a new row stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// It may be claimed in its turn.
    Due,
    /// It is claimed for an idle worker, attempt 1.
    Claimed,
    /// It waits for an earlier event of its PNR.
    Waiting,
    /// It is too old to be told.
    Expired,
    /// It was a dead letter and is tried again.
    Reopened,
}

impl Inbox {
    /// The rows of this database, for these providers. Times are told by the database's clock.
    pub fn new(database: Database, rules: Rules, providers: &[&str]) -> Self {
        Self {
            database,
            rules,
            providers: format!(",{},", providers.join(",")),
            clock: None,
        }
    }

    /// The same with times told by `clock`.
    #[must_use]
    pub fn with_clock(mut self, clock: SharedClock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// The first parameter of every statement.
    pub(crate) fn now(&self) -> Option<i64> {
        self.clock.as_ref().map(|clock| micros(clock.now()))
    }

    /// Stores what was consumed, and says what was new. An event that is there already stays as it is.
    ///
    /// What comes after everything that was told of its PNR, and has nothing to wait for, goes to an idle worker at once: it is stored as claimed, and nobody has to look for it. With idle workers the transaction is one of [`Inbox::begin_claiming`].
    ///
    /// # Errors
    /// Whatever the database says; the transaction is then to be dropped.
    pub async fn store(
        &self,
        transaction: &mut WriteTransaction,
        arrivals: &[Arrival],
        idle: Option<Idle<'_>>,
    ) -> Result<Vec<Stored>, Error> {
        if arrivals.is_empty() {
            return Ok(Vec::new());
        }
        let (mut stored, gates) = self.insert(transaction, arrivals, idle).await?;
        if gates {
            self.open_gates(transaction, arrivals).await?;
        }
        if arrivals.iter().any(Arrival::is_cancellation) {
            self.hasten_superseded(transaction, arrivals).await?;
        }
        if gates {
            self.mark_waiting(transaction, &mut stored).await?;
        }
        Ok(stored)
    }

    /// What was new, and whether any of it waits for an earlier event, or is waited for.
    async fn insert(
        &self,
        transaction: &mut WriteTransaction,
        arrivals: &[Arrival],
        idle: Option<Idle<'_>>,
    ) -> Result<(Vec<Stored>, bool), Error> {
        let workers = idle.map_or(0, |idle| idle.workers);
        let rows = rows(arrivals, workers);
        let sql = timed!(
            self.database,
            "insert into inbox (event_id, pnr, event_type, version, event_at, awaits, topic, kafka_partition, kafka_offset, kafka_timestamp, payload, origin, state, not_before, received_at, finished_at, token, attempts, provider, lease_until)
             select event_id, pnr, event_type, version, event_at, awaits, topic, kafka_partition, kafka_offset, kafka_timestamp, payload, origin, state,
                 now + case when awaits is null then 0 else $4 end, now, case when state = 'EXPIRED' then now end,
                 claimed * $7, claimed, case when claimed = 1 then $5 end, case when claimed = 1 then now + $6 else 0 end
             from (select event_id, pnr, event_type, version, event_at, case unmet when 1 then awaits end as awaits, topic, kafka_partition, kafka_offset, kafka_timestamp, payload, origin, state, now,
                 case state when 'CLAIMED' then 1 else 0 end as claimed
             from (select r.*, case when r.kafka_timestamp * 1000 < r.now - $3 then 'EXPIRED' when r.at_once = 1 and r.unmet = 0
                 and (select o.seq from inbox o where o.pnr = r.pnr and o.state in ('PENDING', 'CLAIMED') order by o.version, o.event_at, o.seq limit 1) is null
                 and (select n.seq from inbox n where n.pnr = r.pnr and n.version >= r.version order by n.version desc limit 1) is null
                 then 'CLAIMED' else 'PENDING' end as state
             from (select r.*, t.now, case when r.awaits is null then 0 when exists (select 1 from ",
            ("json_array_elements_text(r.awaits::json) as earlier(version) where not exists (select 1 from inbox p where p.pnr = r.pnr and p.version = earlier.version::bigint))"
                | "json_each(r.awaits) as earlier where not exists (select 1 from inbox p where p.pnr = r.pnr and p.version = earlier.value))"),
            " then 1 else 0 end as unmet
             from (select ",
            ("r.event_id, r.pnr, r.event_type, r.version, r.event_at, r.awaits, r.topic, r.partition as kafka_partition, r.\"offset\" as kafka_offset, r.timestamp as kafka_timestamp, r.payload, r.origin, r.at_once
                 from json_to_recordset($2::json) as r(event_id text, pnr text, event_type text, version bigint, event_at bigint, awaits text, topic text, partition integer, \"offset\" bigint, timestamp bigint, payload text, origin text, at_once bigint)"
                | "value->>'event_id' as event_id, value->>'pnr' as pnr, value->>'event_type' as event_type, value->>'version' as version, value->>'event_at' as event_at, value->>'awaits' as awaits, value->>'topic' as topic, value->>'partition' as kafka_partition, value->>'offset' as kafka_offset, value->>'timestamp' as kafka_timestamp, value->>'payload' as payload, value->>'origin' as origin, value->>'at_once' as at_once
                 from json_each($2)"),
            ") as r, (select ",
            now,
            // Behind the offset the planner cannot put the whole expression wherever the state is named, and so decides once.
            " as now) as t",
            (" offset 0" | ""),
            ") as r",
            (" offset 0" | ""),
            ") as r) as r where true on conflict (event_id) do nothing returning event_id, seq, token, state, received_at, awaits,
                 (select w.seq from inbox w where w.pnr = inbox.pnr and w.awaits is not null limit 1) as awaited",
        );
        let insert = sqlx::query(sql)
            .bind(self.now())
            .bind(batch(&rows)?)
            .bind(span_micros(self.rules.max_age))
            .bind(span_micros(self.rules.order_wait))
            .bind(idle.map(|idle| idle.provider.to_owned()))
            .bind(span_micros(idle.map_or(Duration::ZERO, |idle| idle.lease)))
            .bind(token_step());
        let rows = insert.fetch_all(transaction).await?;
        let gates = rows
            .iter()
            .any(|row| is_there(row, "awaits") || is_there(row, "awaited"));
        let stored = rows.iter().map(stored).collect::<Result<_, _>>()?;
        Ok((stored, gates))
    }

    /// Rows that waited for these, or whose predecessors were there before them, wait no more.
    async fn open_gates(
        &self,
        transaction: &mut WriteTransaction,
        arrivals: &[Arrival],
    ) -> Result<(), Error> {
        let sql = timed!(
            self.database,
            "update inbox set awaits = null, not_before = ",
            now,
            " where awaits is not null and finished_at is null and state <> 'CLAIMED' and attempts = 0 and pnr ",
            ("= any (array(select json_array_elements_text($2::json))) and not exists (select 1 from json_array_elements_text(awaits::json) as earlier(version) where "
                | "in (select value from json_each($2)) and not exists (select 1 from json_each(awaits) as earlier where "),
            "not exists (select 1 from inbox p where p.pnr = inbox.pnr and p.version = ",
            ("earlier.version::bigint))" | "earlier.value))"),
        );
        let update = sqlx::query(sql)
            .bind(self.now())
            .bind(batch(&pnrs(arrivals.iter()))?);
        update.execute(transaction).await.map(|_| ())
    }

    /// A confirmation that waits for its next attempt must not hold up the cancellation that makes it untrue.
    async fn hasten_superseded(
        &self,
        transaction: &mut WriteTransaction,
        arrivals: &[Arrival],
    ) -> Result<(), Error> {
        let sql = timed!(
            self.database,
            "update inbox set not_before = ",
            now,
            " where finished_at is null and state <> 'CLAIMED' and event_type = 'BOOKING_CONFIRMED' and verdict is null and not_before > ",
            now,
            " and pnr ",
            ("= any (array(select json_array_elements_text($2::json)))"
                | "in (select value from json_each($2))"),
        );
        let cancellations = arrivals.iter().filter(|arrival| arrival.is_cancellation());
        let update = sqlx::query(sql)
            .bind(self.now())
            .bind(batch(&pnrs(cancellations))?);
        update.execute(transaction).await.map(|_| ())
    }

    async fn mark_waiting(
        &self,
        transaction: &mut WriteTransaction,
        stored: &mut [Stored],
    ) -> Result<(), Error> {
        let sql = self.database.pick(
            "select event_id from inbox where awaits is not null and finished_at is null and event_id = any (array(select json_array_elements_text($1::json)))",
            "select event_id from inbox where awaits is not null and finished_at is null and event_id in (select value from json_each($1))",
        );
        let ids: Vec<_> = stored.iter().map(|row| row.event_id.as_str()).collect();
        let waiting: Vec<String> = sqlx::query_scalar(sql)
            .bind(batch(&ids)?)
            .fetch_all(transaction)
            .await?;
        let waiting: BTreeSet<_> = waiting.into_iter().collect();
        for row in stored {
            if waiting.contains(&row.event_id) {
                row.place = Place::Waiting;
            }
        }
        Ok(())
    }

    /// Tries dead letters again that came back, also those whose own acknowledgement was lost; what is not a dead letter here is stored as if it were new.
    ///
    /// # Errors
    /// Whatever the database says; the transaction is then to be dropped.
    pub async fn reopen(
        &self,
        transaction: &mut WriteTransaction,
        arrivals: &[Arrival],
    ) -> Result<Vec<Stored>, Error> {
        if arrivals.is_empty() {
            return Ok(Vec::new());
        }
        let sql = timed!(
            self.database,
            "update inbox set state = 'PENDING', attempts = 0, token = token + 1, verdict = null, reason = null, first_failure_at = null, last_failure_at = null, finished_at = null, not_before = ",
            now,
            (", origin = r.origin from json_to_recordset($2::json) as r(event_id text, origin text) where inbox.event_id = any (array[r.event_id])"
                | ", origin = r.value->>'origin' from json_each($2) as r where inbox.event_id = r.value->>'event_id'"),
            " and (inbox.state = 'DEAD' or (inbox.state = 'PENDING' and inbox.verdict is not null)) returning inbox.event_id, inbox.seq, inbox.token, inbox.received_at, 'REOPENED' as state",
        );
        let update = sqlx::query(sql).bind(self.now()).bind(batch(arrivals)?);
        let reopened = update.fetch_all(&mut *transaction).await?;
        let mut new = self.store(transaction, arrivals, None).await?;
        for row in &reopened {
            new.push(stored(row)?);
        }
        Ok(new)
    }
}

/// What comes alone may go to a worker: where a PNR comes twice, the one may make the other untrue, and where an event does, only the first is stored.
fn rows(arrivals: &[Arrival], mut workers: usize) -> Vec<Row<'_>> {
    let (mut of_pnr, mut of_event) = (BTreeMap::new(), BTreeMap::new());
    for arrival in arrivals {
        *of_pnr.entry(arrival.pnr()).or_insert(0) += 1;
        *of_event.entry(arrival.event_id()).or_insert(0) += 1;
    }
    let row = |arrival: &'_ Arrival| -> i64 {
        let alone =
            of_pnr.get(arrival.pnr()) == Some(&1) && of_event.get(arrival.event_id()) == Some(&1);
        let at_once = alone && workers > 0;
        workers -= usize::from(at_once);
        at_once.into()
    };
    let at_once: Vec<_> = arrivals.iter().map(row).collect();
    let pairs = arrivals.iter().zip(at_once);
    pairs
        .map(|(arrival, at_once)| Row { arrival, at_once })
        .collect()
}

fn is_there(row: &AnyRow, column: &str) -> bool {
    row.try_get_raw(column).is_ok_and(|value| !value.is_null())
}

fn stored(row: &AnyRow) -> Result<Stored, Error> {
    let state: String = row.try_get("state")?;
    Ok(Stored {
        event_id: row.try_get("event_id")?,
        seq: row.try_get("seq")?,
        token: row.try_get("token")?,
        received_at: from_micros(row.try_get("received_at")?),
        place: match state.as_str() {
            "EXPIRED" => Place::Expired,
            "CLAIMED" => Place::Claimed,
            "REOPENED" => Place::Reopened,
            _ => Place::Due,
        },
    })
}

fn pnrs<'a>(arrivals: impl Iterator<Item = &'a Arrival>) -> Vec<&'a str> {
    let different: BTreeSet<_> = arrivals.map(Arrival::pnr).collect();
    different.into_iter().collect()
}

pub(crate) fn span_micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}
