//! What a failure of the SMTP dialogue means for the message.
//!
//! Reply codes: RFC 5321 §4.2, RFC 4954 §6, RFC 7504. Enhanced codes: RFC 3463 and its registry.

use std::fmt;
use std::time::Duration;

use delivery::{FailureClass, Scope};

/// The wait that a limit of the account asks for without naming it.
const PAUSE: Duration = Duration::from_mins(1);

/// The wait that a greylist asks for without naming it: most let a message pass after five minutes.
const GREYLIST: Duration = Duration::from_mins(5);

/// How far the dialogue had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Connection, TLS, EHLO, AUTH.
    Connect,
    /// MAIL FROM.
    Sender,
    /// RCPT TO.
    Recipient,
    /// DATA, before any byte of the message.
    Data,
    /// The message, to the reply that takes it.
    Content,
}

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The relay said no.
    Refused(Reply),
    /// No reply: refused connection, lost connection, time-out, or words that are no SMTP.
    Unanswered,
    /// The relay's certificate is not trusted, or it speaks no TLS we do.
    Untrusted,
    /// The relay lacks what the settings ask for: STARTTLS, or a way to log in.
    Unsupported,
    /// The relay cannot carry an address whose local part is not ASCII (no SMTPUTF8).
    Unwritable,
}

/// A negative reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    /// `550`.
    pub(crate) code: u16,
    /// `5.1.1`.
    pub(crate) enhanced: Option<Enhanced>,
    /// Whether its words are about our account or sender. They may quote an address, so they are not kept.
    pub(crate) about_us: bool,
}

/// An enhanced code: class, subject, detail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Enhanced(pub(crate) u16, pub(crate) u16, pub(crate) u16);

impl Enhanced {
    /// Reads the first word of a reply's text.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut parts = text.split_whitespace().next()?.split('.').map(str::parse);
        let code = Self(
            parts.next()?.ok()?,
            parts.next()?.ok()?,
            parts.next()?.ok()?,
        );
        (matches!(code.0, 2 | 4 | 5) && parts.next().is_none()).then_some(code)
    }
}

impl Reply {
    /// The code, and the text after it.
    pub(crate) fn read(code: u16, text: &str) -> Self {
        Self {
            code,
            enhanced: Enhanced::read(text),
            about_us: is_about_us(text),
        }
    }

    /// 4yz: the same may be asked again (RFC 5321 §4.2.1).
    pub(crate) const fn is_transient(self) -> bool {
        self.code / 100 == 4
    }
}

/// Amazon SES's words for an identity that is not verified and for an account that may not send, Microsoft 365's for a sender that is not the log-in's.
///
/// No address that a reply quotes holds them: there is a space in each, or the end of a word without `@`.
fn is_about_us(text: &str) -> bool {
    text.contains("Email address is not verified")
        || text.contains("Sending paused for this account")
        || text
            .split_whitespace()
            .any(|word| word.ends_with("SendAsDenied;") && !word.contains('@'))
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.enhanced {
            Some(Enhanced(class, subject, detail)) => {
                write!(f, "{} {class}.{subject}.{detail}", self.code)
            }
            None => write!(f, "{}", self.code),
        }
    }
}

pub(crate) fn classify(step: Step, fault: Fault) -> FailureClass {
    match (fault, step) {
        (Fault::Refused(reply), _) if matches!(reply.code, 432 | 454) => throttled(step),
        // Their numbers are those of one message that is refused: 554, 554 5.2.0.
        (Fault::Refused(reply), Step::Content) if reply.code == 554 && reply.about_us => {
            FailureClass::Misconfigured(Scope::Account)
        }
        (Fault::Refused(reply), _) => {
            by_enhanced(step, reply).unwrap_or_else(|| by_code(step, reply.code))
        }
        (Fault::Unanswered, Step::Content) => FailureClass::Ambiguous,
        (Fault::Unanswered, Step::Connect | Step::Sender | Step::Recipient | Step::Data) => {
            FailureClass::Transient(Scope::Account)
        }
        (Fault::Untrusted | Fault::Unsupported, _) => FailureClass::Misconfigured(Scope::Account),
        (Fault::Unwritable, _) => FailureClass::Permanent,
    }
}

