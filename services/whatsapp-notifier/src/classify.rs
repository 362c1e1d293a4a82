//! What a refusal of the Cloud API means for the message.
//!
//! The code decides, not the HTTP status (Meta, "Error codes": statuses changed between versions, codes did not).
//! A code that may be the recipient's alone is never [`FailureClass::Misconfigured`] with [`Scope::Account`], for that stops the channel for everybody.

use std::time::Duration;

use delivery::{FailureClass, HttpRefusal, Scope};

/// The wait of a limit that names none.
const PAUSE: Duration = Duration::from_mins(1);

/// "Unsupported post request. Object with ID … does not exist": the phone number id in the URL is not ours.
const UNKNOWN_SENDER: (Option<u32>, Option<u32>) = (Some(100), Some(33));

/// `error.type` where the Graph API refuses the call itself: app secret required, unknown object. Words of the message have other types.
const CALL_REFUSED: &str = "GraphMethodException";

/// What the Graph API tells beside the code.
#[derive(Clone, Copy, Default)]
pub(crate) struct Detail<'a> {
    /// `error.error_subcode`, which only the Graph API itself still fills.
    pub(crate) subcode: Option<u32>,
    /// `error.type`.
    pub(crate) kind: Option<&'a str>,
}

/// `attempt` counts from 1.
pub(crate) fn classify(refusal: &HttpRefusal, detail: Detail<'_>, attempt: u32) -> FailureClass {
    let is_call_refused = refusal.code == Some(100) && detail.kind == Some(CALL_REFUSED);
    if is_call_refused || (refusal.code, detail.subcode) == UNKNOWN_SENDER {
        return FailureClass::Misconfigured(Scope::Account);
    }
    let known = refusal
        .code
        .and_then(|code| by_code(code, refusal, attempt));
    known.unwrap_or_else(|| refusal.by_status(PAUSE))
}

fn by_code(code: u32, refusal: &HttpRefusal, attempt: u32) -> Option<FailureClass> {
    if let Some((pause, scope)) = limit(code, attempt) {
        return Some(refusal.limited(pause, scope));
    }
    let class = match code {
        // Server errors, overload, account in maintenance for about a minute.
        1 | 2 | 131_000 | 131_016 | 131_057 | 133_004 => FailureClass::Transient(Scope::Account),
        // Token invalid or expired; permission missing.
        0 | 190 | 3 | 10 | 200..=299 | 131_005 |
        // Account restricted, locked, unpaid, terms not accepted; display name not approved.
        368 | 131_031 | 131_037 | 131_042 | 131_063 | 134_011 |
        // Another of Meta's APIs answers: the address or the sender is wrong.
        131_055 | 134_100 | 1_752_041 |
        // "Unknown path components": the address.
        2500 |
        // Sender deleted, unregistered, its registration under way or failing.
        33 | 131_045 | 133_000 | 133_005 | 133_006 | 133_008..=133_010 | 133_015 | 133_016 |
        // Template missing in the language or not approved, paused, disabled: every message needs it, so all wait.
        132_001 | 132_015 | 132_016 | 134_102 => FailureClass::Misconfigured(Scope::Account),
        // A test number writes only to the recipients on its list; others may be on it.
        131_030 => FailureClass::Misconfigured(Scope::Recipient),
        // Our request: a parameter missing, invalid, too many, too few, or of another format; type; text too long; policy; media.
        100 | 131_008 | 131_009 | 131_051 | 131_052 | 131_053 | 132_000 | 132_005 | 132_007 |
        132_012 | 132_018 | 132_068 | 132_069 | 135_000 |
        // The recipient: ourselves, not on WhatsApp, blocked by us, outside the window, opted out, over Meta's cap, in an experiment, in a barred country.
        130_403 | 130_472 | 130_497 | 131_021 | 131_026 | 131_047 | 131_049 | 131_050 => {
            FailureClass::Permanent
        }
        _ => return None,
    };
    Some(class)
}

/// How long to wait where Meta says only that there is a limit.
fn limit(code: u32, attempt: u32) -> Option<(Duration, Scope)> {
    let (pause, scope) = match code {
        // Messages a second of the sender.
        130_429 => (Duration::from_secs(2), Scope::Account),
        131_056 => (pair_pause(attempt), Scope::Recipient),
        // Calls an hour of the app, or of the account.
        4 | 80_007 => (Duration::from_mins(1), Scope::Account),
        // The template is not yet everywhere: up to ten minutes.
        134_101 => (Duration::from_mins(10), Scope::Account),
        // Quality or template restrictions, which lift by themselves after hours.
        131_048 | 131_064 => (Duration::from_hours(1), Scope::Account),
        _ => return None,
    };
    Some((pause, scope))
}

