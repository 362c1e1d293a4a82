//! The relay's metrics.

use chassis::metrics::{
    self, Counter, EncodeLabelSet, Family, Gauge, GaugeSeconds, Histogram, Metrics,
};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct Publication {
    pub(crate) topic: String,
    pub(crate) outcome: &'static str,
}

#[derive(Clone, Debug)]
pub(crate) struct OutboxMetrics {
    pub(crate) published: Family<Publication, Counter>,
    pub(crate) publish_seconds: Histogram,
    pub(crate) pending: Gauge,
    pub(crate) oldest_seconds: GaugeSeconds,
}

impl OutboxMetrics {
    pub(crate) fn register(metrics: &Metrics, prefix: &'static str) -> Self {
        let own = Self {
            published: Family::default(),
            publish_seconds: metrics::seconds(),
            pending: Gauge::default(),
            oldest_seconds: GaugeSeconds::default(),
        };
        metrics.register(|registry| {
            let registry = registry.sub_registry_with_prefix(prefix);
            registry.register(
                "events_published",
                "Publications by outcome",
                own.published.clone(),
            );
            registry.register(
                "event_publish_seconds",
                "Seconds from the commit to the broker's acknowledgement; from the change, where another process or an earlier one committed it",
                own.publish_seconds.clone(),
            );
            registry.register("outbox_pending", "Rows to publish", own.pending.clone());
            registry.register(
                "outbox_oldest_seconds",
                "Age of the oldest row to publish, in seconds; 0 when there is none",
                own.oldest_seconds.clone(),
            );
        });
        own
    }

    pub(crate) fn count(&self, topic: &str, outcome: &'static str) {
        self.published
            .get_or_create(&Publication {
                topic: topic.to_owned(),
                outcome,
            })
            .inc();
    }
}
