//! Rows on their way to the workers.

use std::time::Duration;

use chassis::chance;
use chrono::DateTime;
use database::{Dialect, Error, WriteTransaction, batch};
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, Row};

use crate::fate::Circumstances;
use crate::row::Claimed;
use crate::sql::timed;
use crate::store::{Idle, Inbox, span_micros};

/// Takes its turn to claim, and keeps the planner on the index of due rows: it cannot know that the first few are enough, and would look at all of them to sort them.
const TURN: &str = "select pg_advisory_xact_lock(hashtext(current_schema() || '.inbox.claim')), set_config('enable_sort', 'off', true)";

/// The same where nobody else has the turn, and says whether it has it.
const TURN_IF_FREE: &str = "select pg_try_advisory_xact_lock(hashtext(current_schema() || '.inbox.claim')), set_config('enable_sort', 'off', true)";

/// A claim's token is so much more than the last one: a number that no other claim takes, or one whose commit failed would be known by the token of the next.
pub(crate) fn token_step() -> i64 {
    i64::try_from(chance::number_in(1..1 << 31)).unwrap_or(1)
}

/// Claims for provider `$2` and `$3` microseconds at most `$4` of the rows that the condition names, oldest first: of each PNR the first unfinished one, and none while another is in flight.
macro_rules! claiming {
    ($database:expr, $($rows:tt),+) => {
        timed!(
            $database,
            // The rows are found once, and each is then reached by its number; its token says that it is still as it was.
            "with due as materialized (
                 select i.seq, i.token from ",
            $($rows),+,
            " and (i.unsure_of = $2 or ($5 = 1 and (i.unsure_of is null or $6 not like '%,' || i.unsure_of || ',%')))
                 and i.seq = (
                     select o.seq from inbox o where o.pnr = i.pnr and o.state in ('PENDING', 'CLAIMED')
                     order by o.version, o.event_at, o.seq limit 1)
                 and (select c.seq from inbox c where c.pnr = i.pnr and c.state = 'CLAIMED' limit 1) is null
                 order by i.not_before, i.seq limit $4)
             update inbox set state = 'CLAIMED', token = inbox.token + $7, attempts = attempts + 1, provider = $2, lease_until = ",
            now,
            " + $3 from due where ",
            ("inbox.seq = any (array[due.seq])" | "inbox.seq = due.seq"),
            " and inbox.token = due.token
             returning inbox.seq, inbox.token, attempts, topic, kafka_partition, kafka_offset, kafka_timestamp, payload, origin, verdict, unsure_of, first_failure_at, received_at, awaits, reason, event_type,
                 (select c.version from inbox c where c.pnr = inbox.pnr and c.event_type = 'BOOKING_CANCELLED' and c.version > inbox.version
                     order by c.version desc limit 1) as cancelled,
                 (select s.event_type || ' ' || s.version from inbox s where s.pnr = inbox.pnr and (s.state = 'SENT' or s.unsure_of is not null)
                     and s.seq <> inbox.seq and (s.version, s.event_at) > (inbox.version, inbox.event_at)
                     order by s.version desc, s.event_at desc limit 1) as told, ",
            now,
            " as taken_at",
        )
    };
}

/// Which rows are wanted for a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Every row but those that another provider may have taken.
    Any,
    /// Those alone that this provider may have taken.
    InDoubt,
}

/// What the database said, and the rows that it may have claimed all the same.
#[derive(Debug, thiserror::Error)]
#[error("not claimed, as far as is known")]
pub struct ClaimFailed {
    /// Why.
    #[source]
    pub error: Error,
    /// Rows whose commit failed, or its answer was lost: an outcome gives them back, or their lease ends the claim.
    pub in_doubt: Vec<Claimed>,
}

impl From<Error> for ClaimFailed {
    fn from(error: Error) -> Self {
        Self {
            error,
            in_doubt: Vec::new(),
        }
    }
}

