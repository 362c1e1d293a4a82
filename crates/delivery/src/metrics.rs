//! Every metric of a notifier.

use std::time::Duration;

use chassis::metrics::{
    self, Counter, EncodeLabelSet, Family, Gauge, GaugeSeconds, Histograms, Metrics, Registry,
};
use events::{DeadLetterClass, EventType};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct Topic {
    pub(crate) topic: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct Partition {
    pub(crate) topic: String,
    pub(crate) partition: i32,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct Notification {
    pub(crate) event_type: &'static str,
    pub(crate) outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct Attempt {
    pub(crate) provider: &'static str,
    pub(crate) outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct Provider {
    pub(crate) provider: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct Event {
    pub(crate) event_type: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct Dead {
    pub(crate) topic: String,
    pub(crate) class: &'static str,
}

/// The metrics of section 6 of the contract that a notifier writes.
#[derive(Clone, Debug)]
pub(crate) struct NotifierMetrics {
    pub(crate) consumed: Family<Topic, Counter>,
    pub(crate) lag: Family<Partition, Gauge>,
    pub(crate) notifications: Family<Notification, Counter>,
    pub(crate) attempts: Family<Attempt, Counter>,
    pub(crate) taken_in_seconds: Histograms<Event>,
    pub(crate) send_seconds: Histograms<Provider>,
    pub(crate) end_to_end_seconds: Histograms<Event>,
    pub(crate) pending: Gauge,
    pub(crate) oldest_seconds: GaugeSeconds,
    pub(crate) dead_letters: Family<Dead, Counter>,
    pub(crate) storms: Family<Topic, Counter>,
    pub(crate) paused: Gauge,
    pub(crate) breaker_state: Family<Provider, Gauge>,
    pub(crate) rate: Family<Provider, Gauge>,
    pub(crate) duplicates: Counter,
    pub(crate) maybe_duplicates: Counter,
}

impl NotifierMetrics {
    pub(crate) fn register(metrics: &Metrics) -> Self {
        let own = Self {
            consumed: Family::default(),
            lag: Family::default(),
            notifications: Family::default(),
            attempts: Family::default(),
            taken_in_seconds: metrics::seconds_by(),
            send_seconds: metrics::seconds_by(),
            end_to_end_seconds: metrics::seconds_by(),
            pending: Gauge::default(),
            oldest_seconds: GaugeSeconds::default(),
            dead_letters: Family::default(),
            storms: Family::default(),
            paused: Gauge::default(),
            breaker_state: Family::default(),
            rate: Family::default(),
            duplicates: Counter::default(),
            maybe_duplicates: Counter::default(),
        };
        metrics.register(|registry| own.add_to(registry.sub_registry_with_prefix("notifier")));
        own
    }

    fn add_to(&self, to: &mut Registry) {
        self.add_messages_to(to);
        self.add_safeguards_to(to);
    }

    fn add_messages_to(&self, to: &mut Registry) {
        to.register("events_consumed", "Records taken in", self.consumed.clone());
        to.register("consumer_lag", "Records not yet taken in", self.lag.clone());
        to.register(
            "notifications",
            "Messages by outcome",
            self.notifications.clone(),
        );
        to.register(
            "attempts",
            "Calls of the provider by outcome",
            self.attempts.clone(),
        );
        to.register(
            "taken_in_seconds",
            "Seconds from the event to its place in the inbox",
            self.taken_in_seconds.clone(),
        );
        to.register(
            "send_seconds",
            "Seconds of a call of the provider",
            self.send_seconds.clone(),
        );
        to.register(
            "end_to_end_seconds",
            "Seconds from the event to the provider's acceptance",
            self.end_to_end_seconds.clone(),
        );
        to.register("inbox_pending", "Unfinished messages", self.pending.clone());
        to.register(
            "inbox_oldest_seconds",
            "Age of the oldest unfinished message, in seconds; 0 when there is none",
            self.oldest_seconds.clone(),
        );
    }

    fn add_safeguards_to(&self, to: &mut Registry) {
        to.register(
            "dead_letters",
            "Records given up",
            self.dead_letters.clone(),
        );
        to.register(
            "dead_letter_storms",
            "Floods of dead letters that stopped the reading of a partition",
            self.storms.clone(),
        );
        to.register(
            "paused_partitions",
            "Partitions not read because of a flood of dead letters",
            self.paused.clone(),
        );
        to.register(
            "breaker_state",
            "The provider's circuit: 0 closed, 1 half-open, 2 open",
            self.breaker_state.clone(),
        );
        to.register(
            "rate_limit",
            "Sends a second that the provider is given now",
            self.rate.clone(),
        );
        to.register(
            "duplicates_suppressed",
            "Records of an event that was already taken in",
            self.duplicates.clone(),
        );
        to.register(
            "maybe_duplicates",
            "Messages sent again although an earlier attempt may have arrived",
            self.maybe_duplicates.clone(),
        );
    }

    pub(crate) fn time_arrival(&self, event: EventType, took: Duration) {
        let label = Event {
            event_type: event.as_str(),
        };
        let times = self.taken_in_seconds.get_or_create(&label);
        times.observe(took.as_secs_f64());
    }

    pub(crate) fn count_dead(&self, topic: &str, class: DeadLetterClass) {
        let label = Dead {
            topic: topic.to_owned(),
            class: class.as_str(),
        };
        self.dead_letters.get_or_create(&label).inc();
    }

    pub(crate) fn count_storm(&self, topic: &str) {
        let topic = topic.to_owned();
        self.storms.get_or_create(&Topic { topic }).inc();
    }

    pub(crate) fn count_notification(&self, event: EventType, outcome: &'static str) {
        let label = Notification {
            event_type: event.as_str(),
            outcome,
        };
        self.notifications.get_or_create(&label).inc();
    }

    pub(crate) fn count_attempt(&self, provider: &'static str, outcome: &'static str) {
        self.attempts
            .get_or_create(&Attempt { provider, outcome })
            .inc();
    }
}
