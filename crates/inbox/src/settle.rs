//! What became of claims, on its way into the rows.

use std::time::Duration;

use database::{Error, WriteTransaction, batch};
use events::DeadLetterClass;
use serde::Serialize;

use crate::outcome::{Certainty, Outcome, Settled, Verdict};
use crate::sql::timed;
use crate::store::{Inbox, span_micros};

/// An outcome as the update statement reads it.
#[derive(Debug, Default, Serialize)]
struct Change {
    seq: i64,
    token: i64,
    state: &'static str,
    refund: i64,
    /// Microseconds from now.
    after: Option<i64>,
    /// 1 if an attempt failed now.
    failed: i64,
    /// 1 if this is the end.
    finished: i64,
    /// The attempt's provider is to be remembered as one that may have it (1), or all doubt is gone (-1).
    doubt: i64,
    verdict: Option<String>,
    provider_message_id: Option<String>,
    reason: Option<String>,
}

/// An outcome that still counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The row.
    pub seq: i64,
    /// The claim's token.
    pub token: i64,
    /// The first other unfinished row of its PNR: it may be due now.
    pub next: Option<i64>,
}

impl Inbox {
    /// Writes what became of claims, all at once. A confirmation that a cancellation made untrue meanwhile waits for no next attempt: the cancellation waits for it.
    ///
    /// Answers those that still counted: whose row nobody claimed since.
    ///
    /// # Errors
    /// Whatever the database says; the transaction is then to be dropped.
    pub async fn settle(
        &self,
        transaction: &mut WriteTransaction,
        settled: &[Settled],
    ) -> Result<Vec<Counted>, Error> {
        let changes = settled.iter().map(change).collect::<Result<Vec<_>, _>>()?;
        let sql = timed!(
            self.database,
            "update inbox set state = r.state, token = inbox.token + 1, attempts = attempts - r.refund, lease_until = 0,
                 not_before = case when r.after is not null and inbox.event_type = 'BOOKING_CONFIRMED' and r.verdict is null
                     and (select c.seq from inbox c where c.event_type = 'BOOKING_CANCELLED' and c.pnr = inbox.pnr and c.version > inbox.version order by c.version limit 1) is not null
                     then t.now else coalesce(t.now + r.after, inbox.not_before) end, finished_at = case when r.finished = 1 then t.now end,
                 first_failure_at = case when r.failed = 1 then coalesce(inbox.first_failure_at, t.now) else inbox.first_failure_at end,
                 last_failure_at = case when r.failed = 1 then t.now else inbox.last_failure_at end,
                 unsure_of = case r.doubt when 1 then coalesce(inbox.unsure_of, inbox.provider) when 0 then inbox.unsure_of end,
                 verdict = coalesce(r.verdict, inbox.verdict), provider_message_id = r.provider_message_id, reason = r.reason ",
            ("from json_to_recordset($2::json) as r(seq bigint, token bigint, state text, refund bigint, after bigint, failed bigint, finished bigint, doubt bigint, verdict text, provider_message_id text, reason text), "
            | "from (select value->>'seq' as seq, value->>'token' as token, value->>'state' as state, value->>'refund' as refund, value->>'after' as after, value->>'failed' as failed, value->>'finished' as finished, value->>'doubt' as doubt, value->>'verdict' as verdict, value->>'provider_message_id' as provider_message_id, value->>'reason' as reason from json_each($2)) as r, "),
            "(select ", now, " as now) as t
             where ",
            ("inbox.seq = any (array[r.seq])" | "inbox.seq = r.seq"),
            " and inbox.token = r.token and inbox.finished_at is null returning inbox.seq, inbox.token - 1 as token, (select o.seq from inbox o where o.pnr = inbox.pnr and o.state in ('PENDING', 'CLAIMED') and o.seq <> inbox.seq
                 order by o.version, o.event_at, o.seq limit 1) as next",
        );
        let update = sqlx::query_as(sql).bind(self.now()).bind(batch(&changes)?);
        let counted: Vec<(i64, i64, Option<i64>)> = update.fetch_all(transaction).await?;
        let counted = counted.into_iter();
        let counted = counted.map(|(seq, token, next)| Counted { seq, token, next });
        Ok(counted.collect())
    }
}

/// PostgreSQL holds every character but one, and a provider's words may hold any.
fn storable(text: &str) -> String {
    text.replace(char::is_control, " ")
}

fn written(verdict: &Verdict) -> Result<Option<String>, Error> {
    serde_json::to_string(verdict)
        .map(Some)
        .map_err(|error| Error::Encode(error.into()))
}

const fn doubt(certainty: Certainty) -> i64 {
    match certainty {
        Certainty::Unchanged => 0,
        Certainty::Unsure => 1,
        Certainty::NotTaken => -1,
    }
}

fn waiting(unchanged: Change, after: Duration, certainty: Certainty, reason: &str) -> Change {
    Change {
        after: Some(span_micros(after)),
        doubt: doubt(certainty),
        reason: Some(storable(reason)),
        ..unchanged
    }
}

/// Kept for the day it is replayed.
fn doubt_of(verdict: &Verdict) -> i64 {
    i64::from(verdict.class == DeadLetterClass::Ambiguous)
}

fn change(settled: &Settled) -> Result<Change, Error> {
    let unchanged = Change {
        seq: settled.seq,
        token: settled.token,
        state: settled.outcome.state().as_str(),
        ..Change::default()
    };
    Ok(match &settled.outcome {
        Outcome::Sent {
            provider_message_id,
            remark,
            ..
        } => Change {
            finished: 1,
            provider_message_id: Some(storable(provider_message_id)),
            reason: remark.as_deref().map(storable),
            ..unchanged
        },
        Outcome::Retry {
            after,
            certainty,
            reason,
        } => Change {
            failed: 1,
            ..waiting(unchanged, *after, *certainty, reason)
        },
        Outcome::Defer {
            after,
            certainty,
            reason,
        } => Change {
            refund: 1,
            ..waiting(unchanged, *after, *certainty, reason)
        },
        // The attempt that failed was spent; writing the dead letter again is none.
        Outcome::Condemned { after, verdict } => Change {
            doubt: doubt_of(verdict),
            refund: 1,
            after: Some(span_micros(*after)),
            failed: 1,
            verdict: written(verdict)?,
            reason: Some(storable(&verdict.error)),
            ..unchanged
        },
        Outcome::Dead { verdict } => Change {
            doubt: doubt_of(verdict),
            finished: 1,
            failed: 1,
            verdict: written(verdict)?,
            reason: Some(storable(&verdict.error)),
            ..unchanged
        },
        Outcome::Suppressed { reason } | Outcome::Expired { reason } => Change {
            refund: 1,
            finished: 1,
            reason: Some(storable(reason)),
            ..unchanged
        },
    })
}
