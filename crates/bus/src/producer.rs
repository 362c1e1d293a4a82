//! Writing records.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::Builder;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{DeliveryFuture, FutureProducer, FutureRecord, Producer as _};
use rdkafka::statistics::Statistics;
use tracing::{debug, error};

use crate::client::GIVEN_UP;
use crate::{KafkaSettings, NewRecord, client};

/// How long a record may wait for its acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// As long as the process lives: somebody keeps the record until it is acknowledged.
    Endless,
    /// Then it fails.
    Within(Duration),
}

/// What librdkafka tells about a client's connections.
#[derive(Clone, Debug, Default)]
struct Link(Arc<Connections>);

#[derive(Debug, Default)]
struct Connections {
    connected: AtomicBool,
    /// When no broker was connected any more.
    since: Mutex<Option<Instant>>,
    /// The client has lost the cluster, and may never find it again.
    lost: AtomicBool,
}

impl ClientContext for Link {
    fn stats(&self, statistics: Statistics) {
        let connected = client::is_connected(&statistics);
        self.0.connected.store(connected, Ordering::Release);
        let mut since = self.0.since.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = if connected {
            *since = None;
            Duration::ZERO
        } else {
            since.get_or_insert_with(Instant::now).elapsed()
        };
        let lost = client::knows_none(&statistics) || waited > GIVEN_UP;
        self.0.lost.store(lost, Ordering::Release);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        debug!(error = %error, reason, "kafka producer");
    }
}

/// An idempotent producer with `acks=all`. Clones share it.
#[derive(Clone)]
pub struct Producer {
    inner: Arc<RwLock<Generation>>,
    config: ClientConfig,
}

/// A client of librdkafka; one that failed for good or lost the cluster is followed by another.
struct Generation {
    number: u64,
    client: FutureProducer<Link>,
    link: Link,
}

/// Where a record was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
}

