//! Topics: which exist, how they are laid out, making what is missing.

use std::sync::Arc;
use std::time::Duration;

use chassis::Shutdown;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::metadata::{MetadataPartition, MetadataTopic};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tracing::{info, warn};

use crate::producer::ClientError;
use crate::trouble::Trouble;
use crate::{Blueprint, KafkaSettings, Record, TopicPlan, client, scan, watermarks};

/// How long the broker may take to answer.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(5);

/// How long a broker that does not answer is left alone.
const RETRY: Duration = Duration::from_secs(1);

/// How long a broker takes to tell of a new topic, most times.
const SETTLE: Duration = Duration::from_millis(100);

/// How long a client's news are waited for; a log line looks like none and is passed over in that time.
const LOOK: Duration = Duration::from_millis(5);

type Client = BaseConsumer<Trouble>;

/// How a topic lies on the brokers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicLayout {
    /// Topic.
    pub name: String,
    /// Partitions.
    pub partitions: usize,
    /// Replicas of each partition; of the one with the fewest, if they differ.
    pub replication_factor: usize,
    /// Of them in sync, in the partition with the fewest.
    pub in_sync: usize,
    /// Partitions that no broker leads: they can be neither written nor read.
    pub without_leader: usize,
}

impl TopicLayout {
    /// The topic's name with the number of each partition.
    pub(crate) fn each_partition(&self) -> impl Iterator<Item = (&str, i32)> {
        (0..)
            .take(self.partitions)
            .map(|number| (self.name.as_str(), number))
    }
}

/// Topics could not be read or made.
#[derive(Debug, thiserror::Error)]
pub enum TopicError {
    /// No broker answered, or not as it should.
    #[error("no broker answered as it should within {TIMEOUT:?}: {0}")]
    Unreachable(#[from] KafkaError),
    /// No broker answered, and the client said why.
    #[error("no broker answered as it should within {TIMEOUT:?}: {reason}")]
    Unconnected {
        /// What became of the last connection: refused, not trusted, not let in.
        reason: String,
        /// What became of the request.
        source: KafkaError,
    },
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
    pub(crate) client: Arc<Client>,
    pub(crate) admin: AdminClient<DefaultClientContext>,
    settings: KafkaSettings,
}

impl Topics {
    /// Makes a client. It connects when it is asked something.
    ///
    /// # Errors
    /// [`ClientError`] for properties librdkafka does not take.
    pub fn new(settings: &KafkaSettings, client_id: &str) -> Result<Self, ClientError> {
        let config = client::with_properties(client::config(settings, client_id)?, settings);
        Ok(Self {
            client: Arc::new(config.create_with_context(Trouble::default())?),
            admin: config.create()?,
            config,
            settings: settings.clone(),
        })
    }

    /// Every topic of the cluster, by name.
    ///
    /// # Errors
    /// [`TopicError::Unreachable`] or [`TopicError::Unconnected`] if no broker answers within 5 s.
    pub async fn describe(&self) -> Result<Vec<TopicLayout>, TopicError> {
        let client = Arc::clone(&self.client);
        let fetch = move || answered(&client, client.fetch_metadata(None, TIMEOUT));
        let metadata = blocking(fetch).await?;
        let mut topics: Vec<_> = metadata.topics().iter().map(layout).collect();
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(topics)
    }

    /// Makes those topics that are missing, as the settings want them. Returns what it made.
    ///
    /// # Errors
    /// [`TopicError`].
    pub async fn ensure(&self, plans: &[TopicPlan]) -> Result<Vec<String>, TopicError> {
        let known = self.describe().await?;
        self.ensure_beside(&known, plans).await
    }

    async fn ensure_beside(
        &self,
        known: &[TopicLayout],
        plans: &[TopicPlan],
    ) -> Result<Vec<String>, TopicError> {
        let missing = plans
            .iter()
            .filter(|plan| !known.iter().any(|topic| topic.name == plan.name));
        let missing: Vec<_> = missing.map(|plan| self.blueprint(plan, known)).collect();
        self.create(&missing).await?;
        Ok(missing.into_iter().map(|topic| topic.name).collect())
    }

    /// A topic as the settings want it beside those that are known.
    pub fn blueprint(&self, plan: &TopicPlan, known: &[TopicLayout]) -> Blueprint {
        plan.blueprint(&self.settings, known)
    }

