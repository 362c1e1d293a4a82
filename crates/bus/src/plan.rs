//! Topics as they should be, and how they differ from that.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use rdkafka::admin::{NewTopic, TopicReplication};

use crate::{KafkaSettings, TopicLayout};

/// Twice what a broker takes by default: a dead letter is its source and some headers more.
const DEAD_LETTER_BYTES: &str = "2097152";

/// Broker's names of the settings that are looked at.
pub mod config {
    /// How long records are kept, in milliseconds; -1 is for ever.
    pub const RETENTION: &str = "retention.ms";
    /// Without so many replicas in sync `acks=all` is refused.
    pub const MIN_IN_SYNC: &str = "min.insync.replicas";
    /// How records are compressed on the broker; `producer` keeps them as they came.
    pub const COMPRESSION: &str = "compression.type";
    /// The largest batch that is taken, in bytes.
    pub const MAX_MESSAGE: &str = "max.message.bytes";
}

/// A topic that must be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicPlan {
    /// Topic.
    pub name: String,
    /// Topics that have as many partitions: it is made like the first of them that exists. One for dead letters must stay so; others must be as the settings say.
    pub like: Vec<String>,
    /// Whether it is for dead letters: its records are some headers larger than those of others, and kept for `KAFKA_DLQ_RETENTION`.
    pub dead_letters: bool,
}

impl TopicPlan {
    /// A topic of its own.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            like: Vec::new(),
            dead_letters: false,
        }
    }

    /// The same with as many partitions as the first of these that exists.
    #[must_use]
    pub fn like(self, names: &[&str]) -> Self {
        let like = names.iter().map(|&name| name.to_owned()).collect();
        Self { like, ..self }
    }

    /// A topic for the dead letters of `source`.
    pub fn dead_letters(name: String, source: &str) -> Self {
        Self {
            name,
            like: vec![source.to_owned()],
            dead_letters: true,
        }
    }

    /// The topic as it should be beside those that are known.
    pub fn blueprint(&self, settings: &KafkaSettings, known: &[TopicLayout]) -> Blueprint {
        let named = |name: &String| known.iter().find(|topic| topic.name == *name);
        let exists = named(&self.name).is_some();
        let mut like = self.like.iter().filter(|_| self.dead_letters || !exists);
        let like = like.find_map(named);
        let count = |number: i32| usize::try_from(number).unwrap_or(1);
        let partitions = like.map_or(count(settings.kafka_partitions), |like| like.partitions);
        Blueprint {
            name: self.name.clone(),
            partitions,
            replication_factor: count(settings.kafka_replication_factor),
            config: self.config(settings),
        }
    }

    fn config(&self, settings: &KafkaSettings) -> BTreeMap<&'static str, String> {
        let topics = &settings.kafka_topics;
        let kept = if self.dead_letters {
            topics.kafka_dlq_retention
        } else {
            topics.kafka_retention
        };
        let mut config = BTreeMap::from([
            (config::RETENTION, kept.as_millis().to_string()),
            (config::MIN_IN_SYNC, settings.min_in_sync().to_string()),
            (
                config::COMPRESSION,
                topics.kafka_compression.as_str().to_owned(),
            ),
        ]);
        if self.dead_letters {
            config.insert(config::MAX_MESSAGE, DEAD_LETTER_BYTES.to_owned());
        }
        config
    }
}

/// A topic as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blueprint {
    /// Topic.
    pub name: String,
    /// Partitions.
    pub partitions: usize,
    /// Replicas of each partition.
    pub replication_factor: usize,
    /// Settings by their names at the broker.
    pub config: BTreeMap<&'static str, String>,
}

/// What a topic has in place of what it should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// `partitions`, `replicas`, or the broker's name of a setting.
    pub what: &'static str,
    /// What the topic has.
    pub found: String,
    /// What it should have.
    pub wanted: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}, not {}", self.what, self.found, self.wanted)
    }
}

impl Blueprint {
    pub(crate) fn new_topic(&self) -> NewTopic<'_> {
        let number = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
        let replication = TopicReplication::Fixed(number(self.replication_factor));
        let topic = NewTopic::new(&self.name, number(self.partitions), replication);
        self.config
            .iter()
            .fold(topic, |topic, (name, value)| topic.set(name, value))
    }

    /// The topic once it is made.
    pub fn layout(&self) -> TopicLayout {
        TopicLayout {
            name: self.name.clone(),
            partitions: self.partitions,
            replication_factor: self.replication_factor,
            in_sync: self.replication_factor,
            without_leader: 0,
        }
    }

    /// How a topic that exists differs. Settings that the broker does not tell differ in nothing.
    pub fn differences(
        &self,
        layout: &TopicLayout,
        config: &BTreeMap<String, String>,
    ) -> Vec<Difference> {
        let of = |what, found: String, wanted: String| Difference {
            what,
            found,
            wanted,
        };
        let counts = [
            ("partitions", layout.partitions, self.partitions),
            (
                "replicas",
                layout.replication_factor,
                self.replication_factor,
            ),
        ];
        let counts =
            counts.map(|(what, found, wanted)| of(what, found.to_string(), wanted.to_string()));
        let settings = self.config.iter().filter_map(|(what, wanted)| {
            let found = config.get(*what)?;
            Some(of(what, found.clone(), wanted.clone()))
        });
        counts
            .into_iter()
            .chain(settings)
            .filter(|difference| difference.found != difference.wanted)
            .collect()
    }
}

