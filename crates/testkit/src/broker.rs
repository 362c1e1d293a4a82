//! A broker for a test.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use broker::apache::{self, Options, OwnedCluster};
use bus::{
    InProcessBroker, KafkaSettings, NewRecord, Patience, Producer, Published, Record, TopicPlan,
    Topics,
};
use events::EventType;
use tempfile::TempDir;

use crate::environment;
use crate::reader::{FIND_LIMIT, Reader};
use crate::wait::eventually;

/// Partitions of each topic.
const PARTITIONS: i32 = 3;

/// The Kafka of `harkara kafka` whose data is in `TEST_KAFKA_DATA_DIR`.
fn apache_options() -> Result<Options> {
    let folder = environment::kafka_data_dir()
        .context("TEST_KAFKA_DATA_DIR must name the data directory of the Kafka of TEST_KAFKA")?;
    let options = Options::new(folder);
    let brokers = apache::status(&options)?;
    let size = brokers.len().to_string().parse()?;
    let first = brokers
        .first()
        .and_then(|broker| broker.address.rsplit(':').next()?.parse().ok());
    Ok(Options {
        size,
        port: first.context("the first broker has no port")?,
        ..options
    })
}

/// The programs under test wait for an answer by themselves.
async fn accepts(address: String) -> bool {
    tokio::net::TcpStream::connect(address).await.is_ok()
}

/// An Apache Kafka that ends with its test.
#[derive(Debug)]
struct OwnKafka {
    cluster: OwnedCluster,
    // After the brokers: they write there.
    _folder: TempDir,
}

/// The Kafka of `TEST_KAFKA`, or a broker in this process.
#[derive(Debug)]
pub struct TestBroker {
    settings: KafkaSettings,
    in_process: Option<InProcessBroker>,
    own: Option<OwnKafka>,
}

