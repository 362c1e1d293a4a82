//! How much waits to be published, and since when.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use chassis::SharedClock;
use database::Error;
use tokio::time::{MissedTickBehavior, interval};
use tracing::warn;

use crate::metrics::OutboxMetrics;
use crate::store::Store;

/// How often the age of the oldest row is taken, and how often at most the rows are counted.
const TICK: Duration = Duration::from_secs(1);

/// Of the time, counting takes one part in so many, while that is less than a minute: it reads every row that waits, and an outage of Kafka makes them millions.
const COUNTED: u32 = 100;

/// How old a count may become, however long the database takes.
const LONGEST_UNCOUNTED: Duration = Duration::from_mins(1);

/// Beside the relay, which goes on publishing meanwhile.
pub(crate) async fn measure(
    store: Store,
    clock: SharedClock,
    metrics: OutboxMetrics,
) -> Infallible {
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut count_at = Instant::now();
    loop {
        tick.tick().await;
        let outcome = async {
            let oldest = store.oldest().await?;
            let age = oldest.map(|oldest| (clock.now() - oldest).as_seconds_f64().max(0.0));
            metrics.oldest_seconds.set(age.unwrap_or_default());
            if age.is_none() {
                metrics.pending.set(0);
            } else if count_at <= Instant::now() {
                let begun = Instant::now();
                let waiting = store.waiting().await;
                let rest = (begun.elapsed() * COUNTED).min(LONGEST_UNCOUNTED);
                count_at = Instant::now() + rest;
                metrics.pending.set(waiting?);
            }
            Ok::<_, Error>(())
        };
        if let Err(error) = outcome.await {
            warn!(error = %error, "could not measure the outbox");
        }
    }
}