/// A log-in that fails for now is no limit (RFC 4954 §6). Later in the dialogue 454 is Amazon SES's sending rate or daily quota, 432 Microsoft 365's connections of one mailbox, whatever their enhanced codes.
const fn throttled(step: Step) -> FailureClass {
    match step {
        Step::Connect => FailureClass::Transient(Scope::Account),
        Step::Sender | Step::Recipient | Step::Data | Step::Content => limited(Scope::Account),
    }
}

/// Only the enhanced codes that say more than the reply code, and agree with it.
fn by_enhanced(step: Step, reply: Reply) -> Option<FailureClass> {
    let agreeing = reply.enhanced.filter(|code| code.0 == reply.code / 100);
    match agreeing? {
        Enhanced(4, 7, detail) => Some(limited(limit_scope(step, reply.code, detail))),
        // "Receiving mail at too high a rate" (Gmail).
        Enhanced(4, 2, 1) => Some(limited(Scope::Recipient)),
        // "Daily user sending limit exceeded" (Google).
        Enhanced(5, 4, 5) => Some(limited(Scope::Account)),
        // Full: it may be emptied, also where the reply calls that final.
        Enhanced(5, 2, 2) => Some(busy(step)),
        // Our sender's address is bad, so is every message of ours.
        Enhanced(5, 1, 7 | 8) => Some(FailureClass::Misconfigured(Scope::Account)),
        Enhanced(5, 7, detail) => Some(FailureClass::Misconfigured(refusal_scope(
            step, reply.code, detail,
        ))),
        // The relay's own state (RFC 3463 §3.4 to §3.6): not well, congested, at odds with us.
        Enhanced(4, 3 | 5, _) | Enhanced(4, 4, 5) => Some(FailureClass::Transient(Scope::Account)),
        // The mailbox, and the way to it: greylisted (Postgrey), full, its host or its domain's names away.
        Enhanced(4, 1 | 2 | 4 | 6, _) if reply.code != 421 => Some(busy(step)),
        Enhanced(5, 3, 4) => Some(FailureClass::Permanent),
        Enhanced(..) => None,
    }
}

/// A mailbox that takes nothing for minutes or hours: attempts within a minute would only use up what there are of them, and a relay that cannot look up domains would lose every mail. Before a recipient is named a reply cannot concern one.
const fn busy(step: Step) -> FailureClass {
    match step {
        Step::Connect | Step::Sender => FailureClass::Transient(Scope::Account),
        Step::Recipient | Step::Data | Step::Content => limited(Scope::Recipient),
    }
}

const fn limited(scope: Scope) -> FailureClass {
    let after = match scope {
        Scope::Account => PAUSE,
        Scope::Recipient => GREYLIST,
    };
    FailureClass::RateLimited { after, scope }
}

/// Whom a 4.7.x reply slows down: greylists and mailboxes' limits answer to RCPT TO or the message, about that recipient.
const fn limit_scope(step: Step, code: u16, detail: u16) -> Scope {
    match (step, code, detail) {
        // Before a recipient is named; the connection is closed; an address's rate (Gmail, 4.7.28).
        (Step::Connect | Step::Sender, _, _) | (_, 421, _) | (_, _, 28) => Scope::Account,
        (Step::Recipient | Step::Data | Step::Content, _, _) => Scope::Recipient,
    }
}

/// Whom a 5.7.x reply refuses: log-in and encryption concern all we send; a policy, DKIM, SPF or our reputation may be held against this message alone.
const fn refusal_scope(step: Step, code: u16, detail: u16) -> Scope {
    match (step, code, detail) {
        // RFC 4954 §6 and the registry: credentials, mechanism, encryption, account disabled, trust.
        (Step::Connect | Step::Sender, _, _)
        | (_, 530 | 534 | 535 | 538, _)
        | (_, _, 8..=11 | 13 | 14) => Scope::Account,
        (Step::Recipient | Step::Data | Step::Content, _, _) => Scope::Recipient,
    }
}

