//! The e-mail channel over SMTP.

use std::time::Duration;

use chassis::{Failure, SharedClock};
use delivery::{Channel, Delivery, FailureClass, Receipt, SendError, Undeliverable};
use events::BookingEvent;
use lettre::Address;

use crate::classify::{Fault, Step, classify};
use crate::letter::{Letter, Writer};
use crate::relay::{Interrupted, Relay, Route};
use crate::settings::EmailSettings;

/// Writes letters and hands them to the relay.
pub(crate) struct Smtp {
    writer: Writer,
    relay: Relay,
    sender: Address,
    clock: SharedClock,
}

impl Smtp {
    pub(crate) fn new(
        settings: &EmailSettings,
        timeout: Duration,
        concurrency: usize,
        clock: SharedClock,
    ) -> Result<Self, Failure> {
        Ok(Self {
            writer: Writer::new(settings.mail_from.clone()),
            relay: Relay::new(settings.smtp_url.clone(), timeout, concurrency)?,
            sender: settings.mail_from.email.clone(),
            clock,
        })
    }
}

impl Channel for Smtp {
    type Message = Letter;

    fn channel(&self) -> events::Channel {
        events::Channel::Email
    }

    fn providers(&self) -> &'static [&'static str] {
        &["smtp"]
    }

    fn recipient<'m>(&self, letter: &'m Letter) -> &'m str {
        letter.to.as_ref()
    }

    fn render(&self, event: &BookingEvent) -> Result<Letter, Undeliverable> {
        self.writer.write(event)
    }

    /// The receipt is the Message-ID: it is what relays log and what a bounce quotes.
    async fn send(&self, letter: &Letter, _delivery: &Delivery) -> Result<Receipt, SendError> {
        let message = letter.message(self.writer.from(), self.clock.now());
        let message = message.ok().and_then(|it| String::from_utf8(it).ok());
        let message = message.ok_or_else(|| SendError {
            class: FailureClass::Permanent,
            status: None,
            problem: "the letter makes no message".to_owned(),
        })?;
        let route = Route {
            from: self.sender.clone(),
            to: letter.to.clone(),
        };
        let submitted = self.relay.submit(&route, &message).await;
        submitted.map_err(failure)?;
        Ok(Receipt {
            provider_message_id: letter.message_id().to_owned(),
        })
    }
}

/// The relay's own words may quote the address: ours replace them.
pub(crate) fn failure(Interrupted { step, fault }: Interrupted) -> SendError {
    let during = match step {
        Step::Connect => "connecting",
        Step::Sender => "MAIL FROM",
        Step::Recipient => "RCPT TO",
        Step::Data => "DATA",
        Step::Content => "the message",
    };
    let (status, what) = match fault {
        Fault::Refused(reply) => (Some(reply.to_string()), "the relay refused"),
        Fault::Unanswered => (None, "the relay did not answer in time or hung up"),
        Fault::Untrusted => (None, "the relay's TLS certificate is not trusted"),
        Fault::Unsupported => (None, "the relay offers no STARTTLS or no way to log in"),
        Fault::Unwritable => (None, "the relay takes no address outside ASCII"),
    };
    SendError {
        class: classify(step, fault),
        status,
        problem: format!("{what} ({during})"),
    }
}
