//! The SMTP dialogue: connections that are kept, one message at a time on each.
//!
//! lettre's own pool takes back a connection whose send was given up halfway, and the next message then reads the last one's replies; and it does not tell how far a failed send had come, which decides whether the message may have been taken.
//! So the pool is ours, and a connection returns to it only after the relay's last word.

use std::error::Error as _;
use std::fmt;
use std::io;
use std::mem::replace;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chassis::Failure;
use lettre::Address;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection as Connection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Ehlo, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};
use lettre::transport::smtp::response::Response;
use secrecy::ExposeSecret;
use tokio::time::{Instant, timeout_at};

use crate::classify::{Enhanced, Fault, Reply, Step};
use crate::smtp_url::{Security, SmtpUrl};

/// A connection unused for longer is closed: relays close theirs after minutes (RFC 5321 §4.5.3.2.7 asks for five).
const IDLE: Duration = Duration::from_mins(1);

/// Who writes to whom.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) from: Address,
    pub(crate) to: Address,
}

/// The dialogue ended without the relay taking the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interrupted {
    pub(crate) step: Step,
    pub(crate) fault: Fault,
}

/// A relay, and the connections to it that wait for the next message.
pub(crate) struct Relay {
    url: SmtpUrl,
    tls: Option<TlsParameters>,
    timeout: Duration,
    size: usize,
    idle: Mutex<Vec<Line>>,
}

/// A connection on which a message can be begun.
struct Line {
    connection: Connection,
    pipelines: bool,
    since: Instant,
    left: Left,
}

/// What the last dialogue left on a connection.
enum Left {
    /// It ended with the relay's reply to a message.
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
        for line in self.0.split_inclusive("\r\n") {
            let dot = if line.starts_with('.') { "." } else { "" };
            write!(f, "{dot}{line}")?;
        }
        let end = if self.0.ends_with("\r\n") { "" } else { "\r\n" };
        write!(f, "{end}.\r\n")
    }
}

impl Relay {
    /// `timeout` bounds each submission, `size` the connections that are kept.
    pub(crate) fn new(url: SmtpUrl, timeout: Duration, size: usize) -> Result<Self, Failure> {
        let tls = match url.security {
            Security::Clear => None,
            Security::Opportunistic | Security::Starttls | Security::Implicit => {
                let tls = TlsParameters::new(url.host.clone());
                Some(tls.map_err(Failure::broken("could not set up TLS"))?)
            }
        };
        Ok(Self {
            url,
            tls,
            timeout,
            size,
            idle: Mutex::default(),
        })
    }

    /// Hands one message to the relay.
    ///
    /// A connection on which anything was left unsaid is closed by being dropped.
    pub(crate) async fn submit(&self, route: &Route, message: &str) -> Result<(), Interrupted> {
        let deadline = Instant::now() + self.timeout;
        let begun = timeout_at(deadline, self.begin(route)).await;
        let mut line = begun.unwrap_or(Err(unanswered(Step::Connect)))?;
        let outcome = match timeout_at(deadline, line.connection.command(Content(message))).await {
            Ok(reply) => said(Step::Content, reply),
            Err(_) => Err(unanswered(Step::Content)),
        };
        match outcome.map_err(|interrupted| interrupted.fault) {
            Ok(()) | Err(Fault::Refused(_)) => line.left = Left::Nothing,
            Err(_) => {}
        }
        self.keep(line);
        outcome
    }

    /// Brings a connection to where the message may be written.
    async fn begin(&self, route: &Route) -> Result<Line, Interrupted> {
        if let Some(mut line) = self.take() {
            match line.open(route).await {
                Err(interrupted) if was_closed(interrupted) => {}
                opened => return self.opened(line, opened),
            }
        }
        let mut line = self.line().await?;
        let opened = line.open(route).await;
        self.opened(line, opened)
    }

    fn opened(&self, line: Line, opened: Result<(), Interrupted>) -> Result<Line, Interrupted> {
        match opened {
            Ok(()) => Ok(line),
            Err(interrupted) => {
                self.keep(line);
                Err(interrupted)
            }
        }
    }

    /// A new connection. lettre does not tell whether the relay takes several commands at once, so it is asked again.
    async fn line(&self) -> Result<Line, Interrupted> {
        let mut connection = self.connect().await?;
        let hello = connection.command(Ehlo::new(self.hello())).await;
        Ok(Line {
            connection,
            pipelines: hello.is_ok_and(|reply| offers(&reply, "PIPELINING")),
            since: Instant::now(),
            left: Left::Nothing,
        })
    }

