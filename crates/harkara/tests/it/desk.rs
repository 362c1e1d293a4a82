//! Dead letters to try the command on.

use std::process::{Command, Output, Stdio};

use bus::{Record, TopicPlan, Topics};
use chrono::{DateTime, TimeDelta, Utc};
use events::{
    BookingEvent, Channel, DeadLetter, DeadLetterClass, EventType, NOTIFICATION_STATUS,
    NotificationStatus, Pnr, Stage, Step, header,
};
use testkit::TestBroker;

/// A broker, and bookings that no other test knows.
pub(crate) struct Desk {
    pub(crate) broker: TestBroker,
    /// Begins every event id of this test.
    pub(crate) run: String,
}

/// What the command said.
pub(crate) struct Said {
    pub(crate) status: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Said {
    /// What it said on standard output, if it ended well.
    pub(crate) fn well(self) -> String {
        assert_eq!(self.status, Some(0), "{}{}", self.out, self.err);
        self.out
    }
}

pub(crate) fn some_pnr() -> Pnr {
    let number = chassis::chance::number_in(1_000_000_000..10_000_000_000);
    number.to_string().parse().unwrap()
}

pub(crate) fn now() -> DateTime<Utc> {
    chassis::Clock::now(&chassis::SystemClock)
}

impl Desk {
    pub(crate) async fn open() -> Self {
        let broker = TestBroker::start().await.unwrap();
        if broker.in_process_broker().is_none() {
            let plans: Vec<_> = events::topics()
                .iter()
                .map(|name| TopicPlan::new(name))
                .collect();
            let topics = Topics::new(broker.settings(), "test").unwrap();
            topics.ensure(&plans).await.unwrap();
        }
        Self {
            broker,
            run: chassis::chance::token(),
        }
    }

    pub(crate) fn event(&self, event_type: EventType, pnr: &Pnr, name: &str) -> BookingEvent {
        let mut event = BookingEvent::decode(testkit::sample_event().as_bytes()).unwrap();
        event.event_type = event_type;
        event.event_id = format!("{}-{name}", self.run).parse().unwrap();
        event.pnr_number = pnr.clone();
        event
    }

    pub(crate) async fn write(&self, record: &Record) -> Record {
        let at = self.broker.produce(&record.as_new()).await.unwrap();
        Record {
            offset: at.offset,
            ..record.clone()
        }
    }

    pub(crate) async fn write_letter(&self, letter: &LetterBuilder) -> Record {
        self.write(&letter.record()).await
    }

    /// `topic/partition/offset` of a new dead letter.
    pub(crate) async fn bury(&self, letter: &LetterBuilder) -> String {
        place(&self.write_letter(letter).await)
    }

    /// The event on its own topic, and that its channel sent it.
    pub(crate) async fn sent(&self, event: &BookingEvent, channel: Channel) {
        self.published(event).await;
        let status = NotificationStatus::new(event, channel, Step::Sent, now());
        let value = serde_json::to_vec(&status).unwrap();
        self.write(&keyed(NOTIFICATION_STATUS, event, value)).await;
    }

    pub(crate) async fn published(&self, event: &BookingEvent) {
        let value = event.encode().unwrap();
        self.write(&keyed(event.event_type.topic(), event, value))
            .await;
    }

    /// `harkara dlq …` on this broker.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_harkara"));
        command
            .arg("dlq")
            .args(arguments)
            .env_clear()
            .env(
                "KAFKA_BOOTSTRAP_SERVERS",
                &self.broker.settings().kafka_bootstrap_servers,
            )
            .env("KAFKA_PROPERTIES", self.broker.properties())
            .stdin(Stdio::null());
        command
    }

    pub(crate) async fn dlq(&self, arguments: &[&str]) -> Said {
        let mut command = self.command(arguments);
        let output = tokio::task::spawn_blocking(move || command.output());
        output.await.unwrap().unwrap().into()
    }

    /// The records on a topic about this test's events.
    pub(crate) async fn records(&self, topic: &str) -> Vec<Record> {
        let topics = Topics::new(self.broker.settings(), "test").unwrap();
        let all = topics.scan(vec![topic.to_owned()], Vec::new(), Vec::push);
        let mut own = all.await.unwrap();
        own.retain(|record| {
            let id = record.header("dlq-event-id").unwrap_or_default();
            id.starts_with(&self.run)
        });
        own
    }
}

pub(crate) fn place(record: &Record) -> String {
    format!("{}/{}/{}", record.topic, record.partition, record.offset)
}

fn keyed(topic: &str, event: &BookingEvent, value: Vec<u8>) -> Record {
    Record {
        topic: topic.to_owned(),
        key: Some(event.pnr_number.as_str().as_bytes().to_vec()),
        value: Some(value),
        ..Record::default()
    }
}

/// A dead letter of an hour ago.
pub(crate) struct LetterBuilder {
    pub(crate) story: DeadLetter,
    pub(crate) partition: i32,
    pub(crate) key: String,
    pub(crate) value: Vec<u8>,
    pub(crate) version: Option<i64>,
}

impl LetterBuilder {
    pub(crate) fn new(channel: Channel, event: &BookingEvent) -> Self {
        let written = now() - TimeDelta::hours(1);
        let story = DeadLetter {
            source_topic: event.event_type.topic().to_owned(),
            source_partition: 1,
            source_offset: 7,
            source_timestamp: Some(written.timestamp_millis()),
            group: channel.group().to_owned(),
            channel,
            event_id: Some(event.event_id.clone()),
            class: DeadLetterClass::Exhausted,
            stage: Stage::Send,
            error: "the provider was away".to_owned(),
            provider: Some("a-provider".to_owned()),
            provider_status: Some("503".to_owned()),
            attempts: 8,
            first_failure_at: written,
            last_failure_at: written,
            replay_count: 0,
        };
        Self {
            story,
            partition: 1,
            key: event.pnr_number.to_string(),
            value: event.encode().unwrap(),
            version: None,
        }
    }

    pub(crate) fn class(mut self, class: DeadLetterClass, stage: Stage) -> Self {
        (self.story.class, self.story.stage) = (class, stage);
        self
    }

    pub(crate) fn version(mut self, version: i64) -> Self {
        self.version = Some(version);
        self
    }

    fn record(&self) -> Record {
        let version = self
            .version
            .map(|version| (header::BOOKING_VERSION.to_owned(), version.to_string()));
        let foreign = [("x-tenant".to_owned(), "west".to_owned())];
        let pairs = foreign
            .into_iter()
            .chain(version)
            .chain(self.story.to_pairs());
        Record {
            topic: self
                .story
                .channel
                .dead_letter_topic(&self.story.source_topic),
            partition: self.partition,
            key: Some(self.key.clone().into_bytes()),
            value: Some(self.value.clone()),
            headers: pairs
                .map(|(name, value)| (name, Some(value.into_bytes())))
                .collect(),
            ..Record::default()
        }
    }
}
