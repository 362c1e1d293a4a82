//! Writing to the dead-letter topics.

use std::collections::BTreeSet;
use std::error::Error as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bus::{ClientError, KafkaSettings, NewRecord, Patience, Producer, PublishError, Record};
use chassis::loggable_id;
use chrono::{DateTime, Utc};
use events::{BookingEvent, Channel, DeadLetter, EventId, ReadHeaders, dead_letter_header};
use inbox::{Claimed, Verdict};
use serde::Deserialize;
use tracing::{error, warn};

use crate::metrics::NotifierMetrics;
use crate::storm::StormGuard;
use crate::verdicts::is_of_a_send;

/// How long an acknowledgement is waited for before the record counts as not written.
const PATIENCE: Duration = Duration::from_secs(10);

/// A dead letter that waits is tried again well within this time, here or by another process.
const WAITING: Duration = Duration::from_secs(30);

/// Writes records that cannot be delivered, and says so only when every in-sync replica has them.
#[derive(Clone, Debug)]
pub(crate) struct DeadLetters {
    producer: Producer,
    channel: Channel,
    group: String,
    metrics: NotifierMetrics,
    storms: Arc<Mutex<StormGuard>>,
    /// When the last one was not written, and why.
    unwritten: Arc<Mutex<Option<(Instant, String)>>>,
}

/// What happened to a record before it is given up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failures {
    pub(crate) provider: Option<&'static str>,
    pub(crate) attempts: u32,
    pub(crate) first_at: DateTime<Utc>,
    pub(crate) last_at: DateTime<Utc>,
}

impl Failures {
    /// A record that no provider was asked about.
    pub(crate) fn before_any_send(now: DateTime<Utc>) -> Self {
        Self {
            provider: None,
            attempts: 0,
            first_at: now,
            last_at: now,
        }
    }

    /// A row that is given up now.
    pub(crate) fn of_row(
        row: &Claimed,
        verdict: &Verdict,
        provider: &'static str,
        now: DateTime<Utc>,
    ) -> Self {
        let first_at = row.first_failure_at.unwrap_or(now);
        let was_asked = is_of_a_send(verdict);
        Self {
            provider: was_asked.then_some(provider),
            attempts: row.attempt.saturating_sub(u32::from(!was_asked)),
            first_at,
            last_at: now,
        }
    }
}

impl DeadLetters {
    pub(crate) fn new(
        settings: &KafkaSettings,
        channel: Channel,
        group: String,
        metrics: NotifierMetrics,
    ) -> Result<Self, ClientError> {
        let client_id = format!("{channel}-notifier");
        let producer = Producer::new(settings, &client_id, Patience::Within(PATIENCE))?;
        Ok(Self {
            producer,
            channel,
            group,
            metrics,
            storms: Arc::default(),
            unwritten: Arc::default(),
        })
    }

    /// Writes the record with its story to the same partition of its dead-letter topic, or to that of the key where the topic has fewer.
    pub(crate) async fn write(
        &self,
        record: &Record,
        verdict: &Verdict,
        failures: Failures,
    ) -> Result<(), PublishError> {
        let story = self.story(record, verdict, failures);
        let told = story
            .to_pairs()
            .into_iter()
            .map(|(name, value)| (name, Some(value.into_bytes())));
        let original = record
            .headers
            .iter()
            .filter(|(name, _)| !name.starts_with("dlq-"))
            .cloned();
        let headers: Vec<_> = original.chain(told).collect();
        let letter = NewRecord {
            topic: &self.channel.dead_letter_topic(&record.topic),
            headers: &headers,
            ..record.as_new()
        };
        let published = self.producer.publish_near(letter).await;
        let failed = published.as_ref().err();
        *self.unwritten() = failed.map(|error| (Instant::now(), reason(error)));
        published?;
        self.metrics.count_dead(&record.topic, verdict.class);
        warn!(
            event.id = story.event_id.as_ref().map(|id| loggable_id(id.as_str()).into_owned()),
            channel = %self.channel,
            topic = record.topic,
            partition = record.partition,
            offset = record.offset,
            class = %verdict.class,
            stage = %verdict.stage,
            error = verdict.error,
            attempt = failures.attempts,
            "record given up to the dead-letter topic"
        );
        self.watch(record);
        Ok(())
    }

    fn watch(&self, record: &Record) {
        let (topic, partition) = (record.topic.as_str(), record.partition);
        let storm = self.storms().note(topic, partition, Instant::now());
        if let Some(pause) = storm {
            let seconds = pause.as_secs();
            self.metrics.count_storm(topic);
            error!(
                topic,
                partition,
                seconds,
                "a flood of dead letters: the partition is not read for a while, look at their errors"
            );
        }
    }

    /// Why a dead letter waits, free of personal data.
    pub(crate) fn problem(&self) -> Option<String> {
        let unwritten = self.unwritten();
        let (at, reason) = unwritten.as_ref()?;
        (at.elapsed() < WAITING).then(|| reason.clone())
    }

    fn unwritten(&self) -> MutexGuard<'_, Option<(Instant, String)>> {
        self.unwritten
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The partitions that are not to be read now.
    pub(crate) fn paused(&self, now: Instant) -> BTreeSet<(String, i32)> {
        self.storms().paused(now)
    }

    fn storms(&self) -> MutexGuard<'_, StormGuard> {
        self.storms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn story(&self, record: &Record, verdict: &Verdict, failures: Failures) -> DeadLetter {
        let earlier = record.header(dead_letter_header::REPLAY_COUNT);
        DeadLetter {
            source_topic: record.topic.clone(),
            source_partition: record.partition,
            source_offset: record.offset,
            source_timestamp: record.timestamp_millis,
            group: self.group.clone(),
            channel: self.channel,
            event_id: event_id(record),
            class: verdict.class,
            stage: verdict.stage,
            error: verdict.error.clone(),
            provider: failures.provider.map(str::to_owned),
            provider_status: verdict.provider_status.clone(),
            attempts: failures.attempts,
            first_failure_at: failures.first_at,
            last_failure_at: failures.last_at,
            replay_count: earlier.and_then(|count| count.parse().ok()).unwrap_or(0),
        }
    }

    pub(crate) async fn flush(&self) {
        self.producer.flush(PATIENCE).await;
    }
}

/// Says that a dead letter waits, and for what.
pub(crate) fn warn_unwritten(error: &PublishError) {
    warn!(
        error = reason(error),
        "dead letter not written, trying again"
    );
}

fn reason(error: &PublishError) -> String {
    let source = error.source().map(|source| format!(": {source}"));
    format!("{error}{}", source.unwrap_or_default())
}

/// The id of whatever this is, as well as it can be known.
fn event_id(record: &Record) -> Option<EventId> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Identified {
        event_id: EventId,
    }
    let value = record.value.as_deref().unwrap_or_default();
    let event = BookingEvent::decode(value).map(|event| event.event_id).ok();
    let named = || {
        serde_json::from_slice(value)
            .map(|read: Identified| read.event_id)
            .ok()
    };
    event
        .or_else(named)
        .or_else(|| ReadHeaders::from_pairs(record.header_pairs()).id)
}
