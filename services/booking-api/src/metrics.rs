//! The metrics of this program beside those of the chassis and the outbox.

use bus::TopicLayout;
use chassis::metrics::{Counter, EncodeLabelSet, Family, Gauge, Metrics};

/// What the writers did: commands over batches is how well they coalesce.
#[derive(Clone, Debug, Default)]
pub(crate) struct WriteMetrics {
    batches: Counter,
    commands: Counter,
}

impl WriteMetrics {
    pub(crate) fn register(metrics: &Metrics) -> Self {
        let own = Self::default();
        metrics.register(|registry| {
            let registry = registry.sub_registry_with_prefix("booking");
            let help = "Transactions that wrote commands";
            registry.register("write_batches", help, own.batches.clone());
            let help = "Commands written, refused ones included";
            registry.register("write_commands", help, own.commands.clone());
        });
        own
    }

    pub(crate) fn count(&self, commands: usize) {
        self.batches.inc();
        self.commands
            .inc_by(commands.try_into().unwrap_or(u64::MAX));
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct Topic {
    topic: String,
}

/// How the topics of the system lie on the brokers.
#[derive(Clone, Debug, Default)]
pub(crate) struct TopicMetrics {
    partitions: Family<Topic, Gauge>,
    replication_factor: Family<Topic, Gauge>,
}

impl TopicMetrics {
    pub(crate) fn register(metrics: &Metrics) -> Self {
        let own = Self::default();
        metrics.register(|registry| {
            let registry = registry.sub_registry_with_prefix("kafka_topic");
            registry.register("partitions", "Partitions", own.partitions.clone());
            let help = "Replicas of the partition with the fewest";
            registry.register("replication_factor", help, own.replication_factor.clone());
        });
        own
    }

    pub(crate) fn set(&self, layout: &TopicLayout) {
        let topic = Topic {
            topic: layout.name.clone(),
        };
        let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let partitions = self.partitions.get_or_create(&topic);
        partitions.set(gauge(layout.partitions));
        let replicas = self.replication_factor.get_or_create(&topic);
        replicas.set(gauge(layout.replication_factor));
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct Partition {
    pub(crate) topic: String,
    pub(crate) partition: i32,
}

/// What came of records of `notification-status`.
#[derive(Clone, Debug, Default)]
pub(crate) struct StatusMetrics {
    records: Family<Outcome, Counter>,
    pub(crate) lag: Family<Partition, Gauge>,
}

impl StatusMetrics {
    pub(crate) fn register(metrics: &Metrics) -> Self {
        let own = Self::default();
        metrics.register(|registry| {
            let registry = registry.sub_registry_with_prefix("booking");
            let help = "Records of notification-status by outcome";
            registry.register("status_records", help, own.records.clone());
            let help = "Records of notification-status not yet read";
            registry.register("status_lag", help, own.lag.clone());
        });
        own
    }

    pub(crate) fn count(&self, outcome: &'static str, records: u64) {
        self.records
            .get_or_create(&Outcome { outcome })
            .inc_by(records);
    }
}
