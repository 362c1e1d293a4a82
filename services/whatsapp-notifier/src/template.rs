//! The message: an approved template and what fills it.

use delivery::Undeliverable;
use events::{BookingEvent, CoachType, EventType, Known, Phone, Stage};
use serde::Serialize;

use crate::settings::{ParameterFormat, WhatsappSettings};

/// Characters of a parameter at most, so that eleven of them leave the template room in the 1,024 of a body (Meta, error 132005).
const PARAMETER_MAX: usize = 60;

/// Ends what is told of a journey that takes place.
const WISH: &str = "\n\nPlease carry a photo ID and be on the platform 20 minutes early.\nHave a pleasant journey! 🌏";

/// The body of `POST …/messages`, without what only the delivery knows.
#[derive(Clone, Serialize)]
pub(crate) struct TemplateMessage {
    messaging_product: &'static str,
    recipient_type: &'static str,
    pub(crate) to: String,
    #[serde(rename = "type")]
    kind: &'static str,
    template: Template,
}

#[derive(Clone, Serialize)]
struct Template {
    name: String,
    language: Language,
    components: [Component; 1],
}

#[derive(Clone, Serialize)]
struct Language {
    code: String,
}

#[derive(Clone, Serialize)]
struct Component {
    #[serde(rename = "type")]
    kind: &'static str,
    parameters: Vec<Parameter>,
}

#[derive(Clone, Serialize)]
struct Parameter {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "parameter_name", skip_serializing_if = "Option::is_none")]
    name: Option<&'static str>,
    text: String,
}

/// Fills the template of the event.
pub(crate) fn fill(
    settings: &WhatsappSettings,
    event: &BookingEvent,
) -> Result<TemplateMessage, Undeliverable> {
    let name = settings.template(event.event_type);
    let name = name.ok_or_else(|| no_template(event.event_type))?;
    let phone = recipient(event)?;
    let parameters = facts(event).map(|(name, text)| Parameter {
        kind: "text",
        name: match settings.whatsapp_parameters {
            ParameterFormat::Named => Some(name),
            ParameterFormat::Positional => None,
        },
        text: fitting(&text),
    });
    Ok(TemplateMessage {
        messaging_product: "whatsapp",
        recipient_type: "individual",
        to: phone.e164().to_owned(),
        kind: "template",
        template: Template {
            name: name.to_owned(),
            language: Language {
                code: settings.whatsapp_template_language.clone(),
            },
            components: [Component {
                kind: "body",
                parameters: parameters.to_vec(),
            }],
        },
    })
}

/// The message in the wording of the README.
pub(crate) fn preview(event: &BookingEvent) -> Result<String, Undeliverable> {
    recipient(event)?;
    let (news, what, wish) = match event.event_type {
        EventType::BookingConfirmed => {
            ("🎫 *Your ticket is confirmed*", "your seat is booked", WISH)
        }
        EventType::PaymentCompleted => (
            "💰 *Your payment was received*",
            "your ticket is paid",
            WISH,
        ),
        EventType::BookingCancelled => (
            "❌ *Your booking is cancelled*",
            "this seat is no longer yours",
            "",
        ),
    };
    let [
        passenger,
        pnr,
        train,
        from,
        to,
        date,
        departure,
        coach,
        seat,
        class,
        fare,
    ] = facts(event).map(|(_, text)| fitting(&text));
    Ok(format!(
        "{news}\n\nNamaste *{passenger}* 🙏 {what}.\n\n🔖 PNR: *{pnr}*\n🚆 {train}\n📍 {from} ➡️ {to}\n📅 {date}\n🕓 Departure: *{departure}*\n💺 Coach *{coach}*, seat *{seat}* ({class})\n💳 Fare: {fare}{wish}"
    ))
}

fn no_template(event_type: EventType) -> Undeliverable {
    Undeliverable {
        stage: Stage::Render,
        problem: format!("no template is configured for {event_type}"),
    }
}

fn recipient(event: &BookingEvent) -> Result<Phone, Undeliverable> {
    event.phone().map_err(|error| Undeliverable {
        stage: Stage::Validate,
        problem: format!("userPhone {error}"),
    })
}

