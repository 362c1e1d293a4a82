//! A limit of time on our side, for a database that falls silent without closing: then no limit of its own helps.

use std::io::ErrorKind;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use sqlx::any::{AnyQueryResult, AnyRow, AnyStatement, AnyTypeInfo};
use sqlx::{Any, Describe, Either, Error, Execute, Executor, SqlStr};
use tokio::time::timeout;

use crate::{Database, WriteTransaction};

/// Longer than the server's own limit for a statement (10 s), so that where it can answer it does.
const PATIENCE: Duration = Duration::from_secs(15);

/// What came in time, or [`Error::Io`].
pub(crate) async fn in_time<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    timeout(PATIENCE, work).await.unwrap_or_else(|_| silence())
}

fn silence<T>() -> Result<T, Error> {
    let problem = format!("the database said nothing for {PATIENCE:?}");
    Err(Error::Io(std::io::Error::new(ErrorKind::TimedOut, problem)))
}

type Steps<'e> = BoxStream<'e, Result<Either<AnyQueryResult, AnyRow>, Error>>;

/// Each step in time; a late one ends the stream with an error.
fn each_in_time(steps: Steps<'_>) -> Steps<'_> {
    let in_time = stream::unfold(Some(steps), async |steps| {
        let mut steps = steps?;
        match timeout(PATIENCE, steps.next()).await {
            Ok(step) => Some((step?, Some(steps))),
            Err(_) => Some((silence(), None)),
        }
    });
    in_time.boxed()
}

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
                each_in_time($executor.fetch_many(query))
            }

            fn fetch_optional<'e, 'q: 'e, E>($this, query: E) -> BoxFuture<'e, Result<Option<AnyRow>, Error>>
            where
                $life: 'e,
                E: 'q + Execute<'q, Any>,
            {
                Box::pin(in_time($executor.fetch_optional(query)))
            }

            fn prepare_with<'e>($this, sql: SqlStr, parameters: &'e [AnyTypeInfo]) -> BoxFuture<'e, Result<AnyStatement, Error>>
            where
                $life: 'e,
            {
                Box::pin(in_time($executor.prepare_with(sql, parameters)))
            }

            fn describe<'e>($this, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Any>, Error>>
            where
                $life: 'e,
            {
                Box::pin(in_time($executor.describe(sql)))
            }
        }
    };
}

// For reading.
executor_in_time!('c, &'c Database, self, self.pool());
executor_in_time!('c, &'c mut WriteTransaction, self, (&mut *self.transaction));
