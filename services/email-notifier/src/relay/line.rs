//! One connection to a relay, and the dialogue on it.

use std::error::Error as _;
use std::fmt;
use std::io;
use std::mem::replace;
use std::time::Duration;

use delivery::FailureClass;
use lettre::Address;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::client::AsyncSmtpConnection as Connection;
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::{Extension, MailParameter};
use lettre::transport::smtp::response::{Response, Severity};
use tokio::time::timeout;

use super::Route;
use crate::classify::{Fault, Reply, Step, classify};

/// How long the rest of its replies is waited for once a relay said no: they come together or not at all, and the verdict is not to be lost with them.
const MOMENT: Duration = Duration::from_millis(200);

/// The dialogue ended without the relay's word that it took the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interrupted {
    pub(crate) step: Step,
    pub(crate) fault: Fault,
}

/// A connection, and what is known of it.
pub(super) struct Line {
    connection: Connection,
    /// Whether the relay takes several commands at once.
    pipelines: bool,
    left: Left,
}

/// What the last dialogue left on a connection.
enum Left {
    /// The relay answered everything.
    Nothing,
    /// A refused envelope, which RSET takes back.
    Envelope,
    /// Something is to be said yet, by us or by the relay: nothing else can be begun.
    Unsaid,
}

/// MAIL, RCPT and DATA.
struct Envelope {
    mail: Mail,
    rcpt: Rcpt,
}

/// A message and its end in one write. lettre's own way makes two of it, and with Nagle's algorithm the end then waits until the relay acknowledged the rest: 40 ms on Linux.
struct Content<'m>(&'m str);

impl fmt::Display for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{Data}", self.mail, self.rcpt)
    }
}

impl fmt::Display for Content<'_> {
    /// A line that begins with a dot gets another one (RFC 5321 §4.5.2).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.starts_with('.') {
            f.write_str(".")?;
        }
        let mut parts = self.0.split("\r\n.");
        f.write_str(parts.next().unwrap_or_default())?;
        for part in parts {
            write!(f, "\r\n..{part}")?;
        }
        let end = if self.0.ends_with("\r\n") { "" } else { "\r\n" };
        write!(f, "{end}.\r\n")
    }
}

impl Line {
    /// A connection that is ready for MAIL, with the reply to EHLO.
    pub(super) fn new(connection: Connection, hello: Option<&Response>) -> Self {
        Self {
            connection,
            pipelines: hello.is_some_and(|reply| offers(reply, "PIPELINING")),
            left: Left::Nothing,
        }
    }

    /// Whether another message can be begun on it.
    pub(super) fn is_usable(&self) -> bool {
        !matches!(self.left, Left::Unsaid)
    }

    /// Brings the dialogue to where the message may be written.
    pub(super) async fn open(&mut self, route: &Route) -> Result<(), Interrupted> {
        let envelope = self.envelope(route)?;
        if let Left::Envelope = replace(&mut self.left, Left::Unsaid) {
            let taken_back = self.connection.command(Rset).await;
            said(Step::Sender, taken_back).map_err(|_unsaid| unanswered(Step::Sender))?;
        }
        if self.pipelines {
            self.at_once(envelope).await
        } else {
            self.in_turn(envelope).await
        }
    }

    /// Writes the message of an open dialogue.
    pub(super) async fn write(&mut self, message: &str) -> Result<(), Interrupted> {
        let reply = self.connection.command(Content(message)).await;
        let outcome = said(Step::Content, reply);
        if !is_over(outcome) {
            self.left = Left::Nothing;
        }
        outcome
    }

    /// QUIT. The relay's own name for itself.
    pub(super) async fn leave(mut self) -> Result<String, Interrupted> {
        let name = self.connection.server_info().name().to_owned();
        said(Step::Connect, self.connection.quit().await)?;
        Ok(name)
    }

    fn envelope(&self, route: &Route) -> Result<Envelope, Interrupted> {
        let ascii = |address: &Address| AsRef::<str>::as_ref(address).is_ascii();
        let mut parameters = Vec::new();
        if !ascii(&route.from) || !ascii(&route.to) {
            let server = self.connection.server_info();
            if !server.supports_feature(Extension::SmtpUtfEight) {
                return Err(Interrupted {
                    step: Step::Sender,
                    fault: Fault::Unwritable,
                });
            }
            parameters.push(MailParameter::SmtpUtfEight);
        }
        Ok(Envelope {
            mail: Mail::new(Some(route.from.clone()), parameters),
            rcpt: Rcpt::new(route.to.clone(), Vec::new()),
        })
    }

    /// A command, its reply, the next command: a relay that refuses the envelope takes the next one, after RSET.
    async fn in_turn(&mut self, envelope: Envelope) -> Result<(), Interrupted> {
        let mut outcome = said(Step::Sender, self.connection.command(envelope.mail).await);
        if outcome.is_ok() {
            outcome = said(
                Step::Recipient,
                self.connection.command(envelope.rcpt).await,
            );
        }
        if outcome.is_ok() {
            outcome = go_ahead(self.connection.command(Data).await);
        }
        self.note(outcome);
        outcome
    }