impl Inbox {
    /// Takes rows that are due for this provider, oldest first: of each PNR the first unfinished one, and none while another is in flight.
    ///
    /// A row that another provider may have taken is left to that one, if it is one of ours still.
    /// Claims are taken one process after another, so that two cannot take two rows of a PNR.
    ///
    /// # Errors
    /// [`ClaimFailed`].
    pub async fn claim(
        &self,
        (provider, choice): (&str, Choice),
        limit: usize,
        lease: Duration,
    ) -> Result<Vec<Claimed>, ClaimFailed> {
        let idle = Idle {
            provider,
            workers: limit,
            lease,
        };
        let mut transaction = self.begin_claiming().await?;
        let claimed = self.claim_due(&mut transaction, choice, idle).await?;
        match transaction.commit().await {
            Ok(()) => Ok(claimed),
            Err(error) => Err(ClaimFailed {
                error,
                in_doubt: claimed,
            }),
        }
    }

    /// Begins a transaction in which no other process claims: for [`Inbox::claim_due`] and [`Inbox::claim_next`], and for [`Inbox::store`] with idle workers.
    ///
    /// The turn is taken before any row is locked, so that two cannot wait for each other. `SQLite` has one writer anyway.
    ///
    /// # Errors
    /// Whatever the database says.
    pub async fn begin_claiming(&self) -> Result<WriteTransaction, Error> {
        let mut transaction = self.database.begin().await?;
        if self.database.dialect() == Dialect::Postgres {
            sqlx::query(TURN).execute(&mut transaction).await?;
        }
        Ok(transaction)
    }

    /// The same without waiting for the turn: `false` with a transaction that must not claim.
    ///
    /// # Errors
    /// Whatever the database says.
    pub async fn begin_claiming_if_free(&self) -> Result<(WriteTransaction, bool), Error> {
        let mut transaction = self.database.begin().await?;
        let free = match self.database.dialect() {
            Dialect::Postgres => {
                let turn = sqlx::query(TURN_IF_FREE).fetch_one(&mut transaction);
                turn.await?.try_get(0)?
            }
            Dialect::Sqlite => true,
        };
        Ok((transaction, free))
    }

    /// [`Inbox::claim`] in a transaction of [`Inbox::begin_claiming`].
    ///
    /// # Errors
    /// Whatever the database says; the transaction is then to be dropped.
    pub async fn claim_due(
        &self,
        transaction: &mut WriteTransaction,
        choice: Choice,
        idle: Idle<'_>,
    ) -> Result<Vec<Claimed>, Error> {
        let sql = claiming!(
            self.database,
            "inbox i where i.state = 'PENDING' and i.not_before <= ",
            now
        );
        let claim = self.claiming(sql, choice, idle);
        self.judged(&claim.fetch_all(transaction).await?)
    }

    /// Takes rows that the settled ones kept waiting, as [`Inbox::claim`] would: nobody has to look for them among all that are due.
    /// The transaction is one of [`Inbox::begin_claiming`].
    ///
    /// # Errors
    /// Whatever the database says; the transaction is then to be dropped.
    pub async fn claim_next(
        &self,
        transaction: &mut WriteTransaction,
        next: &[i64],
        idle: Idle<'_>,
    ) -> Result<Vec<Claimed>, Error> {
        let sql = claiming!(
            self.database,
            // Behind the offset the planner does not see that all of them are due, and reads no index of due rows.
            ("(select * from inbox where seq = any (array(select json_array_elements_text($8::json)::bigint)) offset 0) i where"
                | "inbox i where i.seq in (select value from json_each($8)) and"),
            " i.state = 'PENDING' and i.not_before <= ",
            now
        );
        let claim = self.claiming(sql, Choice::Any, idle).bind(batch(next)?);
        self.judged(&claim.fetch_all(transaction).await?)
    }