impl TestBroker {
    /// A broker with every topic of the system.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn start() -> Result<Self> {
        let Some(servers) = environment::kafka() else {
            return Self::in_process();
        };
        let broker = Self::outside(servers);
        let answers = async || {
            // A test that failed while it kept brokers away must not fail the next.
            if environment::kafka_data_dir().is_some() {
                broker.come_up().await.ok()?;
            }
            broker.ensure_topics().await.ok()
        };
        eventually("answer of Apache Kafka", answers).await;
        Ok(broker)
    }

    /// An Apache Kafka for one test alone, which may change its topics; none where no `TEST_KAFKA` says that there is one to be had.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn start_own() -> Result<Option<Self>> {
        if environment::kafka().is_none() {
            return Ok(None);
        }
        let folder = TempDir::new().context("could not make a folder")?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let options = Options {
            port,
            ..Options::new(folder.path())
        };
        let cluster = apache::start(&options, accepts).await;
        let cluster = cluster.context("could not start an Apache Kafka")?;
        let mut broker = Self::outside(cluster.bootstrap());
        broker.own = Some(OwnKafka {
            cluster: cluster.into_owned(),
            _folder: folder,
        });
        let answers = async || broker.ensure_topics().await.ok();
        eventually("answer of an Apache Kafka", answers).await;
        Ok(Some(broker))
    }

    /// A broker for one test alone on which this topic has so many partitions, and every other three.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn start_uneven(topic: &str, partitions: u16) -> Result<Self> {
        if let Some(own) = Self::start_own().await? {
            own.change_topic(topic, &["--alter", "--partitions", &partitions.to_string()])?;
            return Ok(own);
        }
        Self::in_process_with(|name| {
            if name == topic {
                i32::from(partitions)
            } else {
                PARTITIONS
            }
        })
    }

    async fn ensure_topics(&self) -> Result<()> {
        let topics = Topics::new(&self.settings, "testkit")?;
        // Only what producers write to: the notifiers make the rest, as they need it.
        let plans = EventType::ALL.map(|event| TopicPlan::new(event.topic()));
        let made = topics.ensure(&plans).await;
        made.context("could not make the topics").map(drop)
    }

    /// Gives the topics of these events more partitions.
    ///
    /// # Errors
    /// If it is not a broker of [`TestBroker::start_own`], or refuses.
    pub fn add_partitions(&self, events: &[EventType], partitions: u32) -> Result<()> {
        let topics: Vec<_> = events.iter().map(|event| event.topic()).collect();
        let partitions = partitions.to_string();
        // The tool takes a regular expression, and starting it costs a busy machine many seconds.
        self.change_topic(&topics.join("|"), &["--alter", "--partitions", &partitions])
    }

    /// Deletes a topic.
    ///
    /// # Errors
    /// If it is not a broker of [`TestBroker::start_own`], or refuses.
    pub fn delete_topic(&self, topic: &str) -> Result<()> {
        self.change_topic(topic, &["--delete"])
    }

    fn change_topic(&self, topic: &str, how: &[&str]) -> Result<()> {
        let tools = self.tools().context("not a broker of the test's own")?;
        let servers = &self.settings.kafka_bootstrap_servers;
        let mut tool = Command::new(tools.join("kafka-topics.sh"));
        tool.args(["--bootstrap-server", servers, "--topic", topic]);
        let changed = tool.args(how).status();
        let changed = changed.context("could not run kafka-topics.sh")?;
        ensure!(changed.success(), "{topic} could not be changed");
        Ok(())
    }

    /// Where Kafka's own tools are, if it is a broker of [`TestBroker::start_own`].
    pub fn tools(&self) -> Option<PathBuf> {
        let own = self.own.as_ref()?;
        Some(own.cluster.cluster().bin_dir())
    }

    /// How many brokers there are that can be stopped one by one: those of the Kafka of `TEST_KAFKA_DATA_DIR`.
    pub fn size(&self) -> u8 {
        if self.in_process.is_some() || self.own.is_some() {
            return 0;
        }
        apache_options().map_or(0, |options| options.size.brokers())
    }

    /// Stops a broker in an orderly way, from 1 to [`TestBroker::size`].
    ///
    /// # Errors
    /// If it cannot be stopped.
    pub async fn stop_one(&self, number: u8) -> Result<()> {
        let stopped = apache::stop_broker(&apache_options()?, number).await;
        stopped.context("could not stop a broker").map(drop)
    }

    /// Kills a broker.
    ///
    /// # Errors
    /// If it cannot be killed.
    pub async fn kill_one(&self, number: u8) -> Result<()> {
        let killed = apache::kill_broker(&apache_options()?, number).await;
        killed.context("could not kill a broker").map(drop)
    }

    /// Starts a broker again.
    ///
    /// # Errors
    /// If it does not answer.
    pub async fn start_one(&self, number: u8) -> Result<()> {
        let started = apache::start_broker(&apache_options()?, number, accepts).await;
        started.context("could not start a broker")
    }

    fn outside(kafka_bootstrap_servers: String) -> Self {
        let brokers = kafka_bootstrap_servers.split(',').count();
        let settings = KafkaSettings {
            kafka_partitions: PARTITIONS,
            kafka_replication_factor: if brokers >= 3 { 3 } else { 1 },
            ..KafkaSettings::local(kafka_bootstrap_servers)
        };
        Self {
            settings,
            in_process: None,
            own: None,
        }
    }

    fn in_process() -> Result<Self> {
        Self::in_process_with(|_| PARTITIONS)
    }

    fn in_process_with(partitions: impl Fn(&str) -> i32) -> Result<Self> {
        let broker = InProcessBroker::start().context("could not start the in-process broker")?;
        for topic in events::topics() {
            broker
                .create_topic(&topic, partitions(&topic))
                .context("could not make a topic")?;
        }
        Ok(Self {
            settings: broker.settings(PARTITIONS),
            in_process: Some(broker),
            own: None,
        })
    }

    /// How clients reach it.
    pub fn settings(&self) -> &KafkaSettings {
        &self.settings
    }

    /// Properties that clients in another process need for it.
    pub fn properties(&self) -> &'static str {
        if self.in_process.is_some() {
            bus::IN_PROCESS_PROPERTIES
        } else {
            ""
        }
    }

    /// The broker in this process, if it is that.
    pub fn in_process_broker(&self) -> Option<&InProcessBroker> {
        self.in_process.as_ref()
    }

    /// Takes the broker away; it keeps what it holds.
    ///
    /// # Errors
    /// If it cannot be stopped.
    pub async fn go_down(&self) -> Result<()> {
        if let Some(broker) = &self.in_process {
            return broker.go_down().context("could not take the broker down");
        }
        apache::stop(&apache_options()?)
            .await
            .context("could not stop Apache Kafka")?;
        Ok(())
    }

    /// Brings it back.
    ///
    /// # Errors
    /// If it does not answer again.
    pub async fn come_up(&self) -> Result<()> {
        if let Some(broker) = &self.in_process {
            return broker.come_up().context("could not bring the broker up");
        }
        let started = apache::start(&apache_options()?, accepts).await;
        started.context("could not start Apache Kafka")?;
        Ok(())
    }

    /// Lets a new group begin with what comes next: on a broker that tests share, with this test's own records.
    ///
    /// # Errors
    /// If the broker does not answer.
    pub async fn skip_to_end(&self, group: &str, read: Vec<String>) -> Result<()> {
        let topics = Topics::new(&self.settings, "testkit")?;
        let skipped = topics.skip_to_end(group, read).await;
        skipped.context("could not skip older records")
    }

    /// Writes a record as any producer might.
    ///
    /// # Errors
    /// If the broker does not take it.
    pub async fn produce(&self, record: &NewRecord<'_>) -> Result<Published> {
        let producer = Producer::new(&self.settings, "testkit", Patience::Endless)?;
        producer.publish(record).await.context("could not produce")
    }

    /// Writes records in this order, one after another.
    ///
    /// # Errors
    /// If the broker does not take one.
    pub async fn produce_all(&self, records: &[NewRecord<'_>]) -> Result<()> {
        let producer = Producer::new(&self.settings, "testkit", Patience::Endless)?;
        for record in records {
            let published = producer.publish(record).await;
            published.context("could not produce")?;
        }
        Ok(())
    }

    /// Reads these topics from their beginning.
    ///
    /// # Errors
    /// If no client can be made.
    pub fn reader<T: ToString>(&self, topics: impl IntoIterator<Item = T>) -> Result<Reader> {
        let topics = topics.into_iter().map(|topic| topic.to_string());
        let group = format!("testkit-{}", chassis::chance::token());
        Reader::start(&self.settings, group, topics.collect())
    }

    /// Everything in these topics from where a group begins up to their present ends.
    ///
    /// # Errors
    /// If it cannot be read within a minute.
    pub async fn read_all(&self, group: &str, read: Vec<String>) -> Result<Vec<Record>> {
        let topics = Topics::new(&self.settings, "testkit")?;
        let positions = topics.positions(group, read.clone()).await;
        let positions = positions.context("could not ask how much there is")?;
        let mut reader = Reader::start(&self.settings, group.to_owned(), read)?;
        let reading = tokio::time::timeout(FIND_LIMIT, reader.reach(positions));
        reading.await.context("the topics could not be read")??;
        Ok(reader.into_read())
    }
}
