//! What a notifier adds to the common machinery: how its message reads, and how its provider is asked.

use std::future::Future;
use std::num::NonZeroU32;
use std::time::Duration;

use events::{BookingEvent, EventId, EventType, Stage};

/// One way to reach a passenger through one provider.
pub trait Channel: Send + Sync + 'static {
    /// A message ready to be handed to the provider.
    type Message: Send + Sync;

    /// Which channel this is.
    fn channel(&self) -> events::Channel;

    /// The providers' names in metrics, logs and dead letters, at least one: `smtp`, `twilio`.
    ///
    /// The first is used; a later one only while the circuits of all before it are open, and never for a message that an earlier one may have taken.
    fn providers(&self) -> &'static [&'static str];

    /// The setting without which this channel cannot tell of such an event, if it is missing.
    fn missing_setting(&self, _event_type: EventType) -> Option<&'static str> {
        None
    }

    /// Writes the message of an event. Pure: the same event gives the same message.
    ///
    /// # Errors
    /// [`Undeliverable`] if this channel can never tell this event.
    fn render(&self, event: &BookingEvent) -> Result<Self::Message, Undeliverable>;

    /// Whom the message goes to, as the provider counts recipients: limits of a recipient are kept by it.
    fn recipient<'m>(&self, message: &'m Self::Message) -> &'m str;

    /// How many messages the provider takes for one recipient, where it counts them.
    fn recipient_quota(&self) -> Option<RecipientQuota> {
        None
    }

    /// Hands the message to [`Delivery::provider`], once, within the provider timeout.
    ///
    /// # Errors
    /// [`SendError`], which carries what is to be done about it.
    fn send(
        &self,
        message: &Self::Message,
        delivery: &Delivery,
    ) -> impl Future<Output = Result<Receipt, SendError>> + Send;

    /// Whether this provider can be asked for the messages that it has.
    fn can_look_up(&self, _provider: &str) -> bool {
        false
    }

    /// Asks [`Delivery::provider`] whether it has the message of an earlier attempt whose outcome is unknown.
    ///
    /// # Errors
    /// [`SendError`] if it cannot be asked now.
    fn look_up(
        &self,
        _message: &Self::Message,
        _delivery: &Delivery,
    ) -> impl Future<Output = Result<LookedUp, SendError>> + Send {
        std::future::ready(Ok(LookedUp::Unknown))
    }
}

/// What a provider takes for one recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecipientQuota {
    /// One message in so long.
    pub every: Duration,
    /// So many at once.
    pub burst: NonZeroU32,
}

/// What a provider knows of an earlier attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookedUp {
    /// It took the message.
    Taken(Receipt),
    /// It did not.
    NotTaken,
    /// It cannot tell.
    Unknown,
}

/// What an adapter may know of the delivery around a message.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The provider to ask, of [`Channel::providers`].
    pub provider: &'static str,
    /// The event's id: stable over every attempt, so the provider's idempotency key where it has one.
    pub event_id: EventId,
    /// The topic of the event.
    pub topic: String,
    /// Attempt, from 1.
    pub attempt: u32,
}

/// The provider took the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The provider's name for it.
    pub provider_message_id: String,
}

/// The event is well-formed, but this channel cannot tell it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct Undeliverable {
    /// [`Stage::Validate`] for the event's fault, [`Stage::Render`] for the template's.
    pub stage: Stage,
    /// What is wrong, naming fields and never their content.
    pub problem: String,
}

/// The provider did not take the message, or did not say so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct SendError {
    /// What is to be done.
    pub class: FailureClass,
    /// The provider's code: an SMTP reply with its enhanced code, an API's error code, an HTTP status.
    pub status: Option<String>,
    /// In words, without addresses, numbers or names.
    pub problem: String,
}

/// What is to be done about a failed send. The loop only obeys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureClass {
    /// Try again later, with backoff.
    ///
    /// [`Scope::Account`]: the provider is not well, which counts for its circuit. [`Scope::Recipient`]: it is, and this mailbox or handset is not.
    Transient(Scope),
    /// Try again after this long; no attempt is spent.
    RateLimited {
        /// How long the provider asked us to wait.
        after: Duration,
        /// Whom the limit concerns.
        scope: Scope,
    },
    /// It will never be taken: dead letter at once.
    Permanent,
    /// Our account, credentials, sender or reputation are at fault: nothing is spent and nothing dead-lettered until an operator mends it.
    ///
    /// [`Scope::Account`]: no message can be sent, so the circuit opens at once. [`Scope::Recipient`]: this one was refused for our sake, others may pass.
    Misconfigured(Scope),
    /// It may have been taken: the request was written and no answer came.
    Ambiguous,
}

/// Whom a limit or a refusal concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All our traffic to this provider.
    Account,
    /// This recipient only.
    Recipient,
}

impl FailureClass {
    /// The word in metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Transient(_) => "transient",
            Self::RateLimited { .. } => "rate_limited",
            Self::Permanent => "permanent",
            Self::Misconfigured(Scope::Account) => "misconfigured",
            Self::Misconfigured(Scope::Recipient) => "refused_for_us",
            Self::Ambiguous => "ambiguous",
        }
    }
}
