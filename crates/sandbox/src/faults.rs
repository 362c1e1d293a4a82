//! Misbehaviour on demand: rules that make the sandbox slow, refuse, limit, hang, or accept and then drop the answer.

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chassis::chance;
use events::Channel;
use serde::{Deserialize, Serialize};

use crate::accepted::Provider;

/// One rule: which messages it strikes, how often, and what it does to them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// The channel whose messages it strikes.
    pub channel: Channel,
    /// Only the messages of this provider of the channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<Provider>,
    /// Only recipients that hold this text; a whole address or number strikes that one alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<String>,
    /// The share of those messages it strikes, from 0 to 1.
    #[serde(default = "always")]
    pub rate: f64,
    /// How many hits use the rule up. Without it the rule stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// What happens to a message that is struck.
    pub effect: Effect,
    /// Messages struck so far. What was read can be put back as it is.
    #[serde(default)]
    pub hits: u64,
}

const fn always() -> f64 {
    1.0
}

/// What a rule does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum Effect {
    /// Waits, then goes on with the rules after it.
    Delay {
        /// How long, in milliseconds.
        ms: u64,
    },
    /// Refuses with an HTTP status and a provider's error code (SMS and `WhatsApp`).
    Status {
        /// HTTP status, 400 to 599.
        status: u16,
        /// The provider's error code.
        code: u32,
        /// Seconds in a `Retry-After` header.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_seconds: Option<u64>,
    },
    /// Refuses with an SMTP reply (e-mail).
    SmtpCode {
        /// The whole reply, such as `451 4.3.0 try again later`. After 421 the connection is closed.
        reply: String,
        /// The command that is refused.
        stage: SmtpStage,
    },
    /// Says nothing for a while, then closes the connection. The message is not accepted.
    Hang {
        /// How long.
        seconds: u64,
    },
    /// Accepts the message, writes it into the ledger, and closes the connection without an answer.
    AcceptThenDrop,
}

/// Where in a mail transaction an SMTP reply is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SmtpStage {
    /// In answer to RCPT TO.
    Rcpt,
    /// In answer to the end of the message.
    Data,
}

/// A rule that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {detail}")]
pub struct InvalidRule {
    /// JSON pointer to the field within the document of `/api/faults`.
    pub pointer: String,
    /// What is wrong with it.
    pub detail: String,
}

/// The rules in force. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    rules: Arc<Mutex<Vec<Rule>>>,
}

/// What the rules say of one message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Strike {
    pub(crate) delay: Duration,
    /// Never a delay.
    pub(crate) effect: Option<Effect>,
}

impl Rule {
    /// A rule that strikes every message of the channel.
    pub fn new(channel: Channel, effect: Effect) -> Self {
        Self {
            channel,
            provider: None,
            recipient: None,
            rate: always(),
            times: None,
            effect,
            hits: 0,
        }
    }

    /// This rule, used up after so many hits.
    #[must_use]
    pub fn times(self, times: u64) -> Self {
        Self {
            times: Some(times),
            ..self
        }
    }

    /// This rule, for one provider of the channel.
    #[must_use]
    pub fn provider(self, provider: Provider) -> Self {
        Self {
            provider: Some(provider),
            ..self
        }
    }

    /// This rule, for recipients that hold this text.
    #[must_use]
    pub fn recipient(self, recipient: &str) -> Self {
        Self {
            recipient: Some(recipient.to_owned()),
            ..self
        }
    }

    /// This rule, striking a share of the messages.
    #[must_use]
    pub fn rate(self, rate: f64) -> Self {
        Self { rate, ..self }
    }

