//! A request to send, and the checks that Meta makes before it accepts one.

use events::{EventId, EventType, Phone};
use serde::Deserialize;
use serde_json::Value;

use super::refusal::Refusal;
use super::templates::{Format, Template};
use crate::accepted::{Accepted, Provider, TemplateUse, find_pnr};

/// Characters of a rendered body (Cloud API, error 132005).
const BODY_LIMIT: usize = 1024;

/// The country of the sender: its code is put before a recipient without `+` (Cloud API, "Send messages", phone number formats).
const SENDER_COUNTRY: &str = "+91";

/// A message that passed the checks.
#[derive(Debug)]
pub(super) struct Order {
    /// `to` as it was written.
    pub(super) input: String,
    recipient: Phone,
    callback: Option<String>,
    template: &'static Template,
    /// Name, or position, and text.
    params: Vec<(String, String)>,
    text: String,
}

/// The body of a request. What is missing or of the wrong type is found by the checks, in Meta's order.
#[derive(Deserialize)]
struct Body {
    messaging_product: Option<String>,
    to: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    biz_opaque_callback_data: Option<String>,
    template: Option<TemplateIn>,
}

#[derive(Deserialize)]
struct TemplateIn {
    name: Option<String>,
    language: Option<LanguageIn>,
    #[serde(default)]
    components: Vec<ComponentIn>,
}

#[derive(Deserialize)]
struct LanguageIn {
    code: Option<String>,
}

#[derive(Deserialize)]
struct ComponentIn {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    parameters: Vec<ParameterIn>,
}

#[derive(Deserialize)]
struct ParameterIn {
    #[serde(rename = "type")]
    kind: String,
    parameter_name: Option<String>,
    text: Option<Value>,
}

impl Order {
    /// Reads and checks a request.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Refusal> {
        let body: Body =
            serde_json::from_slice(bytes).map_err(|error| Refusal::of(100, error.to_string()))?;
        if body.messaging_product.as_deref() != Some("whatsapp") {
            return Err(Refusal::missing("messaging_product"));
        }
        let input = body.to.ok_or_else(|| Refusal::missing("to"))?;
        let recipient = recipient(&input)?;
        check_kind(body.kind.as_deref().unwrap_or("text"))?;
        let given = body
            .template
            .ok_or_else(|| Refusal::of(131_008, "template is missing"))?;
        let template = template(&given)?;
        let params = parameters(template, given.components)?;
        let text = render(template, &params)?;
        Ok(Self {
            input,
            recipient,
            callback: body.biz_opaque_callback_data,
            template,
            params,
            text,
        })
    }

    /// The message for the ledger. `biz_opaque_callback_data` names its event: `eventId|topic`.
    pub(super) fn into_accepted(self, sender: String, id: String) -> Accepted {
        let callback = self.callback.unwrap_or_default();
        let (event_id, topic) = callback.split_once('|').unwrap_or((&callback, ""));
        let named = self.params.iter().find(|(name, _)| name == "pnr");
        let pnr = named.and_then(|(_, text)| text.parse().ok());
        Accepted {
            event_id: event_id.parse::<EventId>().ok(),
            event_type: EventType::of_topic(topic),
            pnr: pnr.or_else(|| find_pnr(&self.text)),
            sender,
            recipient: self.recipient.e164().to_owned(),
            text: self.text,
            template: Some(TemplateUse {
                name: self.template.name.to_owned(),
                language: self.template.language.to_owned(),
                params: self.params,
            }),
            ..Accepted::unnumbered(Provider::Whatsapp, id)
        }
    }
}

fn recipient(input: &str) -> Result<Phone, Refusal> {
    let invalid = || Refusal::of(131_009, "to is not a valid WhatsApp phone number");
    let bare: String = input
        .chars()
        .filter(|c| !matches!(c, ' ' | '-' | '(' | ')'))
        .collect();
    let number = if bare.starts_with('+') {
        bare
    } else {
        format!("{SENDER_COUNTRY}{bare}")
    };
    number.parse().ok().ok_or_else(invalid)
}

/// Only templates: no passenger of the sandbox has written to the business within 24 hours.
fn check_kind(kind: &str) -> Result<(), Refusal> {
    match kind {
        "template" => Ok(()),
        "text" => Err(Refusal::of(
            131_047,
            "Message failed to send because more than 24 hours have passed since the customer last replied to this number.",
        )),
        other => Err(Refusal::of(
            131_051,
            format!("type {other} is not supported"),
        )),
    }
}

