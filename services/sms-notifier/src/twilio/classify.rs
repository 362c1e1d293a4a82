//! What a refusal of Twilio means for the message.
//!
//! Codes: <https://www.twilio.com/docs/api/errors>.
//! A code that may be the recipient's alone is never [`FailureClass::Misconfigured`] with [`Scope::Account`], for that stops the channel for everybody.

use std::time::Duration;

use delivery::{FailureClass, HttpRefusal, Scope};

/// The wait when Twilio names none: its limits count requests a second.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) fn classify(refusal: &HttpRefusal) -> FailureClass {
    let limited = refusal.limited(PAUSE, Scope::Account);
    let known = refusal.code.and_then(|code| by_code(code, limited));
    known.unwrap_or_else(|| refusal.by_status(PAUSE))
}

fn by_code(code: u32, limited: FailureClass) -> Option<FailureClass> {
    let class = match code {
        // Too many requests at once; too many messages queued for the sender; the channel's rate.
        20429 | 21611 | 63018 => limited,
        // Server error; queue overflow.
        20500 | 30001 => FailureClass::Transient(Scope::Account),
        // Handset off; unknown; carrier congested; validity expired; carrier's time-out.
        30003 | 30008 | 30017 | 30036 | 30410 => FailureClass::Transient(Scope::Recipient),
        // Credentials; account unknown, gone or suspended.
        20003 | 20404 | 20410 | 30002 |
        // Sender missing, invalid, not ours, or blocked.
        21212 | 21603 | 21606 | 21657 | 30042 |
        // Sender no number of Twilio's, another account's, unable to send SMS, or alphanumeric on a trial.
        21659 | 21660 | 21661 | 21267 |
        // Messaging service without senders, or unknown; DLT template; A2P registration.
        21701 | 21703 | 21704 | 21901 | 21909 | 21910 => FailureClass::Misconfigured(Scope::Account),
        // The recipient's region lacks our permission, or is out of this sender's reach; others may be within. A trial account reaches only numbers that it has verified.
        21408 | 21612 | 21608 => FailureClass::Misconfigured(Scope::Recipient),
        // The recipient: no number, no mobile, opted out.
        21211 | 21214 | 21401 | 21604 | 21610 | 21614 |
        // The text: empty, too long, no content, a parameter too long.
        21602 | 21617 | 21619 | 21658 |
        // Blocked, unknown handset, landline, filtered by the carrier, pumping protection, outside WhatsApp's window.
        30004..=30007 | 30450 | 63016 => FailureClass::Permanent,
        _ => return None,
    };
    Some(class)
}

#[cfg(test)]
mod tests {
    use super::FailureClass::{Misconfigured, Permanent, Transient};
    use super::*;

    fn class(status: u16, code: Option<u32>) -> FailureClass {
        classify(&HttpRefusal {
            status,
            code,
            retry_after: None,
        })
    }

    fn limited(seconds: u64) -> FailureClass {
        FailureClass::RateLimited {
            after: Duration::from_secs(seconds),
            scope: Scope::Account,
        }
    }

    #[test]
    fn every_code_has_its_class() {
        let table: [(FailureClass, &[u32]); 6] = [
            (limited(1), &[20429, 21611, 63018]),
            (Transient(Scope::Account), &[20500, 30001]),
            (
                Transient(Scope::Recipient),
                &[30003, 30008, 30017, 30036, 30410],
            ),
            (
                Misconfigured(Scope::Account),
                &[
                    20003, 20404, 20410, 30002, 21212, 21603, 21606, 21657, 21659, 21660, 21661,
                    21267, 30042, 21701, 21703, 21704, 21901, 21909, 21910,
                ],
            ),
            (Misconfigured(Scope::Recipient), &[21408, 21612, 21608]),
            (
                Permanent,
                &[
                    21211, 21214, 21401, 21604, 21610, 21614, 21602, 21617, 21619, 21658, 30004,
                    30005, 30006, 30007, 30450, 63016,
                ],
            ),
        ];
        for (expected, codes) in table {
            for code in codes {
                assert_eq!(class(400, Some(*code)), expected, "{code}");
            }
        }
    }

    #[test]
    fn without_a_known_code_the_status_decides() {
        assert_eq!(class(429, None), limited(1));
        assert_eq!(class(401, None), Misconfigured(Scope::Account));
        assert_eq!(class(400, Some(29999)), Permanent);
    }

    #[test]
    fn the_code_decides_over_the_status() {
        assert_eq!(class(500, Some(21211)), Permanent);
        assert_eq!(class(200, Some(20003)), Misconfigured(Scope::Account));
    }
}
