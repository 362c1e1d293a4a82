//! Answers kept for their idempotency keys.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use database::{Error, WriteTransaction, batch, micros};
use serde::{Serialize, Serializer};
use sqlx::Row;
use sqlx::any::AnyRow;

use crate::answer::Answer;
use crate::idempotency::{Claim, KEPT};
use crate::store::Store;

/// Rows forgotten in one transaction, so that bookings never wait long for it.
const FORGOTTEN_AT_ONCE: i64 = 1000;

/// The answer of the first request with a key.
#[derive(Clone, Debug)]
pub(crate) struct KeptAnswer {
    pub(crate) fingerprint: String,
    pub(crate) answer: Answer,
}

/// An answer to keep.
#[derive(Debug, Serialize)]
pub(crate) struct NewAnswer<'a> {
    scope_key: &'a str,
    fingerprint: &'a str,
    #[serde(serialize_with = "as_text")]
    answer: &'a Answer,
}

impl<'a> NewAnswer<'a> {
    pub(crate) fn new(claim: &'a Claim, answer: &'a Answer) -> Self {
        Self {
            scope_key: &claim.scope_key,
            fingerprint: &claim.fingerprint,
            answer,
        }
    }
}

fn as_text<S: Serializer>(answer: &Answer, to: S) -> Result<S::Ok, S::Error> {
    let text = serde_json::to_string(answer).map_err(serde::ser::Error::custom)?;
    to.serialize_str(&text)
}

fn too_old(now: DateTime<Utc>) -> i64 {
    micros(now - KEPT)
}

impl Store {
    /// The answers kept for keys, by scope key.
    pub(crate) async fn kept_answers(
        &self,
        transaction: &mut WriteTransaction,
        scope_keys: &[&str],
        now: DateTime<Utc>,
    ) -> Result<BTreeMap<String, KeptAnswer>, Error> {
        if scope_keys.is_empty() {
            return Ok(BTreeMap::new());
        }
        let sql = self.database.pick(
            "select scope_key, fingerprint, answer from idempotency where created_at >= $2 and scope_key = any (array(select json_array_elements_text($1::json)))",
            "select scope_key, fingerprint, answer from idempotency where created_at >= $2 and scope_key in (select value from json_each($1))",
        );
        let query = sqlx::query(sql).bind(batch(scope_keys)?).bind(too_old(now));
        let rows = query.fetch_all(transaction).await?;
        rows.iter().map(read).collect()
    }

    /// Keeps answers, and tells whether every key was free: if not, another process answered first.
    pub(crate) async fn keep_answers(
        &self,
        transaction: &mut WriteTransaction,
        answers: &[NewAnswer<'_>],
        now: DateTime<Utc>,
    ) -> Result<bool, Error> {
        if answers.is_empty() {
            return Ok(true);
        }
        let sql = self.database.pick(
            "insert into idempotency (scope_key, fingerprint, answer, created_at)
             select scope_key, fingerprint, answer, $2 from json_to_recordset($1::json) as r(scope_key text, fingerprint text, answer text) order by scope_key
             on conflict (scope_key) do update set fingerprint = excluded.fingerprint, answer = excluded.answer, created_at = excluded.created_at
             where idempotency.created_at < $3",
            "insert into idempotency (scope_key, fingerprint, answer, created_at)
             select value->>'scope_key', value->>'fingerprint', value->>'answer', $2 from json_each($1) where true
             on conflict (scope_key) do update set fingerprint = excluded.fingerprint, answer = excluded.answer, created_at = excluded.created_at
             where idempotency.created_at < $3",
        );
        let insert = sqlx::query(sql)
            .bind(batch(answers)?)
            .bind(micros(now))
            .bind(too_old(now));
        let kept = insert.execute(transaction).await?.rows_affected();
        Ok(usize::try_from(kept) == Ok(answers.len()))
    }

    /// Deletes answers that no longer count, some of them: 0 when none is left.
    pub(crate) async fn forget_answers(&self, now: DateTime<Utc>) -> Result<u64, Error> {
        let sql = "delete from idempotency where scope_key in (select scope_key from idempotency where created_at < $1 limit $2)";
        let mut transaction = self.begin().await?;
        let delete = sqlx::query(sql).bind(too_old(now)).bind(FORGOTTEN_AT_ONCE);
        let rows = delete.execute(&mut transaction).await?.rows_affected();
        transaction.commit().await?;
        Ok(rows)
    }
}

fn read(row: &AnyRow) -> Result<(String, KeptAnswer), Error> {
    let answer: String = row.try_get("answer")?;
    let kept = KeptAnswer {
        fingerprint: row.try_get("fingerprint")?,
        answer: serde_json::from_str(&answer).map_err(|error| Error::Decode(error.into()))?,
    };
    Ok((row.try_get("scope_key")?, kept))
}