    /// All commands, then all replies (RFC 2920): one round trip instead of three.
    async fn at_once(&mut self, envelope: Envelope) -> Result<(), Interrupted> {
        let sender = said(Step::Sender, self.connection.command(envelope).await);
        if sender.is_err() {
            self.read_on(sender, 2).await;
            return sender;
        }
        let recipient = said(Step::Recipient, self.connection.read_response().await);
        if recipient.is_err() {
            self.read_on(recipient, 1).await;
            return recipient;
        }
        let data = go_ahead(self.connection.read_response().await);
        self.note(data);
        data
    }

    /// Reads the replies after a no, so that the connection can be used again. A relay that waits for a message all the same is left.
    async fn read_on(&mut self, no: Result<(), Interrupted>, replies: u8) {
        let rest = async {
            let (mut last, mut read) = (no, 0);
            while read < replies && !is_over(last) {
                last = go_ahead(self.connection.read_response().await);
                read += 1;
            }
            last
        };
        if let Ok(last) = timeout(MOMENT, rest).await {
            self.note(last);
        }
    }

    /// The relay's last word.
    fn note(&mut self, last: Result<(), Interrupted>) {
        if last.is_err() && !is_over(last) {
            self.left = Left::Envelope;
        }
    }
}

fn offers(reply: &Response, keyword: &str) -> bool {
    let mut keywords = reply.message().skip(1);
    keywords.any(|line| line.trim_end().eq_ignore_ascii_case(keyword))
}

/// The reply to DATA.
fn go_ahead(reply: Result<Response, Error>) -> Result<(), Interrupted> {
    match reply {
        Ok(reply) if reply.has_code(354) => Ok(()),
        Ok(_) => Err(unanswered(Step::Data)),
        Err(error) => Err(interrupted(Step::Data, &error)),
    }
}

/// Whether the dialogue cannot go on: the relay is silent, or says that it leaves (421).
pub(super) fn is_over(outcome: Result<(), Interrupted>) -> bool {
    match outcome.map_err(|interrupted| interrupted.fault) {
        Ok(()) => false,
        Err(Fault::Refused(reply)) => reply.code == 421,
        Err(_) => true,
    }
}

/// Whether the relay did what it was asked: anything but 2yz is no reply to that.
fn said(step: Step, reply: Result<Response, Error>) -> Result<(), Interrupted> {
    match reply {
        Ok(reply) if reply.code().severity == Severity::PositiveCompletion => Ok(()),
        Ok(_) => Err(unanswered(step)),
        Err(error) => Err(interrupted(step, &error)),
    }
}

pub(super) const fn unanswered(step: Step) -> Interrupted {
    Interrupted {
        step,
        fault: Fault::Unanswered,
    }
}

/// A kept connection that the relay closed meanwhile: it says nothing, 421, or that it had waited for too long (451 4.4.2, Amazon SES after 10 s).
///
/// That word was written before MAIL was, so another connection may be told otherwise. A limit holds on each.
pub(super) fn was_closed(Interrupted { step, fault }: Interrupted) -> bool {
    step == Step::Sender
        && match fault {
            Fault::Refused(reply) => {
                reply.code == 421 || (reply.is_transient() && !is_limit(classify(step, fault)))
            }
            Fault::Unanswered => true,
            Fault::Untrusted | Fault::Unsupported | Fault::Unwritable => false,
        }
}

const fn is_limit(class: FailureClass) -> bool {
    matches!(class, FailureClass::RateLimited { .. })
}

pub(super) fn interrupted(step: Step, error: &Error) -> Interrupted {
    let fault = match error.status() {
        Some(code) => {
            let text = error.source().map(ToString::to_string);
            Fault::Refused(Reply::read(code.into(), &text.unwrap_or_default()))
        }
        // Later a reply that cannot be read, or that TLS gives up on, says nothing of the account.
        None if step != Step::Connect => Fault::Unanswered,
        None if error.is_client() => Fault::Unsupported,
        None if is_untrusted(error) => Fault::Untrusted,
        None => Fault::Unanswered,
    };
    Interrupted { step, fault }
}

/// rustls wraps what it finds wrong with a certificate in an I/O error of this kind.
fn is_untrusted(error: &Error) -> bool {
    let mut source = error.source();
    while let Some(error) = source {
        let io = error.downcast_ref::<io::Error>();
        if io.is_some_and(|error| error.kind() == io::ErrorKind::InvalidData) {
            return true;
        }
        source = error.source();
    }
    error.is_tls()
}

#[cfg(test)]
mod tests {
    use super::Content;

    #[test]
    fn a_message_ends_once_and_no_line_of_it_is_its_end() {
        for (message, written) in [
            ("a\r\n", "a\r\n.\r\n"),
            ("a", "a\r\n.\r\n"),
            ("", "\r\n.\r\n"),
            (".\r\n", "..\r\n.\r\n"),
            ("a\r\n.\r\nQUIT\r\n", "a\r\n..\r\nQUIT\r\n.\r\n"),
            ("a\r\n..b.\r\n", "a\r\n...b.\r\n.\r\n"),
        ] {
            assert_eq!(Content(message).to_string(), written);
        }
    }
}
