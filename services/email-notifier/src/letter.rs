//! The letter: subject, text and HTML of an event, and the message made of them.

use askama::Template;
use chrono::{DateTime, Utc};
use delivery::Undeliverable;
use events::{BookingEvent, EventId, EventType, Stage};
use lettre::message::header::{
    ContentTransferEncoding, ContentType, Date, HeaderName, HeaderValue,
};
use lettre::message::{Body, Mailbox, Message, MultiPart, SinglePart};
use lettre::{Address, error};

use crate::recipient::recipient;
use crate::ticket::Ticket;

/// `=_` stands in no line of quoted-printable (RFC 2045 §6.7), so no event can end a part.
const BOUNDARY: &str = "=_harkara_alternative";

/// What a template shows; askama checks it when it is compiled.
macro_rules! templates {
    ($($name:ident $path:literal { $($field:ident: $kind:ty),* })*) => {$(
        #[derive(Template)]
        #[template(path = $path)]
        struct $name<'a> {
            t: &'a Ticket,
            $($field: $kind),*
        }
    )*};
}

templates! {
    Subject "subject.txt" { kind: EventType }
    ConfirmedText "confirmed.txt" { sender: &'a str }
    ConfirmedHtml "confirmed.html" { sender: &'a str, tone: Tone }
    CancelledText "cancelled.txt" { sender: &'a str }
    CancelledHtml "cancelled.html" { sender: &'a str, tone: Tone }
    PaidText "paid.txt" { sender: &'a str }
    PaidHtml "paid.html" { sender: &'a str, tone: Tone }
}

/// The colours of a letter, and its name in the style sheet.
struct Tone {
    name: &'static str,
    accent: &'static str,
    tint: &'static str,
}

const CONFIRMED: Tone = Tone {
    name: "confirmed",
    accent: "#0b6b4c",
    tint: "#e7f4ee",
};

const CANCELLED: Tone = Tone {
    name: "cancelled",
    accent: "#a3282d",
    tint: "#fbeceb",
};

const PAID: Tone = Tone {
    name: "paid",
    accent: "#1c4f93",
    tint: "#e8f0fa",
};

/// Writes letters.
pub(crate) struct Writer {
    from: Mailbox,
}

/// A letter ready to be sent.
pub(crate) struct Letter {
    pub(crate) to: Address,
    message_id: String,
    event_id: EventId,
    event_type: EventType,
    subject: String,
    text: String,
    html: String,
}

impl Writer {
    pub(crate) const fn new(from: Mailbox) -> Self {
        Self { from }
    }

    pub(crate) fn from(&self) -> &Mailbox {
        &self.from
    }

    pub(crate) fn write(&self, event: &BookingEvent) -> Result<Letter, Undeliverable> {
        let to = recipient(event)?;
        let sender = self.from.name.as_deref();
        let sender = sender.unwrap_or_else(|| self.from.email.domain());
        let kind = event.event_type;
        let t = &Ticket::of(event);
        let (text, html) = match kind {
            EventType::BookingConfirmed => {
                let tone = CONFIRMED;
                let html = render(&ConfirmedHtml { t, sender, tone })?;
                (render(&ConfirmedText { t, sender })?, html)
            }
            EventType::BookingCancelled => {
                let tone = CANCELLED;
                let html = render(&CancelledHtml { t, sender, tone })?;
                (render(&CancelledText { t, sender })?, html)
            }
            EventType::PaymentCompleted => {
                let html = render(&PaidHtml {
                    t,
                    sender,
                    tone: PAID,
                })?;
                (render(&PaidText { t, sender })?, html)
            }
        };
        Ok(Letter {
            to,
            message_id: message_id(&event.event_id, self.from.email.domain()),
            event_id: event.event_id.clone(),
            event_type: kind,
            // A mail reader would decode what an event writes like an encoded word (RFC 2047).
            subject: render(&Subject { t, kind })?.replace("=?", "= ?"),
            text,
            html,
        })
    }
}

fn render(template: &impl Template) -> Result<String, Undeliverable> {
    template.render().map_err(|error| Undeliverable {
        stage: Stage::Render,
        problem: format!("the template failed: {error}"),
    })
}

/// The same event has the same Message-ID, so a receiver can tell a second copy from a second letter.
///
/// What may not stand in the left part (RFC 5322 §3.6.4) is written `=XX`, and so is `=`: two events never share an id.
fn message_id(event_id: &EventId, domain: &str) -> String {
    let encoded: String = event_id
        .as_str()
        .chars()
        .map(|c| match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' => c.to_string(),
            c => format!("={:02X}", u32::from(c)),
        })
        .collect();
    format!("<{encoded}.email@{domain}>")
}

impl Letter {
    pub(crate) fn message_id(&self) -> &str {
        &self.message_id
    }

    /// Subject and text.
    pub(crate) fn readable(&self) -> String {
        format!("Subject: {}\n\n{}", self.subject, self.text)
    }

    /// The bytes of the message, all of them ASCII unless a local part is not.
    pub(crate) fn message(
        &self,
        from: &Mailbox,
        now: DateTime<Utc>,
    ) -> Result<Vec<u8>, error::Error> {
        let header = |name: &'static str, value: &str| {
            HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
        };
        let bodies = MultiPart::alternative()
            .boundary(BOUNDARY)
            .singlepart(part(ContentType::TEXT_PLAIN, &self.text))
            .singlepart(part(ContentType::TEXT_HTML, &self.html));
        let message = Message::builder()
            .from(from.clone())
            .to(Mailbox::new(None, self.to.clone()))
            .subject(self.subject.as_str())
            .message_id(Some(self.message_id.clone()))
            .header(Date::new(now.into()))
            .raw_header(header("X-Event-Id", self.event_id.as_str()))
            .raw_header(header("X-Event-Type", self.event_type.as_str()))
            // RFC 3834 §5: no out-of-office replies; the second is for Exchange.
            .raw_header(header("Auto-Submitted", "auto-generated"))
            .raw_header(header("X-Auto-Response-Suppress", "All"))
            .multipart(bodies)?;
        Ok(message.formatted())
    }
}

/// Quoted-printable always: lines stay short, eight bits stay away, and no line of an event is a boundary.
fn part(kind: ContentType, text: &str) -> SinglePart {
    let encoding = ContentTransferEncoding::QuotedPrintable;
    // Of a `String` lettre ends each line itself, and moves all that follows it each time.
    let lines = text.replace("\r\n", "\n").replace('\n', "\r\n");
    let body = Body::new_with_encoding(lines.into_bytes(), encoding);
    let body = body.unwrap_or_else(Body::new);
    SinglePart::builder().header(kind).body(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer() -> Writer {
        let from = "Harkara Rail <tickets@harkara.example>".parse();
        Writer::new(from.unwrap())
    }

    fn event(kind: EventType) -> BookingEvent {
        let sample = include_bytes!("../../../crates/events/golden/specification-sample.json");
        let mut event = BookingEvent::decode(sample).unwrap();
        event.event_type = kind;
        event
    }

    fn paid() -> BookingEvent {
        let mut event = event(EventType::PaymentCompleted);
        event.payment_status = events::PaymentStatus::Completed.into();
        event
    }

    fn cancelled() -> BookingEvent {
        let mut event = event(EventType::BookingCancelled);
        event.booking_status = events::BookingStatus::Cancelled.into();
        event
    }

    /// Every text as long and as hostile as an event can make it.
    fn hostile(kind: EventType) -> BookingEvent {
        let mut event = event(kind);
        let text = "<b>\"&'\r\nBcc: a@b.example\r\n\r\n--=_harkara_alternative--{{ t }}".to_owned();
        let long = text.clone() + &"\u{202e}'🚆".repeat(50_000);
        event.user_name.clone_from(&long);
        event.train_name.clone_from(&long);
        event.source_station.clone_from(&long);
        event.destination_station.clone_from(&long);
        event.passenger_name.clone_from(&long);
        event.coach_number.clone_from(&long);
        event.seat_number.clone_from(&long);
        event.booking_source.clone_from(&long);
        event.coach_type = events::Known::Other(long.clone());
        event.quota_type = events::Known::Other(long.clone());
        event.booking_status = events::Known::Other(long.clone());
        event.payment_status = events::Known::Other(long.clone());
        event.passenger_gender = events::Known::Other(long);
        event
    }

    fn message(letter: &Letter) -> String {
        let now = "2027-01-10T09:00:00Z".parse().unwrap();
        let bytes = letter.message(writer().from(), now).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_three_letters_read_well() {
        for (name, event) in [
            ("confirmed", event(EventType::BookingConfirmed)),
            ("cancelled", cancelled()),
            ("paid", paid()),
        ] {
            let letter = writer().write(&event).unwrap();
            insta::assert_snapshot!(format!("{name}_text"), letter.readable());
            insta::assert_snapshot!(format!("{name}_html"), letter.html);
        }
    }

    #[test]
    fn the_message_as_the_relay_gets_it() {
        let letter = writer().write(&event(EventType::BookingConfirmed)).unwrap();
        let message = message(&letter);
        let (headers, _) = message.split_once("\r\n\r\n").unwrap();
        insta::assert_snapshot!(headers.replace("\r\n", "\n"));
        assert!(message.is_ascii());
        assert!(message.lines().all(|line| line.len() <= 78));
    }

    #[test]
    fn both_parts_tell_every_fact_of_the_specification() {
        for event in [event(EventType::BookingConfirmed), cancelled(), paid()] {
            let letter = writer().write(&event).unwrap();
            let status = Ticket::of(&event).status;
            let payment = Ticket::of(&event).payment;
            for fact in [
                "1234567890",
                &status,
                &payment,
                "John Doe",
                "30",
                "Male",
                "12345",
                "Rajdhani Express",
                "New Delhi",
                "Mumbai Central",
                "Mon, 15 Jan 2024",
                "16:00",
                "08:30",
                "next day",
                "A1",
                "AC First Class (1A)",
                "General (GN)",
                "Tatkal",
                "₹4,500.00",
                "₹90.00",
                "₹225.00",
                "₹185.00",
                "₹5,000.00",
                "1 Jan 2024, 10:00",
                "WEB",
            ] {
                assert!(letter.text.contains(fact), "{fact}: {}", letter.text);
                assert!(letter.html.contains(fact), "{fact}: {}", letter.html);
            }
        }
    }

    #[test]
    fn no_event_adds_a_header_ends_a_part_or_becomes_markup() {
        for kind in EventType::ALL {
            let letter = writer().write(&hostile(kind)).unwrap();
            assert!(!letter.html.contains("<b>") && letter.html.contains("&#60;b&#62;"));
            assert!(letter.html.contains("{{ t }}"));
            let message = message(&letter);
            let (headers, body) = message.split_once("\r\n\r\n").unwrap();
            assert!(!headers.contains("\r\nBcc"), "{headers}");
            assert!(headers.contains("\r\nMIME-Version: 1.0"), "{headers}");
            assert_eq!(body.matches("\r\n--=_harkara_alternative--").count(), 1);
            assert_eq!(body.matches("--=_harkara_alternative\r\n").count(), 2);
        }
    }

    #[test]
    fn an_encoded_word_of_an_event_is_none_in_the_subject() {
        let mut event = event(EventType::BookingConfirmed);
        event.train_name = "=?utf-8?q?Free_tickets?=".to_owned();
        let message = message(&writer().write(&event).unwrap());
        let (headers, _) = message.split_once("\r\n\r\n").unwrap();
        assert!(headers.contains("= ?utf-8?q?Free_tickets?="), "{headers}");
    }

    #[test]
    fn gmail_clips_no_letter() {
        for kind in EventType::ALL {
            let letter = writer().write(&hostile(kind)).unwrap();
            assert!(letter.html.len() < 90_000, "{}", letter.html.len());
        }
    }

    #[test]
    fn a_message_id_is_the_event_s_own() {
        let id = |text: &str| message_id(&text.parse().unwrap(), "harkara.example");
        assert_eq!(id("0190-a_Z"), "<0190-a_Z.email@harkara.example>");
        assert_eq!(id("a@b>=.c"), "<a=40b=3E=3D=2Ec.email@harkara.example>");
        assert_ne!(id("a=40"), id("a@"));
    }
}