    /// The statement with what every claim is told.
    fn claiming<'q>(
        &self,
        sql: &'static str,
        choice: Choice,
        idle: Idle<'_>,
    ) -> Query<'q, Any, AnyArguments> {
        sqlx::query(sql)
            .bind(self.now())
            .bind(idle.provider.to_owned())
            .bind(span_micros(idle.lease))
            .bind(i64::try_from(idle.workers).unwrap_or(i64::MAX))
            .bind(i64::from(choice == Choice::Any))
            .bind(self.providers.clone())
            .bind(token_step())
    }

    /// Claimed rows, oldest first, and whether each is still worth sending.
    fn judged(&self, rows: &[AnyRow]) -> Result<Vec<Claimed>, Error> {
        let judged = |row: &AnyRow| -> Result<Claimed, Error> {
            let mut claimed = Claimed::read(row)?;
            claimed.fate = circumstances(row)?.fate(claimed.taken_at, self.rules.max_age);
            Ok(claimed)
        };
        let mut claimed: Vec<_> = rows.iter().map(judged).collect::<Result<_, _>>()?;
        claimed.sort_by_key(|row| row.seq);
        Ok(claimed)
    }

    /// Frees rows whose lease ran out: their worker died, or slept, with the send perhaps made. Says how many.
    ///
    /// They are due after 2 s: a worker that only waited for the database has that long to write its outcome first.
    ///
    /// # Errors
    /// Whatever the database says.
    pub async fn recover(&self) -> Result<u64, Error> {
        let sql = timed!(
            self.database,
            "update inbox set state = 'PENDING', unsure_of = coalesce(unsure_of, provider), not_before = 2000000 + ",
            now,
            " where state = 'CLAIMED' and lease_until < ",
            now,
        );
        let mut transaction = self.database.begin().await?;
        let update = sqlx::query(sql).bind(self.now());
        let freed = update.execute(&mut transaction).await?.rows_affected();
        transaction.commit().await?;
        Ok(freed)
    }

    /// Deletes at most `limit` rows that were finished longer ago than `age`. Says how many: none means that all were.
    ///
    /// They are looked for among twenty times as many that came first: some of those may have been replayed since.
    ///
    /// # Errors
    /// Whatever the database says.
    pub async fn forget(&self, age: Duration, limit: u16) -> Result<u64, Error> {
        let sql = timed!(
            self.database,
            "delete from inbox where seq in (select o.seq from (select seq, finished_at from inbox order by seq limit $3 * 20) as o where o.finished_at < ",
            now,
            " - $2 limit $3)",
        );
        let mut transaction = self.database.begin().await?;
        let delete = sqlx::query(sql)
            .bind(self.now())
            .bind(span_micros(age))
            .bind(i64::from(limit));
        let forgotten = delete.execute(&mut transaction).await?.rows_affected();
        transaction.commit().await?;
        Ok(forgotten)
    }

    /// How long until the next row is due that is not due yet.
    ///
    /// # Errors
    /// Whatever the database says.
    pub async fn next_due(&self) -> Result<Option<Duration>, Error> {
        let sql = timed!(
            self.database,
            "select min(not_before) - ",
            now,
            " from inbox where state = 'PENDING' and not_before > ",
            now,
        );
        let micros: Option<i64> = sqlx::query_scalar(sql)
            .bind(self.now())
            .fetch_one(&self.database)
            .await?;
        Ok(micros.map(|micros| Duration::from_micros(micros.try_into().unwrap_or_default())))
    }

    /// How many rows are unfinished, and how long the oldest has been here.
    ///
    /// # Errors
    /// Whatever the database says.
    pub async fn unfinished(&self) -> Result<(i64, Duration), Error> {
        let sql = timed!(
            self.database,
            "select count(*), ",
            now,
            " - min(received_at) from inbox where state in ('PENDING', 'CLAIMED')",
        );
        let (count, oldest): (i64, Option<i64>) = sqlx::query_as(sql)
            .bind(self.now())
            .fetch_one(&self.database)
            .await?;
        let oldest = oldest.and_then(|micros| micros.try_into().ok());
        Ok((count, Duration::from_micros(oldest.unwrap_or_default())))
    }
}

fn circumstances(row: &AnyRow) -> Result<Circumstances, Error> {
    let event_type: String = row.try_get("event_type")?;
    let told: Option<String> = row.try_get("told")?;
    let told = told.as_deref().and_then(|told| told.split_once(' '));
    let written_at: Option<i64> = row.try_get("kafka_timestamp")?;
    Ok(Circumstances {
        event_type: event_type
            .parse()
            .map_err(|error: events::UnknownEventType| Error::Decode(error.into()))?,
        cancelled: row.try_get("cancelled")?,
        told: told.and_then(|(event, version)| Some((event.parse().ok()?, version.parse().ok()?))),
        written_at: written_at.and_then(DateTime::from_timestamp_millis),
    })
}
