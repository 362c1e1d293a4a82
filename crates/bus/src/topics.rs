//! Topics: which exist, how they are laid out, making what is missing.

use std::sync::Arc;
use std::time::Duration;

use chassis::Shutdown;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::MetadataTopic;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tracing::{info, warn};

use crate::producer::ClientError;
use crate::{KafkaSettings, Record, client, scan};

/// How long the broker may take to answer.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(5);

/// How long a broker that does not answer is left alone.
const RETRY: Duration = Duration::from_secs(1);

/// How long a broker takes to tell of a new topic, most times.
const SETTLE: Duration = Duration::from_millis(100);

/// Twice what a broker takes by default: a dead letter is its source and some headers more.
const DEAD_LETTER_BYTES: &str = "2097152";

/// How a topic lies on the brokers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicLayout {
    /// Topic.
    pub name: String,
    /// Partitions.
    pub partitions: usize,
    /// Replicas of the first partition.
    pub replication_factor: usize,
}

impl TopicLayout {
    /// The topic's name with the number of each partition.
    pub(crate) fn each_partition(&self) -> impl Iterator<Item = (&str, i32)> {
        (0..)
            .take(self.partitions)
            .map(|number| (self.name.as_str(), number))
    }
}

/// A topic that must be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicPlan {
    /// Topic.
    pub name: String,
    /// The topic whose records it takes in the same partitions, some headers larger: for dead letters.
    pub like: Option<String>,
}

impl TopicPlan {
    /// A topic of its own.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            like: None,
        }
    }

    /// A topic for the dead letters of `source`.
    pub fn dead_letters(name: String, source: &str) -> Self {
        Self {
            name,
            like: Some(source.to_owned()),
        }
    }
}

/// Topics could not be read or made.
#[derive(Debug, thiserror::Error)]
pub enum TopicError {
    /// No broker answered.
    #[error("no broker answered as it should within {TIMEOUT:?}")]
    Unreachable(#[source] KafkaError),
    /// The broker refused to make a topic.
    #[error("the broker refused to make topic {topic}: {reason}")]
    Refused {
        /// Topic.
        topic: String,
        /// The broker's reason.
        reason: RDKafkaErrorCode,
    },
    /// The call was interrupted.
    #[error("the broker was not asked")]
    Interrupted(#[source] tokio::task::JoinError),
}

/// Asks a broker about topics.
pub struct Topics {
    pub(crate) config: ClientConfig,
    client: Arc<BaseConsumer>,
    admin: AdminClient<DefaultClientContext>,
    partitions: i32,
    replication_factor: i32,
}

impl Topics {
    /// Makes a client. It connects when it is asked something.
    ///
    /// # Errors
    /// [`ClientError`] for properties librdkafka does not take.
    pub fn new(settings: &KafkaSettings, client_id: &str) -> Result<Self, ClientError> {
        let config = client::with_properties(client::config(settings, client_id), settings);
        Ok(Self {
            client: Arc::new(config.create()?),
            admin: config.create()?,
            config,
            partitions: settings.kafka_partitions,
            replication_factor: settings.kafka_replication_factor,
        })
    }

    /// Every topic of the cluster, by name.
    ///
    /// # Errors
    /// [`TopicError::Unreachable`] if no broker answers within 5 s.
    pub async fn describe(&self) -> Result<Vec<TopicLayout>, TopicError> {
        let client = Arc::clone(&self.client);
        let fetch = move || client.fetch_metadata(None, TIMEOUT);
        let metadata = tokio::task::spawn_blocking(fetch)
            .await
            .map_err(TopicError::Interrupted)?;
        let metadata = metadata.map_err(TopicError::Unreachable)?;
        let mut topics: Vec<_> = metadata.topics().iter().map(layout).collect();
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(topics)
    }

    /// Makes those topics that are missing, with the partitions and replicas of the settings. Returns what it made.
    ///
    /// # Errors
    /// [`TopicError`].
    pub async fn ensure(&self, plans: &[TopicPlan]) -> Result<Vec<String>, TopicError> {
        let known = self.describe().await?;
        let missing: Vec<_> = plans
            .iter()
            .filter(|plan| !known.iter().any(|topic| topic.name == plan.name))
            .collect();
        self.create(
            missing
                .iter()
                .map(|plan| self.new_topic(plan, &known))
                .collect(),
        )
        .await?;
        Ok(missing.into_iter().map(|plan| plan.name.clone()).collect())
    }

    fn new_topic<'a>(&self, plan: &'a TopicPlan, known: &[TopicLayout]) -> NewTopic<'a> {
        let like = known
            .iter()
            .find(|topic| Some(&topic.name) == plan.like.as_ref());
        let partitions = like.and_then(|like| i32::try_from(like.partitions).ok());
        let partitions = partitions.unwrap_or(self.partitions);
        let replication = TopicReplication::Fixed(self.replication_factor);
        let topic = NewTopic::new(&plan.name, partitions, replication);
        if plan.like.is_some() {
            topic.set("max.message.bytes", DEAD_LETTER_BYTES)
        } else {
            topic
        }
    }

