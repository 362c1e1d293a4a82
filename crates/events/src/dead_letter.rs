//! What is said about a record that could not be delivered.

use std::collections::BTreeMap;
use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, Utc};

use crate::vocabulary::words;
use crate::{Channel, EventId};

/// Names of the headers a dead letter gains.
pub mod header {
    /// Topic the record came from.
    pub const SOURCE_TOPIC: &str = "dlq-source-topic";
    /// Partition it came from.
    pub const SOURCE_PARTITION: &str = "dlq-source-partition";
    /// Offset it came from.
    pub const SOURCE_OFFSET: &str = "dlq-source-offset";
    /// The source record's timestamp, milliseconds since 1970.
    pub const SOURCE_TIMESTAMP: &str = "dlq-source-timestamp";
    /// Consumer group that gave it up.
    pub const GROUP: &str = "dlq-group";
    /// Channel that gave it up.
    pub const CHANNEL: &str = "dlq-channel";
    /// The event's id, where one could be read.
    pub const EVENT_ID: &str = "dlq-event-id";
    /// [`super::DeadLetterClass`].
    pub const CLASS: &str = "dlq-class";
    /// [`super::Stage`].
    pub const STAGE: &str = "dlq-stage";
    /// Why, at most 1 KiB.
    pub const ERROR: &str = "dlq-error";
    /// The provider that refused.
    pub const PROVIDER: &str = "dlq-provider";
    /// What the provider answered: an SMTP reply code, an API's error code.
    pub const PROVIDER_STATUS: &str = "dlq-provider-status";
    /// Attempts made.
    pub const ATTEMPTS: &str = "dlq-attempts";
    /// When the first attempt failed, RFC 3339.
    pub const FIRST_FAILURE_AT: &str = "dlq-first-failure-at";
    /// When the last attempt failed, RFC 3339.
    pub const LAST_FAILURE_AT: &str = "dlq-last-failure-at";
    /// How often the record was replayed before.
    pub const REPLAY_COUNT: &str = "dlq-replay-count";
    /// Marks a record without a value that discards a dead letter of the same topic: `topic/partition/offset`. It is no dead letter.
    pub const DISCARDED: &str = "dlq-discarded";
}

/// Bytes of `dlq-error` at most.
const ERROR_LIMIT_BYTES: usize = 1024;

words! {
    /// Why a record is in a dead-letter topic.
    DeadLetterClass {
        /// No JSON, or no value at all.
        Undecodable = "UNDECODABLE",
        /// JSON, but not an event this channel can tell.
        Invalid = "INVALID",
        /// The provider refused for good.
        Permanent = "PERMANENT",
        /// All attempts were used up.
        Exhausted = "EXHAUSTED",
        /// The provider may or may not have sent it, and the policy is to hold.
        Ambiguous = "AMBIGUOUS",
    }
}

words! {
    /// Where a record failed.
    Stage {
        /// Reading the bytes.
        Decode = "decode",
        /// Checking the event.
        Validate = "validate",
        /// Writing the message.
        Render = "render",
        /// Handing it to the provider.
        Send = "send",
    }
}

/// The story of a dead letter. Texts name no person, address or number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Topic of the source record.
    pub source_topic: String,
    /// Partition of the source record, and of the dead letter.
    pub source_partition: i32,
    /// Offset of the source record.
    pub source_offset: i64,
    /// Timestamp of the source record, milliseconds since 1970; absent where the broker gave none.
    pub source_timestamp: Option<i64>,
    /// Consumer group.
    pub group: String,
    /// Channel.
    pub channel: Channel,
    /// Event id, where one could be read.
    pub event_id: Option<EventId>,
    /// Why.
    pub class: DeadLetterClass,
    /// Where.
    pub stage: Stage,
    /// In words.
    pub error: String,
    /// The provider, where one was asked.
    pub provider: Option<String>,
    /// Its answer's code.
    pub provider_status: Option<String>,
    /// Attempts made.
    pub attempts: u32,
    /// First failure.
    pub first_failure_at: DateTime<Utc>,
    /// Last failure.
    pub last_failure_at: DateTime<Utc>,
    /// Earlier replays.
    pub replay_count: u32,
}

