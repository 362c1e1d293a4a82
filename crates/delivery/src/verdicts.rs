//! Why a record is given up.

use events::{DeadLetterClass, DecodeError, Stage};
use inbox::Verdict;

use crate::channel::SendError;

/// Whether a provider was asked before. A claim whose event cannot be told asks nobody and is no attempt.
pub(crate) fn is_of_a_send(verdict: &Verdict) -> bool {
    verdict.stage == Stage::Send
}

pub(crate) fn invalid(stage: Stage, error: &impl ToString) -> Verdict {
    let class = DeadLetterClass::Invalid;
    Verdict {
        class,
        stage,
        error: error.to_string(),
        provider_status: None,
    }
}

pub(crate) fn refused(class: DeadLetterClass, error: SendError) -> Verdict {
    Verdict {
        class,
        stage: Stage::Send,
        error: error.problem,
        provider_status: error.status,
    }
}

/// Its attempts were used up without an outcome: workers died, or the database was away.
pub(crate) fn abandoned(class: DeadLetterClass) -> Verdict {
    Verdict {
        class,
        stage: Stage::Send,
        error: "no attempt came to an end that could be noted".to_owned(),
        provider_status: None,
    }
}

/// Nobody knows whether the passenger has it.
pub(crate) fn held() -> Verdict {
    Verdict {
        class: DeadLetterClass::Ambiguous,
        stage: Stage::Send,
        error: "the provider may have taken an earlier attempt, and the policy is to hold"
            .to_owned(),
        provider_status: None,
    }
}

/// It is no text, or no JSON.
pub(crate) fn undecodable(error: &impl ToString) -> Verdict {
    Verdict {
        class: DeadLetterClass::Undecodable,
        ..invalid(Stage::Decode, error)
    }
}

/// It is no event.
pub(crate) fn unread(error: &DecodeError) -> Verdict {
    Verdict {
        class: error.class(),
        ..invalid(error.stage(), error)
    }
}
