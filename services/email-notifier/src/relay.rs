//! The SMTP dialogue: connections that are kept, one message at a time on each.
//!
//! lettre's own pool takes back a connection whose send was given up halfway, and the next message then reads the last one's replies; and it does not tell how far a failed send had come, which decides whether the message may have been taken.
//! So the pool is ours, and a connection returns to it only after the relay's last word.

mod line;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chassis::Failure;
use lettre::Address;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection as Connection, TlsParameters};
use lettre::transport::smtp::commands::Ehlo;
use lettre::transport::smtp::extension::ClientId;
use secrecy::ExposeSecret;
use tokio::time::{Instant, timeout_at};

pub(crate) use self::line::Interrupted;
use self::line::{Line, interrupted, is_over, unanswered, was_closed};
use crate::classify::Step;
use crate::smtp_url::{Security, SmtpUrl};

/// A connection unused for longer is closed: relays close theirs after minutes (RFC 5321 §4.5.3.2.7 asks for five), and one that did so sooner tells it at the next MAIL.
const IDLE: Duration = Duration::from_mins(1);

/// Who writes to whom.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) from: Address,
    pub(crate) to: Address,
}

/// A relay, and the connections to it that wait for the next message.
pub(crate) struct Relay {
    url: SmtpUrl,
    tls: Option<TlsParameters>,
    timeout: Duration,
    size: usize,
    /// Each with when it was last used.
    idle: Mutex<Vec<(Line, Instant)>>,
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
        // A process that was stopped meanwhile writes nothing that nobody waits for any more.
        if Instant::now() >= deadline {
            return Err(unanswered(Step::Data));
        }
        let written = timeout_at(deadline, line.write(message)).await;
        self.keep(line);
        written.unwrap_or(Err(unanswered(Step::Content)))
    }

    /// Brings a connection to where the message may be written.
    async fn begin(&self, route: &Route) -> Result<Line, Interrupted> {
        if let Some(mut line) = self.take() {
            match line.open(route).await {
                Err(interrupted) if was_closed(interrupted) => {}
                opened => return self.opened(line, opened),
            }
        }
        let mut line = self.connect().await?;
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

    /// Connects as for a message, and leaves. The relay's own name for itself.
    pub(crate) async fn greet(&self) -> Result<String, Interrupted> {
        let greeting = async {
            let line = self.connect().await?;
            line.leave().await
        };
        let greeted = timeout_at(Instant::now() + self.timeout, greeting).await;
        greeted.unwrap_or(Err(unanswered(Step::Connect)))
    }

    async fn connect(&self) -> Result<Line, Interrupted> {
        let failed = |error| interrupted(Step::Connect, &error);
        let hello = self.hello();
        let mut connection = self.secured(&hello).await.map_err(failed)?;
        // lettre does not tell what it was told. Before the log-in, which some relays forget with the next EHLO.
        let told = connection.command(Ehlo::new(hello)).await;
        let told = told.map_err(failed);
        if let Some(over) = told.as_ref().err().filter(|it| is_over(Err(**it))) {
            return Err(*over);
        }
        if let Some((user, password)) = &self.url.credentials {
            let password = password.expose_secret().to_owned();
            let credentials = Credentials::new(user.clone(), password);
            let logged_in = connection.auth(DEFAULT_MECHANISMS, &credentials).await;
            logged_in.map_err(failed)?;
        }
        Ok(Line::new(connection, told.as_ref().ok()))
    }

    /// A new connection, with TLS if it is to have it.
    async fn secured(&self, hello: &ClientId) -> Result<Connection, Error> {
        let SmtpUrl {
            host,
            port,
            security,
            ..
        } = &self.url;
        let implicit = self.tls.clone().filter(|_| *security == Security::Implicit);
        let server = (host.as_str(), *port);
        let mut connection =
            Connection::connect_tokio1(server, Some(self.timeout), hello, implicit, None).await?;
        let upgrade = match security {
            Security::Starttls => true,
            Security::Opportunistic => connection.can_starttls(),
            Security::Clear | Security::Implicit => false,
        };
        if let Some(tls) = self.tls.clone().filter(|_| upgrade) {
            connection.starttls(tls, hello).await?;
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
        idle.retain(|(_, since)| since.elapsed() < IDLE);
        idle.pop().map(|(line, _)| line)
    }

    fn keep(&self, line: Line) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < self.size && line.is_usable() {
            idle.push((line, Instant::now()));
        }
    }
}
