//! A limit of time on our side, for a database that falls silent without closing: then no limit of its own helps.

use std::io::ErrorKind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use sqlx::any::{AnyQueryResult, AnyRow, AnyStatement, AnyTypeInfo};
use sqlx::{Any, Describe, Either, Error, Execute, Executor, SqlStr};
use tokio::time::timeout;

use crate::{Database, WriteTransaction};

/// Longer than the server's own limit for a statement (10 s), so that where it can answer it does.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long after a silence connections are asked whether they still live and take writes before they are used again: they all went bad together, and are given back within this.
const SUSPICION: Duration = Duration::from_mins(1);

/// The limit, and when connections were last found bad. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Patience(Arc<Mutex<Option<Instant>>>);

impl Patience {
    /// What came in time, or [`Error::Io`].
    pub(crate) async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        match timeout(PATIENCE, work).await {
            Ok(result) => result,
            Err(_) => Err(self.silence()),
        }
    }

    /// Each step in time; a late one ends the stream with an error.
    fn each_in_time(self, steps: Steps<'_>) -> Steps<'_> {
        let in_time = stream::unfold(Some((self, steps)), async |state| {
            let (patience, mut steps) = state?;
            match timeout(PATIENCE, steps.next()).await {
                Ok(step) => Some((step?, Some((patience, steps)))),
                Err(_) => Some((Err(patience.silence()), None)),
            }
        });
        in_time.boxed()
    }

    /// Whether the database fell silent lately, or took no writes.
    pub(crate) fn is_suspicious(&self) -> bool {
        let last = *self.lock();
        last.is_some_and(|last| last.elapsed() < SUSPICION)
    }

    /// From now on connections are asked.
    pub(crate) fn suspect(&self) {
        *self.lock() = Some(Instant::now());
    }

    fn silence(&self) -> Error {
        self.suspect();
        let problem = format!("the database said nothing for {PATIENCE:?}");
        Error::Io(std::io::Error::new(ErrorKind::TimedOut, problem))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Steps<'e> = BoxStream<'e, Result<Either<AnyQueryResult, AnyRow>, Error>>;

/// Runs statements on whatever executor it is given, each in time.
macro_rules! executor_in_time {
    ($life:lifetime, $of:ty, $this:ident, $executor:expr) => {
        impl<$life> Executor<$life> for $of {
            type Database = Any;

            fn fetch_many<'e, 'q: 'e, E>($this, query: E) -> Steps<'e>
            where
                $life: 'e,
                E: 'q + Execute<'q, Any>,
            {
                let patience = $this.patience.clone();
                patience.each_in_time($executor.fetch_many(query))
            }

            fn fetch_optional<'e, 'q: 'e, E>($this, query: E) -> BoxFuture<'e, Result<Option<AnyRow>, Error>>
            where
                $life: 'e,
                E: 'q + Execute<'q, Any>,
            {
                let patience = $this.patience.clone();
                Box::pin(async move { patience.in_time($executor.fetch_optional(query)).await })
            }

            fn prepare_with<'e>($this, sql: SqlStr, parameters: &'e [AnyTypeInfo]) -> BoxFuture<'e, Result<AnyStatement, Error>>
            where
                $life: 'e,
            {
                let patience = $this.patience.clone();
                Box::pin(async move { patience.in_time($executor.prepare_with(sql, parameters)).await })
            }

            fn describe<'e>($this, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Any>, Error>>
            where
                $life: 'e,
            {
                let patience = $this.patience.clone();
                Box::pin(async move { patience.in_time($executor.describe(sql)).await })
            }
        }
    };
}

// For reading.
executor_in_time!('c, &'c Database, self, self.pool());
executor_in_time!('c, &'c mut WriteTransaction, self, (&mut *self.transaction));