fn by_code(step: Step, code: u16) -> FailureClass {
    match (code, step) {
        // Mailbox busy (RFC 5321 §4.2.3), most times a greylist.
        (450, _) => busy(step),
        (400..=499, _) => FailureClass::Transient(Scope::Account),
        // Too large for the relay.
        (552, _) => FailureClass::Permanent,
        // Log-in required, too weak, failed, or only over TLS; and a refusal before the recipient is named concerns us.
        (530 | 534 | 535 | 538, _) | (_, Step::Connect | Step::Sender) => {
            FailureClass::Misconfigured(Scope::Account)
        }
        // Words the relay does not know are our fault. 501 is its argument, the address.
        (500 | 502 | 503 | 504 | 555, Step::Recipient | Step::Data | Step::Content) => {
            FailureClass::Misconfigured(Scope::Recipient)
        }
        (_, Step::Recipient | Step::Data | Step::Content) => FailureClass::Permanent,
    }
}

#[cfg(test)]
mod tests {
    use super::FailureClass::{Ambiguous, Misconfigured, Permanent, Transient};
    use super::*;

    const STEPS: [Step; 5] = [
        Step::Connect,
        Step::Sender,
        Step::Recipient,
        Step::Data,
        Step::Content,
    ];

    fn refused(step: Step, text: &str) -> FailureClass {
        let (code, rest) = text.split_once(' ').unwrap_or((text, ""));
        let reply = Reply::read(code.parse().unwrap(), rest);
        classify(step, Fault::Refused(reply))
    }

