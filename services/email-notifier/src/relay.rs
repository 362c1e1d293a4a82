//! The SMTP dialogue: connections that are kept, one message at a time on each.
//!
//! lettre's own pool takes back a connection whose send was given up halfway, and the next message then reads the last one's replies; and it does not tell how far a failed send had come, which decides whether the message may have been taken.
//! So the pool is ours, and a connection returns to it only after the relay's last word.

use std::error::Error as _;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chassis::Failure;
use lettre::Address;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection as Connection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};
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
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    connection: Connection,
    since: Instant,
    left: Left,
}

/// What the last dialogue left on a connection.
enum Left {
    /// It ended with the relay's reply to a message.
    Nothing,
    /// A refused envelope, which RSET takes back.
    Envelope,
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
    pub(crate) async fn submit(&self, route: &Route, message: &[u8]) -> Result<(), Interrupted> {
        let deadline = Instant::now() + self.timeout;
        let begun = timeout_at(deadline, self.begin(route)).await;
        let mut connection = begun.unwrap_or(Err(unanswered(Step::Connect)))?;
        let outcome = match timeout_at(deadline, connection.message(message)).await {
            Ok(reply) => said(Step::Content, reply),
            Err(_) => Err(unanswered(Step::Content)),
        };
        match outcome.map_err(|interrupted| interrupted.fault) {
            Ok(()) | Err(Fault::Refused(_)) => self.keep(connection, Left::Nothing),
            Err(_) => {}
        }
        outcome
    }

    /// Brings a connection to where the message may be written.
    async fn begin(&self, route: &Route) -> Result<Connection, Interrupted> {
        if let Some(mut idle) = self.take() {
            match idle.envelope(route).await {
                Ok(()) => return Ok(idle.connection),
                Err(interrupted) if was_closed(interrupted) => {}
                Err(interrupted) => return Err(self.refused(idle.connection, interrupted)),
            }
        }
        let mut connection = self.connect().await?;
        match envelope(&mut connection, route).await {
            Ok(()) => Ok(connection),
            Err(interrupted) => Err(self.refused(connection, interrupted)),
        }
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
        let hello = self.url.hello.clone();
        let hello = hello.map_or_else(ClientId::default, ClientId::Domain);
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

    /// A relay that refuses an envelope takes the next one, after RSET.
    fn refused(&self, connection: Connection, interrupted: Interrupted) -> Interrupted {
        if matches!(interrupted.fault, Fault::Refused(reply) if reply.code != 421) {
            self.keep(connection, Left::Envelope);
        }
        interrupted
    }

    fn take(&self) -> Option<Idle> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|idle| idle.since.elapsed() < IDLE);
        idle.pop()
    }

    fn keep(&self, connection: Connection, left: Left) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < self.size {
            idle.push(Idle {
                connection,
                since: Instant::now(),
                left,
            });
        }
    }
}

impl Idle {
    async fn envelope(&mut self, route: &Route) -> Result<(), Interrupted> {
        match self.left {
            Left::Nothing => {}
            Left::Envelope => match self.connection.command(Rset).await {
                Ok(_) => {}
                Err(_) => return Err(unanswered(Step::Sender)),
            },
        }
        envelope(&mut self.connection, route).await
    }
}

/// MAIL, RCPT, DATA.
async fn envelope(connection: &mut Connection, route: &Route) -> Result<(), Interrupted> {
    let ascii = |address: &Address| AsRef::<str>::as_ref(address).is_ascii();
    let mut parameters = Vec::new();
    if !ascii(&route.from) || !ascii(&route.to) {
        let server = connection.server_info();
        if !server.supports_feature(Extension::SmtpUtfEight) {
            return Err(Interrupted {
                step: Step::Sender,
                fault: Fault::Unwritable,
            });
        }
        parameters.push(MailParameter::SmtpUtfEight);
    }
    let mail = Mail::new(Some(route.from.clone()), parameters);
    let rcpt = Rcpt::new(route.to.clone(), Vec::new());
    said(Step::Sender, connection.command(mail).await)?;
    said(Step::Recipient, connection.command(rcpt).await)?;
    match connection.command(Data).await {
        Ok(reply) if reply.has_code(354) => Ok(()),
        Ok(_) => Err(unanswered(Step::Data)),
        Err(error) => Err(interrupted(Step::Data, &error)),
    }
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