fn template(given: &TemplateIn) -> Result<&'static Template, Refusal> {
    let missing = |what: &str| Refusal::of(131_008, format!("{what} is missing"));
    let name = given
        .name
        .as_deref()
        .ok_or_else(|| missing("template.name"))?;
    let language = given
        .language
        .as_ref()
        .and_then(|language| language.code.as_deref());
    let language = language.ok_or_else(|| missing("template.language.code"))?;
    Template::find(name, language).ok_or_else(|| {
        let details = format!("template name ({name}) does not exist in {language}");
        Refusal::of(132_001, details)
    })
}

/// Name or position, and text, of each body parameter.
fn parameters(
    template: &Template,
    components: Vec<ComponentIn>,
) -> Result<Vec<(String, String)>, Refusal> {
    let mut given = Vec::new();
    for component in components {
        let more = component.parameters;
        if component.kind.eq_ignore_ascii_case("body") {
            given.extend(more);
        } else if !more.is_empty() {
            return Err(wrong_count(
                &component.kind.to_ascii_lowercase(),
                more.len(),
                0,
            ));
        }
    }
    if given.len() != template.parameters.len() {
        return Err(wrong_count("body", given.len(), template.parameters.len()));
    }
    let read = given.into_iter().enumerate();
    let params: Vec<_> = read
        .map(|(index, parameter)| named_text(template, index, parameter))
        .collect::<Result<_, _>>()?;
    check_names(template, &params)?;
    Ok(params)
}

fn wrong_count(component: &str, given: usize, expected: usize) -> Refusal {
    let details = format!(
        "{component}: number of localizable_params ({given}) does not match the expected number of params ({expected})"
    );
    Refusal::of(132_000, details)
}

fn named_text(
    template: &Template,
    index: usize,
    parameter: ParameterIn,
) -> Result<(String, String), Refusal> {
    let position = index + 1;
    let format_mismatch = |details: &str| {
        Err(Refusal::of(
            132_012,
            format!("body: parameter {position}: {details}"),
        ))
    };
    let name = match (template.format, parameter.parameter_name) {
        (Format::Named, Some(name)) => name,
        (Format::Named, None) => return format_mismatch("parameter name is missing or empty"),
        (Format::Positional, None) => position.to_string(),
        (Format::Positional, Some(_)) => {
            return format_mismatch("the template has positional parameters");
        }
    };
    if parameter.kind != "text" {
        return format_mismatch("expected a parameter of type text");
    }
    let text = parameter
        .text
        .as_ref()
        .and_then(Value::as_str)
        .unwrap_or_default();
    if text.is_empty() {
        return Err(Refusal::of(
            131_008,
            "Parameter of type text is missing text value",
        ));
    }
    if text.contains(['\n', '\r', '\t']) || text.contains("     ") {
        return Err(Refusal::of(
            132_018,
            "Param text cannot have new-line/tab characters or more than 4 consecutive spaces",
        ));
    }
    Ok((name, text.to_owned()))
}

/// Each name of a named template once. As many were given as it has, so none is given twice either.
fn check_names(template: &Template, params: &[(String, String)]) -> Result<(), Refusal> {
    let has = |name: &str| params.iter().any(|(given, _)| given == name);
    match template.parameters.iter().find(|name| !has(name)) {
        Some(name) if template.format == Format::Named => {
            let details = format!("body: parameter {name} is missing");
            Err(Refusal::of(132_012, details))
        }
        Some(_) | None => Ok(()),
    }
}

fn render(template: &Template, params: &[(String, String)]) -> Result<String, Refusal> {
    let text = template.render(|name| {
        let position = template
            .parameters
            .iter()
            .position(|known| *known == name)?;
        let key = match template.format {
            Format::Named => name.to_owned(),
            Format::Positional => (position + 1).to_string(),
        };
        params
            .iter()
            .find(|(given, _)| *given == key)
            .map(|(_, text)| text.clone())
    });
    let length = text.chars().count();
    if length > BODY_LIMIT {
        let details = format!("body: {length} characters, at most {BODY_LIMIT}");
        return Err(Refusal::of(132_005, details));
    }
    Ok(text)
}