    /// Makes topics. One that exists stays as it is.
    ///
    /// # Errors
    /// [`TopicError`].
    pub async fn create(&self, topics: &[Blueprint]) -> Result<(), TopicError> {
        if topics.is_empty() {
            return Ok(());
        }
        let options = AdminOptions::new().operation_timeout(Some(TIMEOUT));
        let new: Vec<_> = topics.iter().map(Blueprint::new_topic).collect();
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
                let (_, end) = watermarks::of(&consumer, topic, partition)?;
                list.add_partition_offset(topic, partition, Offset::Offset(end))?;
            }
            Ok(consumer.commit(&list, CommitMode::Sync)?)
        };
        blocking(ends).await
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
        let mut config = self.without_group();
        config
            .set("enable.partition.eof", "true")
            // A fetch that waits at the end of one topic would hold up the next.
            .set("fetch.wait.max.ms", "10");
        let known = self.describe().await?;
        let read = move || {
            let consumer: BaseConsumer = config.create()?;
            for topic in known.iter().filter(|topic| names.contains(&topic.name)) {
                let take = |record| take(&mut made, record);
                scan::topic(&consumer, &topic.name, topic.partitions, take)?;
            }
            Ok(made)
        };
        blocking(read).await
    }

    /// For a consumer that is in no group.
    pub(crate) fn without_group(&self) -> ClientConfig {
        let mut config = self.config.clone();
        config
            // The client wants a group's name to assign partitions; it joins none.
            .set("group.id", "scan")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("isolation.level", "read_committed")
            .set("check.crcs", "true");
        config
    }

    /// [`Topics::ensure`], again and again until the broker tells of every topic. Returns every topic of the cluster then, none if the process is to stop before.
    pub async fn ensure_until(
        &self,
        plans: &[TopicPlan],
        shutdown: &Shutdown,
    ) -> Option<Vec<TopicLayout>> {
        let ensured = shutdown.run_until_cancelled(async {
            loop {
                match self.look_and_ensure(plans).await {
                    Ok(known) => return known,
                    Err(pause) => tokio::time::sleep(pause).await,
                }
            }
        });
        ensured.await
    }

    /// Every topic of the cluster, or how long to wait before looking again.
    async fn look_and_ensure(&self, plans: &[TopicPlan]) -> Result<Vec<TopicLayout>, Duration> {
        let ensured = async {
            let known = self.describe().await?;
            let made = self.ensure_beside(&known, plans).await?;
            Ok((known, made))
        };
        match ensured.await {
            Ok((known, made)) if made.is_empty() => {
                info!("topics are there");
                Ok(known)
            }
            // A new topic is not at once known to every broker, and who subscribes too early does not get it.
            Ok((_, made)) => {
                info!(made = made.len(), "topics made");
                Err(SETTLE)
            }
            Err(error) => {
                let error: TopicError = error;
                warn!(error = %error, "topics are not there yet");
                Err(RETRY)
            }
        }
    }
}

impl std::fmt::Debug for Topics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Topics").finish_non_exhaustive()
    }
}

/// Does work that blocks on a thread for it.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, TopicError> + Send + 'static,
) -> Result<T, TopicError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(TopicError::Interrupted)?
}

/// What the client was told, or why it was told nothing. What it has to say of its connections waits until somebody looks.
pub(crate) fn answered<T>(client: &Client, told: KafkaResult<T>) -> Result<T, TopicError> {
    while client.poll(LOOK).is_some() {}
    let trouble = client.context();
    let told = told.inspect(|_| trouble.forget());
    told.map_err(|source| match trouble.last() {
        Some(reason) => TopicError::Unconnected { reason, source },
        None => TopicError::Unreachable(source),
    })
}

fn layout(topic: &MetadataTopic) -> TopicLayout {
    let partitions = topic.partitions();
    let fewest = |count: fn(&MetadataPartition) -> usize| partitions.iter().map(count).min();
    let led = partitions.iter().filter(|one| one.leader() >= 0).count();
    TopicLayout {
        name: topic.name().to_owned(),
        partitions: partitions.len(),
        replication_factor: fewest(|one| one.replicas().len()).unwrap_or(0),
        in_sync: fewest(|one| one.isr().len()).unwrap_or(0),
        without_leader: partitions.len() - led,
    }
}
