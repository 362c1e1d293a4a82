//! Settings of the `WhatsApp` Business Cloud API.

use clap::{Args, Parser, ValueEnum};
use delivery::NotifierSettings;
use events::EventType;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

/// Tells passengers on WhatsApp that their booking was made.
#[derive(Parser, Clone, Debug)]
#[command(name = "whatsapp-notifier", version, about)]
pub struct Settings {
    /// What the three notifiers share.
    #[command(flatten)]
    pub notifier: NotifierSettings,
    /// The provider.
    #[command(flatten)]
    pub whatsapp: WhatsappSettings,
}

/// How the Cloud API is reached, and which templates it fills.
#[expect(
    clippy::struct_field_names,
    reason = "the names are those of the flags and variables"
)]
#[derive(Args, Clone, Debug)]
pub struct WhatsappSettings {
    /// Where the Cloud API listens; Meta's own address is `https://graph.facebook.com`.
    #[arg(long, env = "WHATSAPP_BASE_URL", value_name = "URL", default_value = "http://127.0.0.1:8025/whatsapp", value_parser = chassis::base_url)]
    pub whatsapp_base_url: Url,
    /// Version of the API.
    #[arg(long, env = "WHATSAPP_API_VERSION", value_name = "VERSION", default_value = "v23.0", value_parser = version)]
    pub whatsapp_api_version: String,
    /// The sender: the phone number id of the business account, not the number.
    #[arg(long, env = "WHATSAPP_PHONE_NUMBER_ID", value_name = "ID", value_parser = phone_number_id)]
    pub whatsapp_phone_number_id: String,
    /// The access token.
    #[arg(long, env = "WHATSAPP_TOKEN", value_name = "SECRET", hide_env_values = true, value_parser = token)]
    pub whatsapp_token: SecretString,
    /// The approved template for a confirmed booking.
    #[arg(long, env = "WHATSAPP_TEMPLATE_CONFIRMED", value_name = "NAME", default_value = "booking_confirmed", value_parser = template)]
    pub whatsapp_template_confirmed: String,
    /// The approved template for a payment; needed only if this channel reads `payment-completed`.
    #[arg(long, env = "WHATSAPP_TEMPLATE_PAID", value_name = "NAME", value_parser = template)]
    pub whatsapp_template_paid: Option<String>,
    /// The approved template for a cancellation; needed only if this channel reads `booking-cancelled`.
    #[arg(long, env = "WHATSAPP_TEMPLATE_CANCELLED", value_name = "NAME", value_parser = template)]
    pub whatsapp_template_cancelled: Option<String>,
    /// The templates' language code, exactly as approved: `en` and `en_GB` are two templates.
    #[arg(long, env = "WHATSAPP_TEMPLATE_LANGUAGE", value_name = "CODE", default_value = "en", value_parser = language)]
    pub whatsapp_template_language: String,
    /// How the templates were created: parameters with names, or numbered from 1 in the order of the README.
    #[arg(
        long,
        env = "WHATSAPP_PARAMETERS",
        value_enum,
        value_name = "FORMAT",
        default_value = "named"
    )]
    pub whatsapp_parameters: ParameterFormat,
}

/// `parameter_format` of the templates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ParameterFormat {
    /// `{{pnr}}`.
    Named,
    /// `{{2}}`.
    Positional,
}

fn version(text: &str) -> Result<String, String> {
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let parts = text.strip_prefix('v').and_then(|text| text.split_once('.'));
    let good = parts.is_some_and(|(major, minor)| number(major) && number(minor));
    good.then(|| text.to_owned())
        .ok_or_else(|| "must be a version such as v23.0".to_owned())
}