/// The headers tell no story of a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("header {0} is missing or makes no sense")]
pub struct NoDeadLetter(pub &'static str);

impl DeadLetter {
    /// Reads what [`DeadLetter::to_pairs`] wrote, among any other headers; of repeated ones the last counts.
    ///
    /// # Errors
    /// [`NoDeadLetter`] naming the first header that is missing or not to be read. Those that may be empty may be missing too.
    pub fn from_pairs<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> Result<Self, NoDeadLetter> {
        let told = Told::gather(pairs);
        Ok(Self {
            source_topic: told.required(header::SOURCE_TOPIC)?,
            source_partition: told.required(header::SOURCE_PARTITION)?,
            source_offset: told.required(header::SOURCE_OFFSET)?,
            source_timestamp: told.optional(header::SOURCE_TIMESTAMP)?,
            group: told.required(header::GROUP)?,
            channel: told.required(header::CHANNEL)?,
            event_id: told.optional(header::EVENT_ID)?,
            class: told.required(header::CLASS)?,
            stage: told.required(header::STAGE)?,
            error: told.optional(header::ERROR)?.unwrap_or_default(),
            provider: told.optional(header::PROVIDER)?,
            provider_status: told.optional(header::PROVIDER_STATUS)?,
            attempts: told.required(header::ATTEMPTS)?,
            first_failure_at: told.required(header::FIRST_FAILURE_AT)?,
            last_failure_at: told.required(header::LAST_FAILURE_AT)?,
            replay_count: told.optional(header::REPLAY_COUNT)?.unwrap_or_default(),
        })
    }

    /// Header names and values in the order of the contract; a value there is none of is empty.
    pub fn to_pairs(&self) -> Vec<(String, String)> {
        let instant = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Millis, true);
        let optional = |value: &Option<String>| value.clone().unwrap_or_default();
        let number = |value: Option<i64>| value.map(|value| value.to_string()).unwrap_or_default();
        [
            (header::SOURCE_TOPIC, self.source_topic.clone()),
            (header::SOURCE_PARTITION, self.source_partition.to_string()),
            (header::SOURCE_OFFSET, self.source_offset.to_string()),
            (header::SOURCE_TIMESTAMP, number(self.source_timestamp)),
            (header::GROUP, self.group.clone()),
            (header::CHANNEL, self.channel.to_string()),
            (
                header::EVENT_ID,
                optional(&self.event_id.clone().map(String::from)),
            ),
            (header::CLASS, self.class.to_string()),
            (header::STAGE, self.stage.to_string()),
            (header::ERROR, shortened(&self.error).to_owned()),
            (header::PROVIDER, optional(&self.provider)),
            (header::PROVIDER_STATUS, optional(&self.provider_status)),
            (header::ATTEMPTS, self.attempts.to_string()),
            (header::FIRST_FAILURE_AT, instant(self.first_failure_at)),
            (header::LAST_FAILURE_AT, instant(self.last_failure_at)),
            (header::REPLAY_COUNT, self.replay_count.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }
}

/// The texts of the headers that have one.
struct Told<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Told<'a> {
    fn gather(pairs: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let texts = pairs
            .into_iter()
            .filter_map(|(name, value)| Some((name, std::str::from_utf8(value).ok()?)));
        Self(texts.collect())
    }

    fn optional<T: FromStr>(&self, name: &'static str) -> Result<Option<T>, NoDeadLetter> {
        let text = self.0.get(name).filter(|text| !text.is_empty());
        let read = text.map(|text| text.parse().map_err(|_unsaid| NoDeadLetter(name)));
        read.transpose()
    }

    fn required<T: FromStr>(&self, name: &'static str) -> Result<T, NoDeadLetter> {
        self.optional(name)?.ok_or(NoDeadLetter(name))
    }
}

fn shortened(text: &str) -> &str {
    let end = (0..=ERROR_LIMIT_BYTES.min(text.len()))
        .rev()
        .find(|end| text.is_char_boundary(*end));
    end.and_then(|end| text.get(..end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter() -> DeadLetter {
        let at = DateTime::from_timestamp_millis(1_767_225_600_123).unwrap();
        DeadLetter {
            source_topic: "booking-confirmed".to_owned(),
            source_partition: 2,
            source_offset: 41,
            source_timestamp: Some(1_767_225_600_000),
            group: "sms-notification-group".to_owned(),
            channel: Channel::Sms,
            event_id: Some("an-event".parse().unwrap()),
            class: DeadLetterClass::Permanent,
            stage: Stage::Send,
            error: "the number does not exist".to_owned(),
            provider: Some("twilio".to_owned()),
            provider_status: Some("21211".to_owned()),
            attempts: 1,
            first_failure_at: at,
            last_failure_at: at,
            replay_count: 3,
        }
    }

    fn read(pairs: &[(String, String)]) -> Result<DeadLetter, NoDeadLetter> {
        let pairs = pairs.iter();
        DeadLetter::from_pairs(pairs.map(|(name, value)| (name.as_str(), value.as_bytes())))
    }

    #[test]
    fn a_story_reads_as_it_was_written_with_and_without_what_may_be_missing() {
        let bare = DeadLetter {
            source_timestamp: None,
            event_id: None,
            error: String::new(),
            provider: None,
            provider_status: None,
            replay_count: 0,
            ..letter()
        };
        for written in [letter(), bare] {
            let pairs = written.to_pairs();
            assert_eq!(read(&pairs), Ok(written.clone()));
            let told: Vec<_> = pairs
                .into_iter()
                .filter(|(_, value)| !value.is_empty())
                .collect();
            assert_eq!(read(&told), Ok(written));
        }
    }

    #[test]
    fn headers_that_tell_no_story_name_the_one_at_fault() {
        assert_eq!(read(&[]), Err(NoDeadLetter(header::SOURCE_TOPIC)));
        let mut pairs = letter().to_pairs();
        pairs.push((header::CLASS.to_owned(), "BORED".to_owned()));
        assert_eq!(read(&pairs), Err(NoDeadLetter(header::CLASS)));
    }

    #[test]
    fn a_long_error_is_cut_at_a_character_not_inside_one() {
        assert_eq!(shortened(&"₹".repeat(400)).len(), 1023);
        assert_eq!(shortened("short"), "short");
    }
}
