//! The commands of a mail transaction and what each may follow (RFC 5321 §4.1.4).

use std::borrow::Cow;

use events::Channel;
use smtp_proto::{AUTH_PLAIN, MailFrom, RcptTo, Request};

use crate::accepted::Provider;
use crate::admission::Admission;
use crate::faults::{Effect, SmtpStage};

/// 10 MiB, as EHLO announces.
pub(super) const SIZE_LIMIT: usize = 10 << 20;

/// A server takes at least 100 recipients a mail (RFC 5321 §4.5.3.1.8).
const RECIPIENTS_LIMIT: usize = 100;

const EHLO: &str = "250-sandbox.invalid\r\n250-PIPELINING\r\n250-SIZE 10485760\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-AUTH PLAIN\r\n250 ENHANCEDSTATUSCODES";
const OK: &str = "250 2.0.0 OK";
const BAD_SEQUENCE: &str = "503 5.5.1 bad sequence of commands";

/// Who sends a mail, and to whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Envelope {
    pub(super) sender: String,
    pub(super) recipients: Vec<String>,
}

/// What the client sends next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Command,
    Mail,
    Credentials,
    End,
}

/// How far a client has come.
#[derive(Debug)]
enum State {
    Connected,
    Greeted,
    Mail(Envelope),
}

/// The state of a connection between commands.
#[derive(Debug)]
pub(super) struct Transaction {
    state: State,
    admission: Admission,
}

type Reply = Cow<'static, str>;

impl Transaction {
    pub(super) fn new(admission: Admission) -> Self {
        Self {
            state: State::Connected,
            admission,
        }
    }

    /// The reply to a command, without its line end.
    pub(super) fn take(&mut self, request: Request<Cow<'_, str>>) -> (Reply, Next) {
        let reply: Reply = match request {
            Request::Ehlo { .. } => self.greet(EHLO),
            Request::Helo { .. } => self.greet("250 sandbox.invalid"),
            Request::Mail { from } => self.mail(from),
            Request::Rcpt { to } => self.rcpt(&to),
            Request::Data => return self.data(),
            Request::Auth {
                mechanism,
                initial_response,
            } => return self.auth(mechanism, &initial_response),
            Request::Rset => {
                self.forget();
                OK.into()
            }
            Request::Noop { .. } => OK.into(),
            Request::Vrfy { .. } => "252 2.1.5 send some mail, I will take it".into(),
            Request::Quit => return ("221 2.0.0 bye".into(), Next::End),
            Request::Lhlo { .. }
            | Request::Bdat { .. }
            | Request::Expn { .. }
            | Request::Help { .. }
            | Request::Etrn { .. }
            | Request::Atrn { .. }
            | Request::Burl { .. }
            | Request::StartTls => "502 5.5.1 command not implemented".into(),
        };
        (reply, Next::Command)
    }

    /// The envelope of the mail that was just read. The next mail may follow.
    pub(super) fn finish(&mut self) -> Option<Envelope> {
        match std::mem::replace(&mut self.state, State::Greeted) {
            State::Mail(envelope) => Some(envelope),
            State::Connected | State::Greeted => None,
        }
    }

    /// The mail is refused; the next may follow.
    pub(super) fn refuse(&mut self) {
        self.admission.requests.refused(Channel::Email);
        self.forget();
    }

    fn greet(&mut self, reply: &'static str) -> Reply {
        self.state = State::Greeted;
        reply.into()
    }

    fn forget(&mut self) {
        match self.state {
            State::Connected => {}
            State::Greeted | State::Mail(_) => self.state = State::Greeted,
        }
    }

    fn mail(&mut self, from: MailFrom<Cow<'_, str>>) -> Reply {
        match self.state {
            State::Connected | State::Mail(_) => BAD_SEQUENCE.into(),
            State::Greeted => {
                self.admission.requests.saw(Channel::Email);
                if from.size > SIZE_LIMIT {
                    self.refuse();
                    return "552 5.3.4 message too big".into();
                }
                self.state = State::Mail(Envelope {
                    sender: from.address.into_owned(),
                    recipients: Vec::new(),
                });
                "250 2.1.0 OK".into()
            }
        }
    }

    fn rcpt(&mut self, to: &RcptTo<Cow<'_, str>>) -> Reply {
        let State::Mail(envelope) = &mut self.state else {
            return BAD_SEQUENCE.into();
        };
        if envelope.recipients.len() >= RECIPIENTS_LIMIT {
            return "452 4.5.3 too many recipients".into();
        }
        let strike = self
            .admission
            .faults
            .strike(Provider::Smtp, &to.address, SmtpStage::Rcpt);
        if let Some(Effect::SmtpCode { reply, .. }) = strike.effect {
            self.admission.requests.refused(Channel::Email);
            return reply.into();
        }
        envelope.recipients.push(to.address.to_string());
        "250 2.1.5 OK".into()
    }

    fn data(&self) -> (Reply, Next) {
        match &self.state {
            State::Mail(envelope) if envelope.recipients.is_empty() => {
                ("554 5.5.1 no valid recipients".into(), Next::Command)
            }
            State::Mail(_) => ("354 end with <CRLF>.<CRLF>".into(), Next::Mail),
            State::Connected | State::Greeted => (BAD_SEQUENCE.into(), Next::Command),
        }
    }

    /// AUTH PLAIN (RFC 4616), whatever the credentials: a sender that must authenticate elsewhere may do so here.
    fn auth(&self, mechanism: u64, initial_response: &str) -> (Reply, Next) {
        match self.state {
            State::Greeted if mechanism != AUTH_PLAIN => {
                ("504 5.5.4 mechanism not supported".into(), Next::Command)
            }
            State::Greeted if initial_response.is_empty() => ("334 ".into(), Next::Credentials),
            State::Greeted => (
                "235 2.7.0 any credentials are welcome".into(),
                Next::Command,
            ),
            State::Connected | State::Mail(_) => (BAD_SEQUENCE.into(), Next::Command),
        }
    }
}