fn phone_number_id(text: &str) -> Result<String, String> {
    let good = (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    good.then(|| text.to_owned())
        .ok_or_else(|| "must be the digits of a phone number id".to_owned())
}

/// A bearer token is written into a header as it is.
fn token(text: &str) -> Result<SecretString, String> {
    let secret = chassis::secret(text)?;
    if secret.expose_secret().bytes().all(|b| b.is_ascii_graphic()) {
        Ok(secret)
    } else {
        Err("must be visible ASCII without spaces".to_owned())
    }
}

/// Meta: at most 512 lower-case letters, digits and underscores.
fn template(text: &str) -> Result<String, String> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    let good = (1..=512).contains(&text.len()) && text.bytes().all(plain);
    good.then(|| text.to_owned())
        .ok_or_else(|| "must be lower-case letters, digits and underscores".to_owned())
}

fn language(text: &str) -> Result<String, String> {
    let (language, region) = text.split_once('_').unwrap_or((text, "XX"));
    let lower = |text: &str| text.bytes().all(|b| b.is_ascii_lowercase());
    let upper = |text: &str| text.bytes().all(|b| b.is_ascii_uppercase());
    let good = (2..=3).contains(&language.len()) && lower(language);
    let good = good && region.len() == 2 && upper(region);
    good.then(|| text.to_owned())
        .ok_or_else(|| "must be a language code such as en, hi or en_GB".to_owned())
}

impl WhatsappSettings {
    /// The template that tells of such an event.
    pub(crate) fn template(&self, event_type: EventType) -> Option<&str> {
        match event_type {
            EventType::BookingConfirmed => Some(&self.whatsapp_template_confirmed),
            EventType::PaymentCompleted => self.whatsapp_template_paid.as_deref(),
            EventType::BookingCancelled => self.whatsapp_template_cancelled.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUIRED: [&str; 2] = ["--whatsapp-phone-number-id=1", "--whatsapp-token=t"];

    fn parse(arguments: &[&str]) -> Result<Settings, String> {
        let arguments = ["whatsapp-notifier"].iter().chain(arguments);
        let defaults = delivery::defaults(events::Channel::Whatsapp);
        chassis::parse_settings_from(defaults, arguments).map_err(|error| error.to_string())
    }

    #[test]
    fn a_bad_setting_is_named() {
        assert!(parse(&REQUIRED).is_ok());
        for (argument, start) in [
            ("--whatsapp-base-url=graph", "WHATSAPP_BASE_URL: "),
            ("--whatsapp-api-version=23", "WHATSAPP_API_VERSION: "),
            (
                "--whatsapp-template-language=english",
                "WHATSAPP_TEMPLATE_LANGUAGE: ",
            ),
            ("--whatsapp-parameters=numbered", "WHATSAPP_PARAMETERS: "),
        ] {
            let line = parse(&[&REQUIRED[..], &[argument]].concat()).unwrap_err();
            assert!(line.contains(start), "{line}");
            assert!(!line.contains("secret"), "{line}");
        }
    }

    #[test]
    fn sender_and_token_have_no_default() {
        let missing = parse(&["--whatsapp-token=t"]).unwrap_err();
        assert!(missing.contains("WHATSAPP_PHONE_NUMBER_ID: "), "{missing}");
        let missing = parse(&["--whatsapp-phone-number-id=1"]).unwrap_err();
        assert!(missing.contains("WHATSAPP_TOKEN: "), "{missing}");
    }

    #[test]
    fn what_stands_in_the_path_cannot_change_it() {
        assert!(version("v23.0").is_ok() && phone_number_id("106540352242922").is_ok());
        for bad in ["23.0", "v23", "v23.", "v../x", ""] {
            assert!(version(bad).is_err(), "{bad}");
        }
        for bad in ["", "12a", "+9111", "../1"] {
            assert!(phone_number_id(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn template_and_language_are_spelled_as_meta_spells_them() {
        assert!(template("booking_confirmed_v2").is_ok());
        assert!(template("Booking-Confirmed").is_err());
        for good in ["en", "hi", "en_GB", "fil"] {
            assert!(language(good).is_ok(), "{good}");
        }
        for bad in ["", "EN", "en-GB", "en_gb", "english"] {
            assert!(language(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_token_that_no_header_can_hold_is_refused() {
        assert!(token("EAAG").is_ok());
        assert!(token("EAAG\n").is_err());
        assert!(token(" ").is_err());
    }
}
