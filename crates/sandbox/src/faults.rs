//! Misbehaviour on demand: rules that make the sandbox slow, refuse, limit, hang, or accept and then drop the answer.

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
    #[serde(with = "crate::accepted::channel_name")]
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

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(stage: SmtpStage) -> Effect {
        let reply = "451 4.3.0 try again later".to_owned();
        Effect::SmtpCode { reply, stage }
    }

    fn strike(faults: &Faults, recipient: &str) -> Option<Effect> {
        faults
            .strike(Provider::Smtp, recipient, SmtpStage::Data)
            .effect
    }

    #[test]
    fn a_rule_is_used_up_after_its_times() {
        let faults = Faults::default();
        let rule = Rule::new(Channel::Email, reply(SmtpStage::Data)).times(2);
        faults.replace(vec![rule]).unwrap();
        let struck = (0..5)
            .filter(|_| strike(&faults, "a@b.example").is_some())
            .count();
        assert_eq!(struck, 2);
        assert_eq!(faults.rules()[0].hits, 2);
    }

    #[test]
    fn a_rule_strikes_its_recipients_and_its_stage_alone() {
        let faults = Faults::default();
        let rule = Rule::new(Channel::Email, reply(SmtpStage::Rcpt)).recipient("slow@");
        faults.replace(vec![rule]).unwrap();
        assert_eq!(strike(&faults, "slow@b.example"), None);
        let at_rcpt = |to| faults.strike(Provider::Smtp, to, SmtpStage::Rcpt).effect;
        assert_eq!(at_rcpt("fast@b.example"), None);
        assert!(at_rcpt("slow@b.example").is_some());
        let sms = faults.strike(Provider::Twilio, "slow@b.example", SmtpStage::Rcpt);
        assert_eq!(sms.effect, None);
    }

    #[test]
    fn a_rule_for_one_provider_leaves_the_other_of_its_channel_alone() {
        let faults = Faults::default();
        let rule = Rule::new(Channel::Sms, Effect::AcceptThenDrop).provider(Provider::Twilio);
        faults.replace(vec![rule]).unwrap();
        let struck = |provider| {
            let strike = faults.strike(provider, "+919876543210", SmtpStage::Data);
            strike.effect.is_some()
        };
        assert!(struck(Provider::Twilio));
        assert!(!struck(Provider::Msg91));
    }

    #[test]
    fn delays_add_up_before_what_decides() {
        let faults = Faults::default();
        let delay = Rule::new(Channel::Sms, Effect::Delay { ms: 20 });
        let drop = Rule::new(Channel::Sms, Effect::AcceptThenDrop);
        faults
            .replace(vec![delay.clone(), delay, drop.clone(), drop])
            .unwrap();
        let strike = faults.strike(Provider::Twilio, "+919876543210", SmtpStage::Data);
        assert_eq!(strike.delay, Duration::from_millis(40));
        assert_eq!(strike.effect, Some(Effect::AcceptThenDrop));
        assert_eq!(faults.rules()[3].hits, 0);
    }

    #[test]
    fn a_rate_of_a_half_strikes_about_a_half() {
        let faults = Faults::default();
        let rule = Rule::new(Channel::Email, Effect::AcceptThenDrop);
        faults.replace(vec![rule.clone().rate(0.5)]).unwrap();
        let struck = (0..4000)
            .filter(|_| strike(&faults, "a@b.example").is_some())
            .count();
        // Nine standard deviations to either side.
        assert!((1715..=2285).contains(&struck), "{struck}");
        faults.replace(vec![rule.rate(0.0)]).unwrap();
        assert_eq!(strike(&faults, "a@b.example"), None);
    }

    #[test]
    fn a_senseless_rule_changes_nothing_and_names_its_field() {
        let faults = Faults::default();
        let good = Rule::new(Channel::Sms, Effect::AcceptThenDrop);
        faults.replace(vec![good.clone()]).unwrap();
        let status = |status| Effect::Status {
            status,
            code: 20500,
            retry_after_seconds: None,
        };
        let smtp = |reply: &str| Effect::SmtpCode {
            reply: reply.to_owned(),
            stage: SmtpStage::Data,
        };
        for (bad, field) in [
            (good.clone().rate(1.5), "rate"),
            (good.clone().rate(f64::NAN), "rate"),
            (good.clone().provider(Provider::Smtp), "provider"),
            (Rule::new(Channel::Sms, status(200)), "effect/status"),
            (Rule::new(Channel::Email, status(500)), "effect/type"),
            (Rule::new(Channel::Sms, smtp("451 later")), "effect/type"),
            (Rule::new(Channel::Email, smtp("250 OK")), "effect/reply"),
            (
                Rule::new(Channel::Email, smtp("451 a\r\n250 b")),
                "effect/reply",
            ),
        ] {
            let error = faults.replace(vec![good.clone(), bad]).unwrap_err();
            assert_eq!(error.pointer, format!("/rules/1/{field}"));
            assert_eq!(faults.rules().len(), 1);
        }
    }

    #[test]
    fn what_was_read_can_be_put_back() {
        let json = r#"{"channel":"whatsapp","provider":"whatsapp","recipient":"+91","rate":0.5,"times":3,"effect":{"type":"status","status":429,"code":130429,"retryAfterSeconds":2},"hits":1}"#;
        let rule: Rule = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&rule).unwrap(), json);
        let short = r#"{"channel":"sms","effect":{"type":"acceptThenDrop"}}"#;
        let rule: Rule = serde_json::from_str(short).unwrap();
        assert_eq!(rule, Rule::new(Channel::Sms, Effect::AcceptThenDrop));
    }
}
