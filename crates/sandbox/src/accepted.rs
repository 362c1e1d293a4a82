//! A message that a provider took responsibility for.

use std::fmt;

use chrono::{DateTime, Utc};
use events::sms::Segments;
use events::{Channel, EventId, EventType, Pnr};
use serde::{Deserialize, Serialize};

/// The provider that the sandbox stood in for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// A mail server.
    Smtp,
    /// Twilio's Messages API.
    Twilio,
    /// MSG91's Flow API.
    Msg91,
    /// Meta's `WhatsApp` Business Cloud API.
    Whatsapp,
}

impl Provider {
    /// The channel that its messages go by.
    pub const fn channel(self) -> Channel {
        match self {
            Self::Smtp => Channel::Email,
            Self::Twilio | Self::Msg91 => Channel::Sms,
            Self::Whatsapp => Channel::Whatsapp,
        }
    }
}

/// The size of a text message, as it is charged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SmsSize {
    /// `GSM-7` or `UCS-2`.
    pub encoding: String,
    /// Septets, or UTF-16 code units.
    pub units: usize,
    /// Segments.
    pub segments: usize,
}

impl From<Segments> for SmsSize {
    fn from(size: Segments) -> Self {
        Self {
            encoding: size.encoding.as_str().to_owned(),
            units: size.units,
            segments: size.segments,
        }
    }
}

/// The template a message was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TemplateUse {
    /// Its name.
    pub name: String,
    /// Its language code.
    pub language: String,
    /// Name (or position) and text of each parameter, in the order they were sent.
    pub params: Vec<(String, String)>,
}

/// One message that was accepted, as the ledger keeps it and as `/api/messages` shows it.
///
/// `Debug` shows no recipient and no content.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(
    clippy::struct_field_names,
    reason = "the field is called so in the API"
)]
pub struct Accepted {
    /// Its place in the ledger, from 1.
    pub seq: u64,
    /// When it was accepted.
    pub accepted_at: DateTime<Utc>,
    /// The channel it came by.
    pub channel: Channel,
    /// The provider that took it.
    pub provider: Provider,
    /// The id that the provider's answer gave.
    pub provider_message_id: String,
    /// The event it tells of, if the message says so.
    pub event_id: Option<EventId>,
    /// The kind of that event, if the message says so.
    pub event_type: Option<EventType>,
    /// The PNR that its words name.
    pub pnr: Option<Pnr>,
    /// Who it comes from: an address, a number, a sender id, a phone number id.
    pub sender: String,
    /// Whom it is for: addresses joined by `, `, or a number in E.164.
    pub recipient: String,
    /// Subject of a mail.
    pub subject: Option<String>,
    /// The words. Empty once [`Accepted::bodies_dropped`].
    pub text: String,
    /// The HTML of a mail.
    pub html: Option<String>,
    /// The size of a text message.
    pub segments: Option<SmsSize>,
    /// The template of a `WhatsApp` message, the flow of an MSG91 one.
    pub template: Option<TemplateUse>,
    /// Whether the sender was told; false for the fault `acceptThenDrop`.
    pub answered: bool,
    /// Whether `text` and `html` were let go to bound the memory. The ledger file still has them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bodies_dropped: bool,
}

impl Accepted {
    /// A message not yet in the ledger, which will number it.
    pub(crate) fn unnumbered(provider: Provider, provider_message_id: String) -> Self {
        Self {
            seq: 0,
            accepted_at: DateTime::UNIX_EPOCH,
            channel: provider.channel(),
            provider,
            provider_message_id,
            event_id: None,
            event_type: None,
            pnr: None,
            sender: String::new(),
            recipient: String::new(),
            subject: None,
            text: String::new(),
            html: None,
            segments: None,
            template: None,
            answered: true,
            bodies_dropped: false,
        }
    }

    pub(crate) fn body_bytes(&self) -> usize {
        self.text.len() + self.html.as_ref().map_or(0, String::len)
    }

    pub(crate) fn without_bodies(&self) -> Self {
        Self {
            text: String::new(),
            html: None,
            bodies_dropped: true,
            ..self.clone()
        }
    }
}

impl fmt::Debug for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accepted")
            .field("seq", &self.seq)
            .field("channel", &self.channel)
            .field("provider_message_id", &self.provider_message_id)
            .field("event_id", &self.event_id)
            .field("pnr", &self.pnr)
            .field("answered", &self.answered)
            .finish_non_exhaustive()
    }
}

/// The first PNR that a text names: the letters `PNR`, a few characters that are no digits, ten digits.
pub(crate) fn find_pnr(text: &str) -> Option<Pnr> {
    // "PNR number (keep it): *2412345678*"
    const FEW: usize = 24;
    let upper = text.to_ascii_uppercase();
    upper.split("PNR").skip(1).find_map(|rest| {
        let from = rest
            .char_indices()
            .take(FEW)
            .find(|(_, c)| c.is_ascii_digit())?;
        let digits = rest.get(from.0..)?;
        let end = digits
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(digits.len());
        digits.get(..end)?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pnr_is_found_in_the_words_of_each_channel() {
        for text in [
            "PNR:2412345678,TRN:12951",
            "Ticket confirmed - PNR 2412345678",
            "🔖 PNR: *2412345678*",
            "Your pnr number is 2412345678.",
            "PNR status below. PNR No.: 2412345678",
        ] {
            let found = find_pnr(text).map(String::from);
            assert_eq!(found.as_deref(), Some("2412345678"), "{text}");
        }
    }

    #[test]
    fn other_digits_are_no_pnr() {
        for text in ["2412345678", "PNR 24123456789", "PNR:241234567", "PNR", ""] {
            assert_eq!(find_pnr(text), None, "{text}");
        }
    }

    #[test]
    fn debug_shows_no_recipient_and_no_words() {
        let mut message = Accepted::unnumbered(Provider::Twilio, "SM1".into());
        message.recipient = "+919876543210".into();
        message.text = "secret".into();
        message.pnr = "2412345678".parse().ok();
        let shown = format!("{message:?}");
        for hidden in ["9876543210", "secret", "2412345678"] {
            assert!(!shown.contains(hidden), "{shown}");
        }
    }
}
