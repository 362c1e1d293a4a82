//! Every topic of the system as it is and as it should be.

use std::collections::BTreeMap;

use bus::{
    Blueprint, Difference, TopicConfigs, TopicError, TopicLayout, TopicPlan, Topics, config,
};
use events::{Channel, EventType, NOTIFICATION_STATUS};

use crate::dlq::table::table;

/// What the brokers hold of a topic that should be there.
#[derive(Debug)]
pub(crate) enum Found {
    /// Nothing.
    Missing,
    /// The topic, its settings as far as they are told, and how it differs.
    There {
        layout: TopicLayout,
        config: BTreeMap<String, String>,
        differences: Vec<Difference>,
    },
}

/// Every topic of the system.
#[derive(Debug)]
pub(crate) struct Survey {
    pub(crate) topics: Vec<(Blueprint, Found)>,
    /// Whether the broker tells the settings of each topic.
    pub(crate) tells_settings: bool,
}

impl Survey {
    /// Asks the broker.
    pub(crate) async fn make(topics: &Topics) -> Result<Self, TopicError> {
        let mut known = topics.describe().await?;
        let ours = events::topics();
        known.retain(|topic| ours.contains(&topic.name));
        let names: Vec<_> = known.iter().map(|topic| topic.name.as_str()).collect();
        let configs = topics.configs(&names).await?.unwrap_or_default();
        let blueprint = |plan: &TopicPlan, known: &[TopicLayout]| topics.blueprint(plan, known);
        Ok(Self::of(known, configs, blueprint))
    }

    /// What is there against the plans. What is missing counts as made for the plans after it: dead letters are laid out as their topic will be.
    fn of(
        known: Vec<TopicLayout>,
        mut configs: TopicConfigs,
        blueprint: impl Fn(&TopicPlan, &[TopicLayout]) -> Blueprint,
    ) -> Self {
        let tells_settings = known.iter().all(|topic| configs.contains_key(&topic.name));
        let mut planned = known;
        let compared = plans().into_iter().map(|plan| {
            let blueprint = blueprint(&plan, &planned);
            let layout = planned.iter().find(|topic| topic.name == plan.name);
            let Some(layout) = layout.cloned() else {
                planned.push(blueprint.layout());
                return (blueprint, Found::Missing);
            };
            let config = configs.remove(&plan.name).unwrap_or_default();
            let found = Found::There {
                differences: blueprint.differences(&layout, &config),
                layout,
                config,
            };
            (blueprint, found)
        });
        Self {
            topics: compared.collect(),
            tells_settings,
        }
    }

    /// Topics that are to be made.
    pub(crate) fn missing(&self) -> Vec<Blueprint> {
        let missing = self
            .topics
            .iter()
            .filter(|(_, found)| matches!(found, Found::Missing));
        missing.map(|(blueprint, _)| blueprint.clone()).collect()
    }

    /// Topics that are there and differ, and in what.
    pub(crate) fn differing(&self) -> impl Iterator<Item = (&str, String)> {
        self.topics.iter().filter_map(|(blueprint, found)| {
            let Found::There { differences, .. } = found else {
                return None;
            };
            let told = told(differences);
            (!differences.is_empty()).then_some((blueprint.name.as_str(), told))
        })
    }

    /// A line for each topic.
    pub(crate) fn table(&self) -> String {
        let rows: Vec<_> = self.topics.iter().map(row).collect();
        table(HEAD, &rows)
    }
}

/// The three event topics, the statuses, and after them the dead letters and replays of each channel.
fn plans() -> Vec<TopicPlan> {
    let events = EventType::ALL.map(EventType::topic);
    let sources = events.map(|topic| TopicPlan::new(topic).like(&events));
    let told = Channel::ALL.into_iter().flat_map(|channel| {
        let topics = channel.events().iter().map(|event| event.topic());
        topics.map(move |topic| (channel, topic))
    });
    let own = told.flat_map(|(channel, source)| {
        let names = [
            channel.dead_letter_topic(source),
            channel.replay_topic(source),
        ];
        names.map(|name| TopicPlan::dead_letters(name, source))
    });
    sources
        .into_iter()
        .chain([TopicPlan::new(NOTIFICATION_STATUS)])
        .chain(own)
        .collect()
}

const HEAD: [&str; 8] = [
    "TOPIC",
    "PARTITIONS",
    "REPLICAS",
    "IN SYNC",
    "MUST BE IN SYNC",
    "RETENTION",
    "COMPRESSION",
    "DIFFERS",
];

fn row((blueprint, found): &(Blueprint, Found)) -> [String; 8] {
    let dash = || "-".to_owned();
    let name = blueprint.name.clone();
    match found {
        Found::Missing => [
            name,
            dash(),
            dash(),
            dash(),
            dash(),
            dash(),
            dash(),
            "missing".to_owned(),
        ],
        Found::There {
            layout,
            config,
            differences,
        } => {
            let setting = |name: &str| config.get(name).cloned();
            [
                name,
                layout.partitions.to_string(),
                layout.replication_factor.to_string(),
                layout.in_sync.to_string(),
                setting(config::MIN_IN_SYNC).unwrap_or_else(dash),
                setting(config::RETENTION).map_or_else(dash, |millis| bus::span(&millis)),
                setting(config::COMPRESSION).unwrap_or_else(dash),
                told(differences),
            ]
        }
    }
}

fn told(differences: &[Difference]) -> String {
    let told: Vec<_> = differences.iter().map(ToString::to_string).collect();
    told.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_of_the_system_is_planned_once() {
        let mut planned: Vec<_> = plans().into_iter().map(|plan| plan.name).collect();
        let mut all = events::topics();
        planned.sort();
        all.sort();
        assert_eq!(planned, all);
    }

    /// With three partitions, where the settings say nothing else.
    fn survey(known: Vec<TopicLayout>) -> Survey {
        let settings = bus::KafkaSettings::local("127.0.0.1:1".to_owned());
        Survey::of(known, TopicConfigs::new(), |plan, known| {
            plan.blueprint(&settings, known)
        })
    }

    #[test]
    fn after_one_apply_only_event_topics_that_are_not_as_the_settings_differ() {
        let confirmed = TopicLayout {
            name: EventType::BookingConfirmed.topic().to_owned(),
            partitions: 6,
            replication_factor: 1,
            in_sync: 1,
            without_leader: 0,
        };
        let made = survey(vec![confirmed.clone()]).missing();
        let made = made.iter().map(Blueprint::layout);
        let again = survey([confirmed].into_iter().chain(made).collect());
        assert_eq!(again.missing(), []);
        let differing: Vec<_> = again.differing().map(|(name, _)| name).collect();
        assert_eq!(differing, EventType::ALL.map(EventType::topic));
    }
}
