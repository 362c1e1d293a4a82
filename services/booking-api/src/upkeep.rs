//! What is done from time to time.

use std::time::Duration;

use bus::{Producer, TopicPlan, Topics, UnequalPartitions};
use chassis::{Failure, Readiness, SharedClock, Shutdown};
use events::{EventType, NOTIFICATION_STATUS};
use tokio::time::{MissedTickBehavior, interval};
use tracing::{debug, warn};

use crate::metrics::TopicMetrics;
use crate::store::Store;

/// How often the database is asked whether it answers.
const PING_EVERY: Duration = Duration::from_secs(3);

/// How often the producer is asked whether a broker is connected.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often topics are measured.
const MEASURE_EVERY: Duration = Duration::from_secs(15);

/// How long it may take to answer.
const PING_LIMIT: Duration = Duration::from_secs(3);

/// How often old answers are forgotten.
const FORGET_EVERY: Duration = Duration::from_hours(1);

/// A rest between the transactions that do it: whoever books meanwhile does not notice.
const REST: Duration = Duration::from_millis(50);

/// Keeps the readiness of `database`.
///
/// The broker is none of its business: a booking is taken whether Kafka is up or not.
pub(crate) async fn watch_database(
    store: Store,
    readiness: Readiness,
    shutdown: Shutdown,
) -> Result<(), Failure> {
    let mut tick = interval(PING_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while next(&mut tick, &shutdown).await {
        let answered = tokio::time::timeout(PING_LIMIT, store.database().ping()).await;
        let state = match answered {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                warn!(error = %error, "the database does not answer");
                Err(format!("no answer: {error}"))
            }
            Err(_) => Err(format!("the database did not answer within {PING_LIMIT:?}")),
        };
        readiness.set("database", state);
    }
    Ok(())
}

/// Makes the topics that are written and read here where they are missing, once a broker answers. Bookings do not wait for it. `false` if the process is to stop.
pub(crate) async fn make_topics(topics: Topics, shutdown: &Shutdown) -> bool {
    let events = EventType::ALL.map(EventType::topic);
    let plans = events.map(|topic| TopicPlan::new(topic).like(&events));
    let statuses = TopicPlan::new(NOTIFICATION_STATUS);
    let plans: Vec<_> = plans.into_iter().chain([statuses]).collect();
    topics.ensure_until(&plans, shutdown).await.is_some()
}

/// Keeps the readiness of `kafka`. Without it bookings are taken all the same, and their events wait.
pub(crate) async fn watch_kafka(
    producer: Producer,
    readiness: Readiness,
    shutdown: Shutdown,
) -> Result<(), Failure> {
    let mut tick = interval(LOOK_EVERY);
    while next(&mut tick, &shutdown).await {
        let waiting = || Err("no broker is connected: events wait".to_owned());
        let state = if producer.is_connected() {
            Ok(())
        } else {
            waiting()
        };
        readiness.set_optional("kafka", state);
    }
    Ok(())
}

/// Measures how the system's topics lie on the brokers.
///
/// # Errors
/// [`Failure::Unavailable`] if the first look shows event topics of unequal partitions. Later, bookings are taken all the same, and the readiness says so.
pub(crate) async fn measure_topics(
    topics: Topics,
    metrics: TopicMetrics,
    readiness: Readiness,
    shutdown: Shutdown,
) -> Result<(), Failure> {
    let own = events::topics();
    let mut starting = true;
    let mut tick = interval(MEASURE_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while next(&mut tick, &shutdown).await {
        match topics.describe().await {
            Ok(layouts) => {
                let ours = layouts.iter().filter(|topic| own.contains(&topic.name));
                ours.for_each(|topic| metrics.set(topic));
                let events = EventType::ALL.map(EventType::topic);
                let equal = UnequalPartitions::check(&events, &layouts);
                if starting {
                    equal.clone()?;
                }
                readiness.set_optional("topics", equal.map_err(|unequal| unequal.to_string()));
            }
            // The readiness says so.
            Err(error) => debug!(error = %error, "could not measure the topics"),
        }
        starting = false;
    }
    Ok(())
}

/// Deletes answers whose keys no longer count.
pub(crate) async fn forget_answers(
    store: Store,
    clock: SharedClock,
    shutdown: Shutdown,
) -> Result<(), Failure> {
    let mut wait = Duration::ZERO;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(wait) => {}
        }
        wait = match store.forget_answers(clock.now()).await {
            Ok(0) => FORGET_EVERY,
            Ok(_) => REST,
            Err(error) => {
                warn!(error = %error, "could not forget old idempotency keys");
                FORGET_EVERY
            }
        };
    }
}

/// Waits for the next turn; false when it is time to stop.
async fn next(tick: &mut tokio::time::Interval, shutdown: &Shutdown) -> bool {
    tokio::select! {
        _ = tick.tick() => true,
        () = shutdown.cancelled() => false,
    }
}