/// One sender and one recipient: a message in six seconds, and after a refusal 4^n seconds (Meta, "Pair rate limits"); at most the hour in which the pair may have 600.
fn pair_pause(attempt: u32) -> Duration {
    let grown = Duration::from_secs(4_u64.saturating_pow(attempt));
    grown.clamp(Duration::from_secs(6), Duration::from_hours(1))
}

#[cfg(test)]
mod tests {
    use super::FailureClass::{Misconfigured, Permanent, Transient};
    use super::*;

    fn refusal(status: u16, code: Option<u32>) -> HttpRefusal {
        HttpRefusal {
            status,
            code,
            retry_after: None,
        }
    }

    fn class(status: u16, code: Option<u32>) -> FailureClass {
        classify(&refusal(status, code), Detail::default(), 1)
    }

    #[test]
    fn a_sender_that_is_not_ours_is_our_fault_and_not_the_message_s() {
        let detail = Detail {
            subcode: Some(33),
            ..Detail::default()
        };
        let class = classify(&refusal(400, Some(100)), detail, 1);
        assert_eq!(class, Misconfigured(Scope::Account));
    }

    #[test]
    fn a_call_that_is_refused_is_our_fault_and_a_refused_parameter_the_message_s() {
        for (kind, expected) in [
            ("GraphMethodException", Misconfigured(Scope::Account)),
            ("OAuthException", Permanent),
        ] {
            let detail = Detail {
                kind: Some(kind),
                ..Detail::default()
            };
            let class = classify(&refusal(400, Some(100)), detail, 1);
            assert_eq!(class, expected, "{kind}");
        }
    }

    fn limited(seconds: u64, scope: Scope) -> FailureClass {
        FailureClass::RateLimited {
            after: Duration::from_secs(seconds),
            scope,
        }
    }

    #[test]
    fn every_code_has_its_class_whatever_the_status() {
        let table: [(FailureClass, &[u32]); 9] = [
            (limited(2, Scope::Account), &[130_429]),
            (limited(6, Scope::Recipient), &[131_056]),
            (limited(60, Scope::Account), &[4, 80_007]),
            (limited(600, Scope::Account), &[134_101]),
            (limited(3600, Scope::Account), &[131_048, 131_064]),
            (
                Transient(Scope::Account),
                &[1, 2, 131_000, 131_016, 131_057, 133_004],
            ),
            (
                Misconfigured(Scope::Account),
                &[
                    0, 190, 3, 10, 200, 250, 299, 131_005, 368, 131_031, 131_037, 131_042, 131_063,
                    134_011, 33, 131_045, 133_000, 133_005, 133_006, 133_008, 133_009, 133_010,
                    133_015, 133_016, 132_001, 132_015, 132_016, 131_055, 134_100, 134_102,
                    1_752_041, 2500,
                ],
            ),
            (Misconfigured(Scope::Recipient), &[131_030]),
            (
                Permanent,
                &[
                    100, 131_008, 131_009, 131_051, 131_052, 131_053, 132_000, 132_005, 132_007,
                    132_012, 132_018, 132_068, 132_069, 135_000, 130_403, 130_472, 130_497,
                    131_021, 131_026, 131_047, 131_049, 131_050,
                ],
            ),
        ];
        let rows = table
            .iter()
            .flat_map(|(class, codes)| codes.iter().map(move |code| (*class, *code)));
        for (expected, code) in rows {
            for status in [400, 401, 429, 500, 503] {
                assert_eq!(class(status, Some(code)), expected, "{status} {code}");
            }
        }
    }

    #[test]
    fn a_pair_limit_grows_fourfold_with_each_attempt() {
        for (attempt, seconds) in [(1, 6), (2, 16), (3, 64), (4, 256), (7, 3600), (99, 3600)] {
            let class = classify(&refusal(400, Some(131_056)), Detail::default(), attempt);
            assert_eq!(class, limited(seconds, Scope::Recipient), "{attempt}");
        }
    }

    #[test]
    fn without_a_known_code_the_status_decides() {
        assert_eq!(class(404, None), Misconfigured(Scope::Account));
        assert_eq!(class(400, Some(999_999)), Permanent);
        assert_eq!(class(429, None), limited(60, Scope::Account));
    }

    #[test]
    fn a_wait_that_is_asked_for_is_kept() {
        let refusal = HttpRefusal {
            retry_after: Some(Duration::from_secs(9)),
            ..refusal(429, Some(130_429))
        };
        let class = classify(&refusal, Detail::default(), 1);
        assert_eq!(class, limited(9, Scope::Account));
    }
}