    async fn create(&self, new: Vec<NewTopic<'_>>) -> Result<(), TopicError> {
        if new.is_empty() {
            return Ok(());
        }
        let options = AdminOptions::new().operation_timeout(Some(TIMEOUT));
        let outcomes = self.admin.create_topics(&new, &options).await;
        for outcome in outcomes.map_err(TopicError::Unreachable)? {
            match outcome {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, reason)) => return Err(TopicError::Refused { topic, reason }),
            }
        }
        Ok(())
    }

    /// Commits the end of each partition for a group without members, which then begins with what comes next.
    ///
    /// # Errors
    /// [`TopicError`].
    pub async fn skip_to_end(&self, group: &str, topics: Vec<String>) -> Result<(), TopicError> {
        let mut config = self.config.clone();
        config
            .set("group.id", group)
            .set("enable.auto.commit", "false");
        let partitions = self.describe().await?;
        let ends = move || {
            let consumer: BaseConsumer = config.create()?;
            let mut list = TopicPartitionList::new();
            let wanted = partitions
                .iter()
                .filter(|topic| topics.contains(&topic.name));
            for (topic, partition) in wanted.flat_map(TopicLayout::each_partition) {
                let (_, end) = consumer.fetch_watermarks(topic, partition, TIMEOUT)?;
                list.add_partition_offset(topic, partition, Offset::Offset(end))?;
            }
            consumer.commit(&list, CommitMode::Sync)
        };
        let skipped = tokio::task::spawn_blocking(ends)
            .await
            .map_err(TopicError::Interrupted)?;
        skipped.map_err(TopicError::Unreachable)
    }

    /// Reads every record that those topics of `names` that exist hold now, in order within each partition, and returns what `take` made of them. No group is joined and nothing committed.
    ///
    /// # Errors
    /// [`TopicError`].
    pub async fn scan<T: Send + 'static>(
        &self,
        names: Vec<String>,
        mut made: T,
        take: impl Fn(&mut T, Record) + Send + 'static,
    ) -> Result<T, TopicError> {
        let mut config = self.config.clone();
        config
            // The client wants a group's name to assign partitions; it joins none.
            .set("group.id", "scan")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "true")
            // A fetch that waits at the end of one topic would hold up the next.
            .set("fetch.wait.max.ms", "10")
            .set("isolation.level", "read_committed")
            .set("check.crcs", "true");
        let known = self.describe().await?;
        let read = move || {
            let consumer: BaseConsumer = config.create()?;
            for topic in known.iter().filter(|topic| names.contains(&topic.name)) {
                let take = |record| take(&mut made, record);
                scan::topic(&consumer, &topic.name, topic.partitions, take)?;
            }
            Ok(made)
        };
        let read = tokio::task::spawn_blocking(read).await;
        read.map_err(TopicError::Interrupted)?
            .map_err(TopicError::Unreachable)
    }

    /// [`Topics::ensure`], again and again until the broker tells of every topic or the process is to stop. `false` if it is to stop.
    pub async fn ensure_until(&self, plans: &[TopicPlan], shutdown: &Shutdown) -> bool {
        loop {
            let ensured = tokio::select! {
                ensured = self.ensure(plans) => ensured,
                () = shutdown.cancelled() => return false,
            };
            let Some(pause) = pause_after(ensured) else {
                return true;
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = shutdown.cancelled() => return false,
            }
        }
    }
}

impl std::fmt::Debug for Topics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Topics").finish_non_exhaustive()
    }
}

/// How long to wait before looking again; none when every topic was there.
fn pause_after(ensured: Result<Vec<String>, TopicError>) -> Option<Duration> {
    match ensured {
        Ok(made) if made.is_empty() => {
            info!("topics are there");
            None
        }
        // A new topic is not at once known to every broker, and who subscribes too early does not get it.
        Ok(made) => {
            info!(made = made.len(), "topics made");
            Some(SETTLE)
        }
        Err(error) => {
            warn!(error = %error, "topics are not there yet");
            Some(RETRY)
        }
    }
}

fn layout(topic: &MetadataTopic) -> TopicLayout {
    TopicLayout {
        name: topic.name().to_owned(),
        partitions: topic.partitions().len(),
        replication_factor: topic
            .partitions()
            .first()
            .map_or(0, |first| first.replicas().len()),
    }
}