    /// Connects as for a message, and leaves. The relay's own name for itself.
    pub(crate) async fn greet(&self) -> Result<String, Interrupted> {
        let greeting = async {
            let mut connection = self.connect().await?;
            let name = connection.server_info().name().to_owned();
            said(Step::Connect, connection.quit().await)?;
            Ok(name)
        };
        let greeted = timeout_at(Instant::now() + self.timeout, greeting).await;
        greeted.unwrap_or(Err(unanswered(Step::Connect)))
    }

    async fn connect(&self) -> Result<Connection, Interrupted> {
        let opened = self.open().await;
        opened.map_err(|error| interrupted(Step::Connect, &error))
    }

    async fn open(&self) -> Result<Connection, Error> {
        let SmtpUrl {
            host,
            port,
            security,
            ..
        } = &self.url;
        let hello = self.hello();
        let implicit = self.tls.clone().filter(|_| *security == Security::Implicit);
        let server = (host.as_str(), *port);
        let mut connection =
            Connection::connect_tokio1(server, Some(self.timeout), &hello, implicit, None).await?;
        let upgrade = match security {
            Security::Starttls => true,
            Security::Opportunistic => connection.can_starttls(),
            Security::Clear | Security::Implicit => false,
        };
        if let Some(tls) = self.tls.clone().filter(|_| upgrade) {
            connection.starttls(tls, &hello).await?;
        }
        if let Some((user, password)) = &self.url.credentials {
            let password = password.expose_secret().to_owned();
            let credentials = Credentials::new(user.clone(), password);
            connection.auth(DEFAULT_MECHANISMS, &credentials).await?;
        }
        Ok(connection)
    }

    /// Our own name.
    fn hello(&self) -> ClientId {
        let hello = self.url.hello.clone();
        hello.map_or_else(ClientId::default, ClientId::Domain)
    }

    fn take(&self) -> Option<Line> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|line| line.since.elapsed() < IDLE);
        idle.pop()
    }

    fn keep(&self, mut line: Line) {
        line.since = Instant::now();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < self.size && !matches!(line.left, Left::Unsaid) {
            idle.push(line);
        }
    }
}

impl Line {
    /// Brings the dialogue to where the message may be written.
    async fn open(&mut self, route: &Route) -> Result<(), Interrupted> {
        let envelope = self.envelope(route)?;
        if let Left::Envelope = replace(&mut self.left, Left::Unsaid) {
            let taken_back = self.connection.command(Rset).await;
            taken_back.map_err(|_unsaid| unanswered(Step::Sender))?;
        }
        if self.pipelines {
            self.at_once(envelope).await
        } else {
            self.in_turn(envelope).await
        }
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

    /// All commands, then all replies (RFC 2920): one round trip instead of three. The first that is no is the answer.
    ///
    /// A relay that refused the recipient and waits for a message all the same is left.
    async fn at_once(&mut self, envelope: Envelope) -> Result<(), Interrupted> {
        let sender = said(Step::Sender, self.connection.command(envelope).await);
        if is_silence(sender) {
            return sender;
        }
        let recipient = said(Step::Recipient, self.connection.read_response().await);
        if is_silence(recipient) {
            return sender.and(recipient);
        }
        let data = go_ahead(self.connection.read_response().await);
        self.note(data);
        sender.and(recipient).and(data)
    }

    /// The relay's last word, if it was no and it stays.
    fn note(&mut self, last: Result<(), Interrupted>) {
        if matches!(last, Err(Interrupted { fault: Fault::Refused(reply), .. }) if reply.code != 421)
        {
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

const fn is_silence(outcome: Result<(), Interrupted>) -> bool {
    !matches!(
        outcome,
        Ok(())
            | Err(Interrupted {
                fault: Fault::Refused(_),
                ..
            })
    )
}

fn said<T>(step: Step, reply: Result<T, Error>) -> Result<(), Interrupted> {
    reply.map(drop).map_err(|error| interrupted(step, &error))
}

const fn unanswered(step: Step) -> Interrupted {
    Interrupted {
        step,
        fault: Fault::Unanswered,
    }
}

/// A kept connection that the relay closed meanwhile: it says 421, or nothing.
fn was_closed(interrupted: Interrupted) -> bool {
    interrupted.step == Step::Sender
        && match interrupted.fault {
            Fault::Refused(reply) => reply.code == 421,
            Fault::Unanswered => true,
            Fault::Untrusted | Fault::Unsupported | Fault::Unwritable => false,
        }
}

fn interrupted(step: Step, error: &Error) -> Interrupted {
    let fault = match error.status() {
        Some(code) => Fault::Refused(Reply {
            code: u16::from(code),
            enhanced: error
                .source()
                .and_then(|text| Enhanced::read(&text.to_string())),
        }),
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
