//! The brokers, and the topics on them.

use std::collections::BTreeMap;

use bus::{Cluster, Consumer, KafkaSettings, TopicLayout, Topics, UnequalPartitions, config};
use chassis::Failure;
use events::EventType;

use crate::doctor::finding::Report;
use crate::topics::{Found, Survey};

/// The program's name at the broker.
const CLIENT: &str = "harkara-doctor";

const MAKE: &str = "harkara topics apply, with the KAFKA_ settings of the programs";
const ALTER: &str = "kafka-configs.sh --alter --entity-type topics";
const REASSIGN: &str = "kafka-reassign-partitions.sh";

/// A topic's in-sync replicas: how many there must be, are, and should be.
struct Replicas {
    required: Option<usize>,
    in_sync: usize,
    all: usize,
    brokers: usize,
}

pub(super) async fn examine(settings: &KafkaSettings, report: &mut Report) -> Result<(), Failure> {
    let topics = Topics::new(settings, CLIENT)?;
    // A consumer minds properties that no other client does.
    Consumer::check(settings)?;
    let servers = settings.kafka_bootstrap_servers.as_str();
    let cluster = match topics.cluster().await {
        Ok(cluster) => cluster,
        Err(error) => {
            let mend = "start it, or set KAFKA_BOOTSTRAP_SERVERS and KAFKA_PROPERTIES; the programs start without it and go on when it is there";
            report.of("broker", servers).wrong(error.to_string(), mend);
            return Ok(());
        }
    };
    report.of("broker", servers).ok(told(&cluster));
    match Survey::make(&topics).await {
        Ok(survey) => judge(&survey, cluster.brokers, report),
        Err(error) => {
            let mend = "look at the brokers' logs, and at what this user may describe";
            report.of("topics", "all").wrong(error.to_string(), mend);
        }
    }
    Ok(())
}

fn told(Cluster { id, brokers }: &Cluster) -> String {
    let id = id.as_deref().unwrap_or("without an id");
    let plural = if *brokers == 1 { "" } else { "s" };
    format!("{brokers} broker{plural}, cluster {id}")
}

fn judge(survey: &Survey, brokers: usize, report: &mut Report) {
    let mut layouts = Vec::new();
    for (blueprint, found) in &survey.topics {
        let name = &blueprint.name;
        match found {
            Found::Missing => report.of("topic", name).wrong("missing", MAKE),
            Found::There { layout, config, .. } => {
                layouts.push(layout.clone());
                topic(layout, config, brokers, report);
            }
        }
    }
    equality(&layouts, report);
    if !survey.tells_settings {
        report
            .of("topics", "settings")
            .note("not all are told: this broker tells none, or this user may not describe them");
    }
    for (name, differences) in survey.differing() {
        let found = format!("differs from the settings: {differences}");
        report.of("topic", name).note(found);
    }
    let there = layouts.len();
    report.of("topics", "all").ok(format!("{there} are there"));
}

fn equality(layouts: &[TopicLayout], report: &mut Report) {
    let events = EventType::ALL.map(EventType::topic);
    let entry = report.of("topics", "events");
    match UnequalPartitions::check(&events, layouts) {
        Ok(()) => entry.ok("equal partitions"),
        Err(unequal) => entry.wrong(
            unequal.to_string(),
            "kafka-topics.sh --alter --partitions, after every group has read to the end; no program starts before",
        ),
    }
}

fn topic(
    layout: &TopicLayout,
    config: &BTreeMap<String, String>,
    brokers: usize,
    report: &mut Report,
) {
    let name = layout.name.as_str();
    if layout.without_leader > 0 {
        let found = format!("{} partitions have no leader", layout.without_leader);
        report
            .of("topic", name)
            .wrong(found, "bring the brokers back that had them");
    }
    let required = config.get(config::MIN_IN_SYNC);
    let replicas = Replicas {
        required: required.and_then(|count| count.parse().ok()),
        in_sync: layout.in_sync,
        all: layout.replication_factor,
        brokers,
    };
    for (found, mend) in replicas.troubles() {
        report.of("topic", name).wrong(found, mend);
    }
}

impl Replicas {
    fn troubles(&self) -> Vec<(String, &'static str)> {
        let Self {
            required,
            in_sync,
            all,
            brokers,
        } = *self;
        let mut troubles = Vec::new();
        if all == 1 && brokers > 1 {
            let found =
                format!("one replica, on {brokers} brokers: with its broker its records are lost");
            troubles.push((found, REASSIGN));
        }
        if in_sync < all {
            let found = format!("{in_sync} of {all} replicas are in sync");
            troubles.push((found, "bring the missing broker back"));
        }
        match required {
            Some(required) if required > all => {
                let found = format!(
                    "{required} replicas must be in sync and there are {all}: nothing can be written"
                );
                troubles.push((found, ALTER));
            }
            Some(required) if required > in_sync => {
                let found =
                    format!("{required} replicas must be in sync: nothing can be written now");
                troubles.push((found, "bring the missing broker back"));
            }
            Some(1) if all > 2 => {
                let found = format!(
                    "one of {all} replicas is enough for a record to count as written: with that broker it is lost"
                );
                troubles.push((found, ALTER));
            }
            Some(_) | None => {}
        }
        troubles
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn troubles(required: usize, in_sync: usize, all: usize, brokers: usize) -> String {
        let replicas = Replicas {
            required: Some(required),
            in_sync,
            all,
            brokers,
        };
        let told: Vec<_> = replicas.troubles().into_iter().map(|one| one.0).collect();
        told.join("; ")
    }

    #[test]
    fn replicas_are_held_against_brokers_and_what_must_be_in_sync() {
        assert_eq!(troubles(1, 1, 1, 1), "");
        assert_eq!(troubles(1, 2, 2, 2), "");
        assert_eq!(troubles(2, 3, 3, 3), "");
        assert!(troubles(1, 1, 1, 3).contains("one replica, on 3 brokers"));
        assert_eq!(troubles(2, 2, 3, 2), "2 of 3 replicas are in sync");
        assert!(troubles(2, 1, 3, 1).contains("nothing can be written now"));
        assert!(troubles(2, 1, 1, 1).contains("there are 1"));
        assert!(troubles(1, 3, 3, 3).contains("one of 3 replicas is enough"));
    }
}