    /// The field that makes no sense, and why.
    fn problem(&self) -> Option<(&'static str, &'static str)> {
        if !(0.0..=1.0).contains(&self.rate) {
            return Some(("rate", "must be from 0 to 1"));
        }
        if self
            .provider
            .is_some_and(|own| own.channel() != self.channel)
        {
            return Some(("provider", "is no provider of this channel"));
        }
        let mail = self.channel == Channel::Email;
        match &self.effect {
            Effect::Status { .. } if mail => Some((
                "effect/type",
                "status is for sms and whatsapp; for email use smtpCode",
            )),
            Effect::SmtpCode { .. } if !mail => Some((
                "effect/type",
                "smtpCode is for email; for sms and whatsapp use status",
            )),
            Effect::Status { status, .. } if !(400..=599).contains(status) => {
                Some(("effect/status", "must be from 400 to 599"))
            }
            Effect::SmtpCode { reply, .. } if !is_refusal(reply) => Some((
                "effect/reply",
                "must be one line such as 451 4.3.0 try again later, with a code from 400 to 599",
            )),
            Effect::Status { .. }
            | Effect::SmtpCode { .. }
            | Effect::Delay { .. }
            | Effect::Hang { .. }
            | Effect::AcceptThenDrop => None,
        }
    }

    fn is_about(&self, provider: Provider, recipient: &str, stage: SmtpStage) -> bool {
        let own_stage = match &self.effect {
            Effect::SmtpCode { stage, .. } => *stage,
            Effect::Delay { .. }
            | Effect::Status { .. }
            | Effect::Hang { .. }
            | Effect::AcceptThenDrop => SmtpStage::Data,
        };
        let used_up = self.times.is_some_and(|times| self.hits >= times);
        let named = self
            .recipient
            .as_ref()
            .is_none_or(|text| recipient.contains(text.as_str()));
        let own_provider = self.provider.is_none_or(|own| own == provider);
        self.channel == provider.channel()
            && own_provider
            && own_stage == stage
            && named
            && !used_up
    }
}

/// A reply code of RFC 5321 §4.2 that refuses, a space, text without line breaks.
fn is_refusal(reply: &str) -> bool {
    let code = reply.split_once(' ').map(|(code, _)| code);
    let refuses = code.is_some_and(|code| {
        code.len() == 3
            && code
                .parse()
                .is_ok_and(|code: u16| (400..=599).contains(&code))
    });
    refuses && reply.len() <= 500 && !reply.chars().any(char::is_control)
}

impl Faults {
    /// The rules in force, with their hits.
    pub fn rules(&self) -> Vec<Rule> {
        self.lock().clone()
    }

    /// Puts these rules in the place of all that were in force. An empty list makes the sandbox behave.
    ///
    /// # Errors
    /// [`InvalidRule`] for the first rule that makes no sense; then nothing is changed.
    pub fn replace(&self, rules: Vec<Rule>) -> Result<(), InvalidRule> {
        for (index, rule) in rules.iter().enumerate() {
            if let Some((field, detail)) = rule.problem() {
                return Err(InvalidRule {
                    pointer: format!("/rules/{index}/{field}"),
                    detail: detail.to_owned(),
                });
            }
        }
        *self.lock() = rules;
        Ok(())
    }

    /// Asks every rule about a message. Delays add up; the first other effect decides.
    pub(crate) fn strike(&self, provider: Provider, recipient: &str, stage: SmtpStage) -> Strike {
        let mut strike = Strike {
            delay: Duration::ZERO,
            effect: None,
        };
        for rule in self.lock().iter_mut() {
            if !rule.is_about(provider, recipient, stage) || !happens(rule.rate) {
                continue;
            }
            rule.hits += 1;
            if let Effect::Delay { ms } = rule.effect {
                strike.delay += Duration::from_millis(ms);
            } else {
                strike.effect = Some(rule.effect.clone());
                break;
            }
        }
        strike
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Rule>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// True with this probability, in steps of a millionth.
fn happens(rate: f64) -> bool {
    const STEPS: u32 = 1_000_000;
    let drawn = u32::try_from(chance::number_in(0..u64::from(STEPS))).unwrap_or(STEPS);
    f64::from(drawn) < rate * f64::from(STEPS)
}
