//! What a refusal of MSG91 means for the message.
//!
//! Codes: those of MSG91's SMS API, <https://msg91.com/help/api>. Its v5 API leaves them out at times; then 429 decides, then a word of the message, then any other status.

use std::time::Duration;

use delivery::{FailureClass, HttpRefusal, Scope};

/// The wait when MSG91 names none.
const PAUSE: Duration = Duration::from_secs(10);

/// `words` is the message of the answer.
pub(super) fn classify(refusal: &HttpRefusal, words: Option<&str>) -> FailureClass {
    let known = refusal.code.and_then(by_code);
    // A limit may name what it counts: requests of an authkey, or messages to a mobile.
    if known.is_none() && refusal.status == 429 {
        return refusal.by_status(PAUSE);
    }
    let known = known.or_else(|| by_words(&words?.to_ascii_lowercase()));
    known.unwrap_or_else(|| match refusal.status {
        // An error that says nothing known of itself: it may be MSG91's own, and pass.
        200..=299 => FailureClass::Transient(Scope::Account),
        _ => refusal.by_status(PAUSE),
    })
}

fn by_code(code: u32) -> Option<FailureClass> {
    let class = match code {
        // Authkey missing, invalid; address blocked or not on the list.
        106 | 201 | 207 | 208 | 401 | 418 |
        // Sender missing or invalid; template missing or invalid; route.
        103 | 107 | 203 | 205 | 209 | 210 | 211 | 306 |
        // Balance used up; account expired, banned, for trial; too many small campaigns.
        301 | 302 | 303 | 505 | 506 => FailureClass::Misconfigured(Scope::Account),
        // The number: missing, invalid. The text: missing, too long.
        101 | 102 | 202 | 310 => FailureClass::Permanent,
        // The same request within ten seconds: the first one may have been taken.
        311 => FailureClass::Ambiguous,
        // Its database; internal error.
        1 | 2 | 601 => FailureClass::Transient(Scope::Account),
        _ => return None,
    };
    Some(class)
}

fn by_words(words: &str) -> Option<FailureClass> {
    let has = |parts: &[&str]| parts.iter().any(|part| words.contains(part));
    if has(&["mobile", "recipient"]) {
        return Some(FailureClass::Permanent);
    }
    has(&["auth", "template", "flow", "sender", "balance", "whitelist"])
        .then_some(FailureClass::Misconfigured(Scope::Account))
}

#[cfg(test)]
mod tests {
    use super::FailureClass::{Ambiguous, Misconfigured, Permanent, Transient};
    use super::*;

    fn class(status: u16, code: Option<u32>, words: &str) -> FailureClass {
        let refusal = HttpRefusal {
            status,
            code,
            retry_after: None,
        };
        classify(&refusal, Some(words))
    }

    #[test]
    fn every_code_has_its_class_whatever_the_status_and_the_words() {
        let table: [(FailureClass, &[u32]); 4] = [
            (
                Misconfigured(Scope::Account),
                &[
                    103, 106, 107, 201, 203, 205, 207, 208, 209, 210, 211, 301, 302, 303, 306, 401,
                    418, 505, 506,
                ],
            ),
            (Permanent, &[101, 102, 202, 310]),
            (Ambiguous, &[311]),
            (Transient(Scope::Account), &[1, 2, 601]),
        ];
        for (expected, codes) in table {
            for code in codes {
                assert_eq!(class(200, Some(*code), "mobile"), expected, "{code}");
                assert_eq!(class(401, Some(*code), "balance"), expected, "{code}");
            }
        }
    }

    #[test]
    fn without_a_code_a_word_decides() {
        for words in [
            "Authentication failure",
            "Template ID Missing or Invalid Template",
            "Please enter a valid flow_id",
            "insufficient balance",
        ] {
            let class = class(200, None, words);
            assert_eq!(class, Misconfigured(Scope::Account), "{words}");
        }
        assert_eq!(class(200, None, "Invalid mobile number"), Permanent);
    }

    #[test]
    fn without_a_known_word_the_status_decides() {
        let limited = FailureClass::RateLimited {
            after: PAUSE,
            scope: Scope::Account,
        };
        for words in ["slow down", "too many for this authkey", "limit of mobile"] {
            assert_eq!(class(429, None, words), limited, "{words}");
        }
        assert_eq!(class(400, None, "no"), Permanent);
        for words in ["", "Something went wrong, please try again"] {
            assert_eq!(class(200, None, words), Transient(Scope::Account));
        }
        assert_eq!(class(503, None, ""), Transient(Scope::Account));
        assert_eq!(class(500, None, ""), Ambiguous);
        assert_eq!(class(500, Some(999), ""), Transient(Scope::Account));
    }
}
