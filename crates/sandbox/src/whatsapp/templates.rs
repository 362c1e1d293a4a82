//! The templates that the sandbox's business account has approved: all of them, here.

/// How a template's parameters are told apart (`parameter_format` at its creation).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// By name, in any order.
    Named,
    /// By position, from 1.
    Positional,
}

/// An approved template with a body and nothing else.
#[derive(Debug)]
pub(super) struct Template {
    pub(super) name: &'static str,
    pub(super) language: &'static str,
    pub(super) format: Format,
    /// The names, in the order of the positions.
    pub(super) parameters: &'static [&'static str],
    /// The body with `{{name}}` where a parameter stands. For [`Format::Positional`] it was submitted with `{{1}}`, `{{2}}`, … in their places.
    body: &'static str,
}

/// What our templates are filled with, all of them.
const FACTS: &[&str] = &[
    "passenger",
    "pnr",
    "train",
    "from",
    "to",
    "date",
    "departure",
    "coach",
    "seat",
    "class",
    "fare",
];

const CONFIRMED_BODY: &str = "\
🎫 *Your ticket is confirmed*

Namaste *{{passenger}}* 🙏 your seat is booked.

🔖 PNR: *{{pnr}}*
🚆 {{train}}
📍 {{from}} ➡️ {{to}}
📅 {{date}}
🕓 Departure: *{{departure}}*
💺 Coach *{{coach}}*, seat *{{seat}}* ({{class}})
💳 Fare: {{fare}}

Please carry a photo ID and be on the platform 20 minutes early.
Have a pleasant journey! 🌏";

const PAID_BODY: &str = "\
💰 *Your payment was received*

Namaste *{{passenger}}* 🙏 your ticket is paid.

PNR: *{{pnr}}*
🚆 {{train}}
📍 {{from}} ➡️ {{to}}
📅 {{date}}, {{departure}}
💺 Coach {{coach}}, seat {{seat}} ({{class}})
💳 Fare: {{fare}}

Have a pleasant journey! 🌏";

const CANCELLED_BODY: &str = "\
❌ *Your booking is cancelled*

Namaste *{{passenger}}* 🙏 this seat is no longer yours.

PNR: *{{pnr}}*
🚆 {{train}}
📍 {{from}} ➡️ {{to}}
📅 {{date}}, {{departure}}
💺 Coach {{coach}}, seat {{seat}} ({{class}})
💳 Fare: {{fare}}

If you did not ask for this, please call us at once.";

static TEMPLATES: [Template; 4] = [
    Template {
        name: "payment_completed",
        language: "en",
        format: Format::Named,
        parameters: FACTS,
        body: PAID_BODY,
    },
    Template {
        name: "booking_cancelled",
        language: "en",
        format: Format::Named,
        parameters: FACTS,
        body: CANCELLED_BODY,
    },
    Template {
        name: "booking_confirmed",
        language: "en",
        format: Format::Named,
        parameters: FACTS,
        body: CONFIRMED_BODY,
    },
    Template {
        name: "booking_confirmed_positional",
        language: "en",
        format: Format::Positional,
        parameters: FACTS,
        body: CONFIRMED_BODY,
    },
];

impl Template {
    /// The template of this name in this language.
    pub(super) fn find(name: &str, language: &str) -> Option<&'static Self> {
        let known = TEMPLATES.iter();
        known
            .into_iter()
            .find(|template| template.name == name && template.language == language)
    }

    /// The body with the parameters in their places. What they hold is never taken for a placeholder.
    pub(super) fn render(&self, value_of: impl Fn(&str) -> Option<String>) -> String {
        let mut pieces = self.body.split("{{");
        let mut text = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let (name, rest) = piece.split_once("}}").unwrap_or((piece, ""));
            text.push_str(&value_of(name).unwrap_or_default());
            text.push_str(rest);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1,024 characters: Cloud API, "Utility templates".
    const BODY_LIMIT: usize = 1024;

    #[test]
    fn every_template_would_be_approved() {
        for template in &TEMPLATES {
            let body = template.body;
            assert!(body.chars().count() <= BODY_LIMIT);
            assert!(
                !body.starts_with("{{") && !body.ends_with("}}"),
                "error 2388299"
            );
            for name in template.parameters {
                assert_eq!(
                    body.matches(&format!("{{{{{name}}}}}")).count(),
                    1,
                    "{name}"
                );
            }
            assert_eq!(body.matches("{{").count(), template.parameters.len());
        }
    }

    #[test]
    fn a_value_is_never_taken_for_a_placeholder() {
        let template = Template::find("booking_confirmed", "en").unwrap();
        let text = template.render(|name| Some(format!("<{name} {{{{pnr}}}}>")));
        assert_eq!(text.matches("{{pnr}}").count(), 11);
        assert_eq!(text.matches("<pnr ").count(), 1);
    }
}
