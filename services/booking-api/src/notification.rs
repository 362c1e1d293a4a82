//! What became of a notification: its steps, and where they leave it. No I/O, no clock.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use events::{Channel, EventId, EventType, NotificationStatus, Step};

/// A step, and where on `notification-status` it was told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotificationStep {
    pub(crate) event_id: EventId,
    pub(crate) event_type: EventType,
    pub(crate) channel: Channel,
    pub(crate) step: Step,
    /// Attempts made so far.
    pub(crate) attempt: u32,
    pub(crate) provider: Option<String>,
    pub(crate) provider_message_id: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) occurred_at: DateTime<Utc>,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

impl NotificationStep {
    pub(crate) fn new(status: NotificationStatus, partition: i32, offset: i64) -> Self {
        Self {
            event_id: status.event_id,
            event_type: status.event_type,
            channel: status.channel,
            step: status.status,
            attempt: status.attempt,
            provider: status.provider,
            provider_message_id: status.provider_message_id,
            reason: status.reason,
            occurred_at: status.occurred_at,
            partition,
            offset,
        }
    }

    /// How far the message came with this step. The furthest step is the state, in whatever order the steps arrive.
    ///
    /// The last parts tell apart what would be equal otherwise.
    fn distance(&self) -> (Stage, DateTime<Utc>, u32, bool, i32, i64) {
        let given_up = matches!(self.step, Step::Failed);
        (
            Stage::of(self.step),
            self.occurred_at,
            self.attempt,
            given_up,
            self.partition,
            self.offset,
        )
    }
}

/// Steps that replace one another by their time; a later stage replaces an earlier one at any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// Something is still to come.
    Open,
    /// It ended without a message; a replay may go on from there.
    Untold,
    /// The provider has it, whatever comes later.
    Sent,
    Delivered,
    Read,
}

impl Stage {
    const fn of(step: Step) -> Self {
        match step {
            Step::Retrying | Step::Failed => Self::Open,
            Step::Suppressed | Step::Expired | Step::DeadLettered => Self::Untold,
            Step::Sent => Self::Sent,
            Step::Delivered => Self::Delivered,
            Step::Read => Self::Read,
        }
    }
}

/// Where the notification of an event on a channel stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notification {
    pub(crate) event_id: EventId,
    pub(crate) event_type: EventType,
    pub(crate) channel: Channel,
    pub(crate) status: Step,
    pub(crate) attempts: u32,
    pub(crate) provider: Option<String>,
    pub(crate) provider_message_id: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) updated_at: DateTime<Utc>,
}

/// Where each notification stands that one of these steps is of, by event and channel.
pub(crate) fn current(steps: &[NotificationStep]) -> Vec<Notification> {
    let mut groups: BTreeMap<_, Vec<&NotificationStep>> = BTreeMap::new();
    for step in steps {
        let key = (&step.event_id, step.channel);
        groups.entry(key).or_default().push(step);
    }
    groups.into_values().filter_map(furthest).collect()
}

/// A receipt of delivery may name neither attempt nor provider: the steps before it do.
fn furthest(mut steps: Vec<&NotificationStep>) -> Option<Notification> {
    steps.sort_by_key(|step| Reverse(step.distance()));
    let state = steps.first()?;
    let last_known = |field: fn(&NotificationStep) -> &Option<String>| {
        steps.iter().find_map(|step| field(step).clone())
    };
    Some(Notification {
        event_id: state.event_id.clone(),
        event_type: state.event_type,
        channel: state.channel,
        status: state.step,
        attempts: steps.iter().map(|step| step.attempt).max()?,
        provider: last_known(|step| &step.provider),
        provider_message_id: last_known(|step| &step.provider_message_id),
        reason: state.reason.clone(),
        updated_at: state.occurred_at,
    })
}

#[cfg(test)]
mod tests;