/// A record was not written.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PublishError {
    /// The producer's queue is full: wait for acknowledgements and try again.
    #[error("the producer's queue is full")]
    QueueFull,
    /// The client failed for good; the next record goes through another.
    #[error("the producer failed for good")]
    Fatal(#[source] KafkaError),
    /// The topic has no such partition.
    #[error("the topic has no such partition")]
    NoSuchPartition,
    /// The broker refused the record, or its time was up.
    #[error("the record was not acknowledged")]
    Refused(#[source] KafkaError),
    /// The client took it for written because a later record is; no broker said where. It may be in no log: a leader that knows nothing of the producer takes a later record first.
    #[error("no broker said where the record was written")]
    Unplaced,
    /// The producer was dropped before the acknowledgement.
    #[error("the producer was closed")]
    Closed,
}

impl PublishError {
    /// Whether no broker acknowledged the record: then it may have been written all the same.
    pub fn may_be_written(&self) -> bool {
        let timeout = Some(RDKafkaErrorCode::MessageTimedOut);
        match self {
            Self::Refused(error) => error.rdkafka_error_code() == timeout,
            Self::Unplaced => true,
            Self::QueueFull | Self::Fatal(_) | Self::NoSuchPartition | Self::Closed => false,
        }
    }
}

/// The client could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A property in `KAFKA_PROPERTIES` is unknown or has a bad value.
    #[error("{}", without_value(.0))]
    Property(#[from] KafkaError),
    /// Without acknowledgements nothing is known of what was written.
    #[error("acks must be all or a number above 0")]
    Acks,
    /// Nor without reports of them.
    #[error("delivery.report.only.error must be false")]
    Reports,
    /// `KAFKA_MIN_INSYNC_REPLICAS` is more than there are: no record would ever count as written.
    #[error("must not be more than KAFKA_REPLICATION_FACTOR")]
    InSync,
}

/// librdkafka knows many spellings of 0.
fn is_an_acknowledgement(acks: &str) -> bool {
    matches!(acks, "all" | "-1") || acks.parse::<u16>().is_ok_and(|replicas| replicas > 0)
}

/// In librdkafka's words: what it refuses because it was built without OpenSSL.
const WITHOUT_TLS: [&str; 2] = ["OpenSSL not available", "recompile librdkafka"];

/// A property's value may be a password, also where its name is misspelt.
fn without_value(error: &KafkaError) -> String {
    let said = if let KafkaError::ClientConfig(_, description, name, _) = error {
        format!("{description} (property {name})")
    } else {
        error.to_string()
    };
    let needs_tls = WITHOUT_TLS.iter().any(|words| said.contains(words));
    if needs_tls && cfg!(not(feature = "tls")) {
        format!("{said}; this program was built without Kafka's TLS, see --features tls")
    } else {
        said
    }
}

impl From<ClientError> for chassis::Failure {
    fn from(error: ClientError) -> Self {
        let variable = match error {
            ClientError::Property(_) | ClientError::Acks | ClientError::Reports => {
                "KAFKA_PROPERTIES"
            }
            ClientError::InSync => "KAFKA_MIN_INSYNC_REPLICAS",
        };
        Self::Setting {
            variable,
            problem: error.to_string(),
        }
    }
}

impl Producer {
    /// Makes a producer. It connects in the background and outlives any outage of the broker.
    ///
    /// # Errors
    /// [`ClientError`] for properties librdkafka does not take.
    pub fn new(
        settings: &KafkaSettings,
        client_id: &str,
        patience: Patience,
    ) -> Result<Self, ClientError> {
        let timeout_millis = match patience {
            Patience::Endless => 0,
            Patience::Within(limit) => limit.as_millis(),
        };
        let mut config = client::config(settings, client_id)?;
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("linger.ms", "0")
            .set("message.timeout.ms", timeout_millis.to_string())
            .set("compression.type", "lz4")
            // The Java default, so that every client agrees where a PNR lives.
            .set("partitioner", "murmur2_random")
            .set("queue.buffering.max.messages", "10000")
            // A dead letter is its source, which the broker took, and some headers more.
            .set("message.max.bytes", "10000000")
            .set("retry.backoff.ms", "50")
            .set("topic.metadata.propagation.max.ms", "1000");
        let mut config = client::with_properties(config, settings);
        let acks = ["acks", "request.required.acks"].map(|name| config.get(name));
        if !acks.into_iter().flatten().all(is_an_acknowledgement) {
            return Err(ClientError::Acks);
        }
        let only_errors = config.get("delivery.report.only.error");
        if only_errors.is_some_and(|value| value != "false") {
            return Err(ClientError::Reports);
        }
        // Whether brokers are there is known by them.
        config.set("statistics.interval.ms", "2000");
        let first = Generation::new(0, &config)?;
        Ok(Self {
            inner: Arc::new(RwLock::new(first)),
            config,
        })
    }

    /// Whether a broker was connected within the last 2 s.
    pub fn is_connected(&self) -> bool {
        let current = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        current.link.0.connected.load(Ordering::Acquire)
    }

    /// Lets a client that lost the cluster be followed by one that begins with `bootstrap.servers`.
    ///
    /// Whoever waits for acknowledgements calls it now and then: those of the client that is left never come, their records fail and are their keepers' to write again.
    pub fn look_after(&self) {
        let current = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let number = current.number;
        let lost = current.link.0.lost.load(Ordering::Acquire);
        drop(current);
        if lost && let Err(error) = self.renewed(number, "it lost the brokers") {
            error!(error = %error, "could not make another producer");
        }
    }

    /// Puts a record in the queue. Records of one key are written in the order of these calls.
    ///
    /// A client that failed for good or lost the cluster is replaced; its records in flight fail and are their keepers' to write again.
    /// The future is the acknowledgement.
    ///
    /// # Errors
    /// [`PublishError::QueueFull`] and [`PublishError::Refused`] at once; the future fails with any other.
    pub fn enqueue(
        &self,
        record: &NewRecord<'_>,
    ) -> Result<impl Future<Output = Result<Published, PublishError>> + Send + use<>, PublishError>
    {
        self.look_after();
        let (number, client) = self.current();
        let report = match send(&client, record) {
            Err(PublishError::Fatal(error)) => {
                drop(client);
                send(&self.renewed(number, &error.to_string())?, record)?
            }
            sent => sent?,
        };
        Ok(async move {
            match report.await {
                // The client's conclusion, no broker's word.
                Ok(Ok(at)) if at.offset < 0 => Err(PublishError::Unplaced),
                Ok(Ok(at)) => Ok(Published {
                    partition: at.partition,
                    offset: at.offset,
                }),
                Ok(Err((error, _))) => Err(refusal(error)),
                Err(_) => Err(PublishError::Closed),
            }
        })
    }

    fn current(&self) -> (u64, FutureProducer<Link>) {
        let current = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        (current.number, current.client.clone())
    }

    /// The client after the one of this number, made by whoever asks first.
    fn renewed(&self, number: u64, reason: &str) -> Result<FutureProducer<Link>, PublishError> {
        let mut current = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        if current.number == number {
            error!(reason, "the producer is of no more use and is replaced");
            let next = Generation::new(number + 1, &self.config).map_err(PublishError::Refused)?;
            let connected = current.link.0.connected.load(Ordering::Acquire);
            next.link.0.connected.store(connected, Ordering::Release);
            let left = std::mem::replace(&mut *current, next);
            // It ends when its thread did, and then its records fail.
            let _ends_by_itself = Builder::new().spawn(move || drop(left));
        }
        Ok(current.client.clone())
    }

    /// Writes a record and waits until every in-sync replica has it.
    ///
    /// # Errors
    /// [`PublishError`].
    pub async fn publish(&self, record: &NewRecord<'_>) -> Result<Published, PublishError> {
        self.enqueue(record)?.await
    }

    /// [`Self::publish`], to the key's partition if the topic has no such one as is named.
    ///
    /// # Errors
    /// [`PublishError`].
    pub async fn publish_near(&self, record: NewRecord<'_>) -> Result<Published, PublishError> {
        match self.publish(&record).await {
            Err(PublishError::NoSuchPartition) => self.publish(&record.by_key()).await,
            published => published,
        }
    }

    /// Waits until every record was acknowledged or has failed.
    pub async fn flush(&self, limit: Duration) {
        let (_, client) = self.current();
        let flushed = tokio::task::spawn_blocking(move || client.flush(limit)).await;
        if !matches!(flushed, Ok(Ok(()))) {
            tracing::warn!("records were still unacknowledged when the producer closed");
        }
    }
}

impl Generation {
    fn new(number: u64, config: &ClientConfig) -> Result<Self, KafkaError> {
        let link = Link::default();
        let client = config.create_with_context(link.clone())?;
        Ok(Self {
            number,
            client,
            link,
        })
    }
}

impl std::fmt::Debug for Producer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Producer").finish_non_exhaustive()
    }
}

fn send(
    client: &FutureProducer<Link>,
    record: &NewRecord<'_>,
) -> Result<DeliveryFuture, PublishError> {
    let future_record: FutureRecord<'_, [u8], [u8]> = FutureRecord {
        topic: record.topic,
        partition: record.partition,
        payload: record.value,
        key: record.key,
        timestamp: None,
        headers: Some(record.owned_headers()),
    };
    client
        .send_result(future_record)
        .map_err(|(error, _)| refusal(error))
}

fn refusal(error: KafkaError) -> PublishError {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::QueueFull) => PublishError::QueueFull,
        Some(RDKafkaErrorCode::Fatal) => PublishError::Fatal(error),
        Some(RDKafkaErrorCode::UnknownPartition) => PublishError::NoSuchPartition,
        Some(_) | None => PublishError::Refused(error),
    }
}

#[cfg(test)]
mod tests;