    /// Replies, and what each means before a recipient is named and after.
    fn table() -> [(&'static str, FailureClass, FailureClass); 10] {
        let later = Transient(Scope::Account);
        let (account, recipient) = (Scope::Account, Scope::Recipient);
        let (all, one) = (Misconfigured(account), Misconfigured(recipient));
        let relay = "421, 451, 452, 455, 499, 450 4.3.0, 452 4.3.1, 453 4.3.2, 452 4.3.4, 421 4.4.2, 451 4.4.5, 451 4.5.3";
        let busy = "450, 450 4.1.1, 450 4.1.2, 450 4.2.0, 451 4.2.3, 452 4.2.2, 450 4.4.1, 451 4.4.4, 451 4.4.6, 451 4.4.7, 451 4.6.0, 552 5.2.2, 550 5.2.2";
        let limits =
            "450 4.7.1, 451 4.7.0, 450 4.7.23, 451 4.7.24, 450 4.7.25, 451 4.7.26, 451 4.7.20";
        let quotas = "421 4.7.0, 450 4.7.28, 550 5.4.5";
        let refusals = "501, 521, 550, 551, 553, 554, 556, 550 5.1.1, 550 5.1.2, 501 5.1.3, 550 5.1.6, 556 5.1.10, 550 5.2.1, 550 5.2.3, 550 5.3.1, 550 5.3.2, 550 5.4.1, 550 5.4.2, 550 5.4.4, 554 5.4.6, 550 5.4.7, 550 5.5.0, 554 5.6.0, 554 5.6.1, 550 4.7.1";
        let policy = "550 5.7.1, 550 5.7.20, 550 5.7.21, 550 5.7.22, 550 5.7.23, 550 5.7.24, 550 5.7.25, 554 5.7.26, 552 5.7.0";
        let ours = "530, 534, 535, 538, 530 5.7.0, 534 5.7.9, 535 5.7.8, 538 5.7.11, 550 5.7.8, 550 5.7.10, 525 5.7.13, 550 5.1.8, 553 5.1.7";
        [
            (relay, later, later),
            (busy, later, limited(recipient)),
            ("450 4.2.1", limited(recipient), limited(recipient)),
            (limits, limited(account), limited(recipient)),
            (quotas, limited(account), limited(account)),
            ("552, 552 5.3.4", Permanent, Permanent),
            (refusals, all, Permanent),
            ("500, 502, 503, 504, 555, 500 5.5.2", all, one),
            (policy, all, one),
            (ours, all, all),
        ]
    }

    #[test]
    fn every_reply_has_its_class_at_every_step() {
        let table = table();
        let rows = table.iter().flat_map(|(texts, before, after)| {
            let texts = texts.split(", ");
            texts.map(move |text| (text, *before, *after))
        });
        for (text, before, after) in rows {
            for (step, expected) in STEPS.into_iter().zip([before, before, after, after, after]) {
                assert_eq!(refused(step, text), expected, "{text} {step:?}");
            }
        }
    }

    #[test]
    fn a_throttle_is_no_limit_at_log_in_and_the_account_s_later() {
        for text in [
            "454 Throttling failure: Maximum sending rate exceeded.",
            "454 4.7.0 Temporary authentication failure",
            "432 4.3.2 Concurrent connections limit exceeded.",
            "432 4.7.12 A password transition is needed",
            "432",
        ] {
            let log_in = refused(Step::Connect, text);
            assert_eq!(log_in, Transient(Scope::Account), "{text}");
            for step in STEPS.into_iter().skip(1) {
                let expected = limited(Scope::Account);
                assert_eq!(refused(step, text), expected, "{text} {step:?}");
            }
        }
    }

    #[test]
    fn a_message_refused_for_our_account_or_sender_is_no_fault_of_the_message() {
        for text in [
            "554 Message rejected: Email address is not verified. The following identities failed the check in region EU-WEST-1: tickets@harkara.example",
            "554 Message rejected: Sending paused for this account. For more information, please check the inbox of the email address associated with your AWS account.",
            "554 5.2.0 STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied; Failed to process message",
            "554 5.2.252 SendAsDenied; a@b.example not allowed to send as c@d.example",
        ] {
            let expected = Misconfigured(Scope::Account);
            assert_eq!(refused(Step::Content, text), expected, "{text}");
            assert_eq!(refused(Step::Recipient, text), Permanent, "{text}");
        }
        for text in [
            "554 Message rejected: Address is on the suppression list",
            "554 5.2.0 STOREDRV.Deliver.Exception:PropertyErrorException; Failed to process message",
            "554 5.2.0 SendAsDenied;@a.example; no such mailbox",
            "550 Email address is not verified",
        ] {
            assert_eq!(refused(Step::Content, text), Permanent, "{text}");
        }
    }

    #[test]
    fn a_relay_without_what_the_settings_ask_for_is_misconfigured() {
        for fault in [Fault::Untrusted, Fault::Unsupported] {
            let class = classify(Step::Connect, fault);
            assert_eq!(class, Misconfigured(Scope::Account), "{fault:?}");
        }
    }

    #[test]
    fn only_a_message_that_was_begun_may_have_been_taken() {
        for step in STEPS {
            let expected = if step == Step::Content {
                Ambiguous
            } else {
                Transient(Scope::Account)
            };
            assert_eq!(classify(step, Fault::Unanswered), expected, "{step:?}");
        }
    }

    #[test]
    fn an_address_the_relay_cannot_carry_is_permanent() {
        assert_eq!(classify(Step::Sender, Fault::Unwritable), Permanent);
    }

    #[test]
    fn enhanced_codes_are_read_from_the_first_word() {
        assert_eq!(Enhanced::read("5.1.1 <a@b>: no"), Some(Enhanced(5, 1, 1)));
        assert_eq!(Enhanced::read("4.7.28 slow down"), Some(Enhanced(4, 7, 28)));
        for none in ["", "no such user", "5.1", "5.1.1.1 x", "3.1.1 x", "5.x.1"] {
            assert_eq!(Enhanced::read(none), None, "{none}");
        }
    }
}
