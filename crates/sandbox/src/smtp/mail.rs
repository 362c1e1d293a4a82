//! A mail as the ledger keeps it.

use events::{EventId, EventType};
use mail_parser::{Message, MessageParser, PartType};

use super::transaction::Envelope;
use crate::accepted::{Accepted, Provider, find_pnr};
use crate::http;

/// Reads a mail. What is no mail at all is kept as text.
pub(super) fn read(raw: &[u8], envelope: Envelope) -> Accepted {
    let message = MessageParser::default().parse(raw);
    let mut accepted = Accepted {
        sender: envelope.sender,
        recipient: envelope.recipients.join(", "),
        ..Accepted::unnumbered(Provider::Smtp, http::identifier(""))
    };
    match message {
        Some(message) => fill(&mut accepted, &message),
        None => accepted.text = String::from_utf8_lossy(raw).into_owned(),
    }
    accepted.pnr = find_pnr(accepted.subject.as_deref().unwrap_or_default())
        .or_else(|| find_pnr(&accepted.text));
    accepted
}

fn fill(accepted: &mut Accepted, message: &Message<'_>) {
    accepted.event_id = event_id(message);
    accepted.event_type =
        header(message, "X-Event-Type").and_then(|name| name.parse::<EventType>().ok());
    accepted.subject = message.subject().map(str::to_owned);
    accepted.text = message.body_text(0).unwrap_or_default().into_owned();
    accepted.html = html(message);
}

fn header<'a>(message: &'a Message<'_>, name: &'static str) -> Option<&'a str> {
    message.header_raw(name).map(str::trim)
}

/// The header `X-Event-Id`, or else the event of a Message-ID such as `<{eventId}.email@domain>`.
fn event_id(message: &Message<'_>) -> Option<EventId> {
    let named = header(message, "X-Event-Id").and_then(|id| id.parse().ok());
    named.or_else(|| {
        let (local_part, _) = message.message_id()?.rsplit_once('@')?;
        local_part.strip_suffix(".email")?.parse().ok()
    })
}

/// The HTML that the sender wrote; never text turned into HTML.
fn html(message: &Message<'_>) -> Option<String> {
    message.html_bodies().find_map(|part| match &part.body {
        PartType::Html(html) => Some(html.to_string()),
        PartType::Text(_)
        | PartType::Binary(_)
        | PartType::InlineBinary(_)
        | PartType::Message(_)
        | PartType::Multipart(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(raw: &str) -> Accepted {
        let envelope = Envelope {
            sender: "from@rail.example".into(),
            recipients: vec!["a@b.example".into(), "c@d.example".into()],
        };
        read(raw.replace('\n', "\r\n").as_bytes(), envelope)
    }

    #[test]
    fn a_message_id_names_the_event_where_no_header_does() {
        let mail =
            read_text("Message-ID: <evt-1.email@rail.example>\nSubject: PNR 2412345678\n\nHello");
        assert_eq!(mail.event_id.unwrap().as_str(), "evt-1");
        assert_eq!(mail.pnr.unwrap().as_str(), "2412345678");
        assert_eq!(mail.html, None);
        assert_eq!(mail.recipient, "a@b.example, c@d.example");
        let both = "X-Event-Id: evt-2\nX-Event-Type: PAYMENT_COMPLETED\nMessage-ID: <evt-1.email@rail.example>\n\nHello";
        let mail = read_text(both);
        assert_eq!(mail.event_id.unwrap().as_str(), "evt-2");
        assert_eq!(mail.event_type, Some(EventType::PaymentCompleted));
        assert_eq!(
            read_text("Message-ID: <evt-1@rail.example>\n\nHello").event_id,
            None
        );
    }

    #[test]
    fn encoded_words_and_parts_are_decoded() {
        let mail = read_text(
            "Subject: =?utf-8?B?8J+OqyBUaWNrZXQ=?=\nMIME-Version: 1.0\nContent-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n=E2=82=B95000\n--b\nContent-Type: text/html; charset=utf-8\n\n<p>Hi</p>\n--b--\n",
        );
        assert_eq!(mail.subject.as_deref(), Some("🎫 Ticket"));
        assert_eq!(mail.text.trim(), "₹5000");
        assert_eq!(mail.html.as_deref().map(str::trim), Some("<p>Hi</p>"));
    }

    #[test]
    fn what_is_no_mail_is_kept_as_it_is() {
        let mail = read(b"", Envelope::default());
        assert_eq!((mail.text.as_str(), mail.subject), ("", None));
    }
}