/// Names and values in the order of the template.
fn facts(event: &BookingEvent) -> [(&'static str, String); 11] {
    let time = event.departure_time.time();
    let seat = match event.short_of_a_seat() {
        None => event.seat_number.clone(),
        Some(list) => format!("{list} {}", event.seat_number),
    };
    [
        ("passenger", event.passenger_name.clone()),
        ("pnr", event.pnr_number.to_string()),
        (
            "train",
            format!("{} {}", event.train_number, event.train_name),
        ),
        ("from", event.source_station.clone()),
        ("to", event.destination_station.clone()),
        (
            "date",
            event.journey_date.format("%a, %-d %b %Y").to_string(),
        ),
        ("departure", time.format("%H:%M").to_string()),
        ("coach", event.coach_number.clone()),
        ("seat", seat),
        ("class", class(&event.coach_type)),
        ("fare", format!("₹{}", event.total_fare.grouped())),
    ]
}

fn class(class: &Known<CoachType>) -> String {
    match class {
        Known::Word(word) => format!("{} ({})", word.name(), word.code()),
        Known::Other(text) => text.clone(),
    }
}

/// Meta refuses a parameter with a line break, a tab, more than four spaces in a row, or nothing in it (errors 132012, 132018).
fn fitting(text: &str) -> String {
    let spaced: String = text
        .chars()
        .filter(|c| !is_invisible(*c))
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let line = words.join(" ");
    if line.is_empty() {
        return "-".to_owned();
    }
    if line.chars().count() <= PARAMETER_MAX {
        return line;
    }
    let kept: String = line.chars().take(PARAMETER_MAX - 1).collect();
    kept.trim_end().to_owned() + "…"
}

/// Format characters that turn or hide the words around them, in the template too. U+200C and U+200D are none of them: Indic scripts are written with them.
const fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{61c}'
            | '\u{200b}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use events::BookingStatus;

    use super::*;

    #[derive(Parser)]
    struct Example {
        #[command(flatten)]
        whatsapp: WhatsappSettings,
    }

    fn settings(more: &[&str]) -> WhatsappSettings {
        let required = [
            "example",
            "--whatsapp-phone-number-id=1",
            "--whatsapp-token=t",
        ];
        Example::parse_from(required.iter().chain(more)).whatsapp
    }

    fn event() -> BookingEvent {
        let sample = include_bytes!("../../../crates/events/golden/specification-sample.json");
        BookingEvent::decode(sample).unwrap()
    }

    #[test]
    fn a_confirmed_booking_fills_eleven_named_parameters() {
        let message = fill(&settings(&[]), &event()).ok().unwrap();
        insta::assert_json_snapshot!(message);
    }

    #[test]
    fn positional_parameters_keep_the_order_and_lose_the_names() {
        let message = fill(&settings(&["--whatsapp-parameters=positional"]), &event());
        insta::assert_json_snapshot!(message.ok().unwrap());
    }

    #[test]
    fn a_preview_reads_as_the_readme_has_it() {
        insta::assert_snapshot!(preview(&event()).unwrap());
        let mut unreachable = event();
        unreachable.user_phone = None;
        assert_eq!(preview(&unreachable).unwrap_err().stage, Stage::Validate);
    }

    #[test]
    fn a_seat_that_is_not_confirmed_says_so() {
        let mut event = event();
        event.booking_status = Known::Word(BookingStatus::Rac);
        let text = preview(&event).unwrap();
        assert!(text.contains("Coach *A1*, seat *RAC 1* ("), "{text}");
    }

    #[test]
    fn other_events_have_the_templates_of_the_settings() {
        let paid = (EventType::PaymentCompleted, "--whatsapp-template-paid=n1");
        let cancelled = (
            EventType::BookingCancelled,
            "--whatsapp-template-cancelled=n1",
        );
        for (kind, setting) in [paid, cancelled] {
            let mut event = event();
            event.event_type = kind;
            let problem = fill(&settings(&[]), &event).err().unwrap();
            assert_eq!(problem.stage, Stage::Render);
            assert!(problem.problem.contains(kind.as_str()), "{problem}");
            let message = fill(&settings(&[setting]), &event).ok().unwrap();
            assert_eq!(message.template.name, "n1");
            let [body] = message.template.components;
            assert_eq!(body.parameters.len(), 11);
        }
    }

    #[test]
    fn an_event_without_a_number_is_undeliverable() {
        for phone in [None, Some("98765".to_owned())] {
            let mut event = event();
            event.user_phone = phone;
            let problem = fill(&settings(&[]), &event).err().unwrap();
            assert_eq!(problem.stage, Stage::Validate);
            assert!(problem.problem.starts_with("userPhone must be "));
        }
    }

    #[test]
    fn a_parameter_is_one_line_and_never_empty() {
        assert_eq!(fitting("Asha\r\n\tRao \u{a0}    X"), "Asha Rao X");
        assert_eq!(fitting(" \n\u{7}"), "-");
        assert_eq!(fitting("\u{200b}\u{2060}\u{feff}"), "-");
        assert_eq!(fitting("\u{202e}As\u{200b}ha\u{2066}"), "Asha");
        assert_eq!(fitting("क\u{94d}\u{200d}ष"), "क\u{94d}\u{200d}ष");
        assert_eq!(fitting(&"अ".repeat(61)), "अ".repeat(59) + "…");
        assert_eq!(fitting(&"x".repeat(60)), "x".repeat(60));
    }
}
