//! What became of a claimed row.

use std::time::Duration;

use events::{DeadLetterClass, Stage};
use serde::{Deserialize, Serialize};

/// The state of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// To be sent, not before its time.
    Pending,
    /// In a worker's hands.
    Claimed,
    /// The provider took it.
    Sent,
    /// In the dead-letter topic.
    Dead,
    /// Never sent: no longer true.
    Suppressed,
    /// Never sent: old news.
    Expired,
}

impl State {
    /// The word in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Claimed => "CLAIMED",
            Self::Sent => "SENT",
            Self::Dead => "DEAD",
            Self::Suppressed => "SUPPRESSED",
            Self::Expired => "EXPIRED",
        }
    }
}

/// Why a row is given up. It is kept until the dead letter is acknowledged, so that the provider is not asked again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Why.
    pub class: DeadLetterClass,
    /// Where.
    pub stage: Stage,
    /// In words, naming nobody.
    pub error: String,
    /// The provider's code, where one was asked.
    pub provider_status: Option<String>,
}

/// What became of a claimed row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The provider took it.
    Sent {
        /// Its name for the message.
        provider_message_id: String,
        /// What is worth telling of it: why it was late, naming nobody.
        remark: Option<String>,
    },
    /// The attempt failed; there will be another.
    Retry {
        /// How long from now.
        after: Duration,
        /// Whether the provider may have taken it all the same.
        certainty: Certainty,
        /// Why it failed, naming nobody.
        reason: String,
    },
    /// It was not its turn; no attempt is spent.
    Defer {
        /// How long from now until it is.
        after: Duration,
        /// Whether the provider may have taken it all the same.
        certainty: Certainty,
        /// Why, naming nobody.
        reason: String,
    },
    /// It is given up, but the dead-letter topic did not take it yet.
    Condemned {
        /// How long from now until the dead letter is written again.
        after: Duration,
        /// Why it is given up.
        verdict: Verdict,
    },
    /// The dead-letter topic has it.
    Dead {
        /// Why.
        verdict: Verdict,
    },
    /// It is no longer true; nothing was sent, no attempt is spent.
    Suppressed {
        /// Why, naming nobody.
        reason: String,
    },
    /// It is old news; nothing was sent, no attempt is spent.
    Expired {
        /// Why, naming nobody.
        reason: String,
    },
}

/// What is known of the attempts so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// This one adds no doubt.
    Unchanged,
    /// The provider of this one may have taken it: no other may be asked.
    Unsure,
    /// No attempt reached anybody: the provider was asked.
    NotTaken,
}

impl Outcome {
    /// The state it leads to. No other code decides a state.
    pub const fn state(&self) -> State {
        match self {
            Self::Sent { .. } => State::Sent,
            Self::Retry { .. } | Self::Defer { .. } | Self::Condemned { .. } => State::Pending,
            Self::Dead { .. } => State::Dead,
            Self::Suppressed { .. } => State::Suppressed,
            Self::Expired { .. } => State::Expired,
        }
    }
}

/// The outcome of one claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The row.
    pub seq: i64,
    /// The claim: an outcome of an older one changes nothing.
    pub token: i64,
    /// What became of it.
    pub outcome: Outcome,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_reads_as_it_is_kept() {
        let kept = r#"{"class":"PERMANENT","stage":"send","error":"e","provider_status":null}"#;
        let verdict: Verdict = serde_json::from_str(kept).unwrap();
        assert_eq!(verdict.class, DeadLetterClass::Permanent);
        assert_eq!(verdict.stage, Stage::Send);
        assert_eq!(serde_json::to_string(&verdict).unwrap(), kept);
    }
}