/// Topics that must have equally many partitions have not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: they must have equally many", self.counts())]
pub struct UnequalPartitions(Vec<(String, usize)>);

impl UnequalPartitions {
    /// Of those of the topics that exist.
    ///
    /// # Errors
    /// [`UnequalPartitions`] if they differ.
    pub fn check(names: &[&str], known: &[TopicLayout]) -> Result<(), Self> {
        let there = known
            .iter()
            .filter(|topic| names.contains(&topic.name.as_str()));
        let counts: Vec<_> = there
            .map(|topic| (topic.name.clone(), topic.partitions))
            .collect();
        let mut pairs = counts.iter().zip(counts.iter().skip(1));
        if pairs.all(|((_, one), (_, next))| one == next) {
            Ok(())
        } else {
            Err(Self(counts))
        }
    }

    fn counts(&self) -> String {
        let told = self.0.iter();
        let told: Vec<_> = told
            .map(|(name, partitions)| format!("{name} has {partitions} partitions"))
            .collect();
        told.join(", ")
    }
}

impl From<UnequalPartitions> for chassis::Failure {
    fn from(unequal: UnequalPartitions) -> Self {
        Self::Unavailable {
            what: "KAFKA_BOOTSTRAP_SERVERS",
            problem: unequal.to_string(),
        }
    }
}

/// A span as a person writes it: `7days`.
pub fn span(millis: &str) -> String {
    match millis.parse::<u64>() {
        Ok(millis) => humantime::format_duration(Duration::from_millis(millis)).to_string(),
        Err(_) => "for ever".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(replicas: i32) -> KafkaSettings {
        KafkaSettings {
            kafka_replication_factor: replicas,
            ..KafkaSettings::local("127.0.0.1:1".to_owned())
        }
    }

    fn layout(name: &str, partitions: usize) -> TopicLayout {
        TopicLayout {
            name: name.to_owned(),
            partitions,
            replication_factor: 3,
            in_sync: 3,
            without_leader: 0,
        }
    }

    #[test]
    fn a_new_topic_has_as_many_partitions_as_those_it_belongs_to() {
        let known = [layout("b", 6)];
        let settings = settings(1);
        let beside = TopicPlan::new("a").like(&["a", "b"]);
        assert_eq!(beside.blueprint(&settings, &known).partitions, 6);
        let there = TopicPlan::new("b").like(&["a", "b"]);
        assert_eq!(there.blueprint(&settings, &known).partitions, 3);
        let dead = TopicPlan::dead_letters("b.dlq".to_owned(), "b");
        assert_eq!(dead.blueprint(&settings, &known).partitions, 6);
        assert_eq!(
            TopicPlan::new("c").blueprint(&settings, &known).partitions,
            3
        );
    }

    #[test]
    fn one_replica_may_be_away_unless_it_is_the_only_one() {
        for (replicas, in_sync) in [(1, "1"), (2, "1"), (3, "2")] {
            let blueprint = TopicPlan::new("a").blueprint(&settings(replicas), &[]);
            assert_eq!(blueprint.config[config::MIN_IN_SYNC], in_sync);
        }
    }

    #[test]
    fn a_topic_differs_in_counts_and_in_the_settings_the_broker_tells() {
        let blueprint = TopicPlan::new("a").blueprint(&settings(3), &[]);
        let told = BTreeMap::from([(config::RETENTION.to_owned(), "1000".to_owned())]);
        let differences = blueprint.differences(&layout("a", 6), &told);
        let told: Vec<_> = differences.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            ["partitions 6, not 3", "retention.ms 1000, not 604800000"]
        );
        assert_eq!(blueprint.differences(&layout("a", 3), &BTreeMap::new()), []);
    }

    #[test]
    fn unequal_partitions_are_told_in_one_line() {
        let known = [layout("a", 3), layout("b", 3), layout("c", 6)];
        assert_eq!(UnequalPartitions::check(&["a", "b", "x"], &known), Ok(()));
        let unequal = UnequalPartitions::check(&["a", "c"], &known).unwrap_err();
        assert_eq!(
            unequal.to_string(),
            "a has 3 partitions, c has 6 partitions: they must have equally many"
        );
    }
}
