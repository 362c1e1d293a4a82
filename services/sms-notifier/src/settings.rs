//! Settings of the SMS providers.

mod providers;

use clap::{Args, Parser, ValueEnum};
use delivery::NotifierSettings;
use secrecy::SecretString;
use url::Url;

pub(crate) use self::providers::{Msg91Settings, Providers, TwilioSettings};

/// Tells passengers by text message that their booking was made or cancelled.
#[derive(Parser, Clone, Debug)]
#[command(name = "sms-notifier", version, about)]
pub struct Settings {
    /// What the three notifiers share.
    #[command(flatten)]
    pub notifier: NotifierSettings,
    /// The provider.
    #[command(flatten)]
    pub sms: SmsSettings,
}

/// How the provider is reached.
#[expect(
    clippy::struct_field_names,
    reason = "the names are those of the flags and variables"
)]
#[derive(Args, Clone, Debug)]
pub struct SmsSettings {
    /// Whose protocol is spoken.
    #[arg(
        long,
        env = "SMS_PROVIDER",
        value_enum,
        value_name = "NAME",
        default_value = "twilio"
    )]
    pub sms_provider: Provider,
    /// Where the provider listens: Twilio's own address is `https://api.twilio.com`, MSG91's `https://control.msg91.com`.
    /// In the sandbox MSG91 is at `http://127.0.0.1:8025/msg91`, which is the default with it.
    #[arg(long, env = "SMS_BASE_URL", value_name = "URL", default_value = "http://127.0.0.1:8025/twilio", default_value_if("sms_provider", "msg91", "http://127.0.0.1:8025/msg91"), value_parser = chassis::base_url)]
    pub sms_base_url: Url,
    /// The account at Twilio, its SID `AC…`. MSG91 knows accounts by their authkey.
    #[arg(long, env = "SMS_ACCOUNT", value_name = "ID", value_parser = account)]
    pub sms_account: Option<String>,
    /// The account's token: Twilio's auth token, MSG91's authkey.
    #[arg(long, env = "SMS_TOKEN", value_name = "SECRET", hide_env_values = true, value_parser = chassis::secret)]
    pub sms_token: SecretString,
    /// Who sends: a registered header of up to 11 letters and digits, a number in E.164 form, or a Twilio messaging service `MG…`.
    /// MSG91 takes a header of 6 letters; with a number or a service its flows' own sender stands.
    #[arg(long, env = "SMS_FROM", value_name = "SENDER", default_value = "RAILTK", value_parser = sender)]
    pub sms_from: Sender,
    /// The MSG91 flow that tells of a new booking: its id, and after a colon the id of its DLT template, 19 digits, if MSG91 does not know it.
    #[arg(long, env = "SMS_TEMPLATE_CONFIRMED", value_name = "ID[:DLT]", value_parser = flow)]
    pub sms_template_confirmed: Option<Flow>,
    /// The MSG91 flow that tells of a cancellation.
    #[arg(long, env = "SMS_TEMPLATE_CANCELLED", value_name = "ID[:DLT]", value_parser = flow)]
    pub sms_template_cancelled: Option<Flow>,
    /// The MSG91 flow that tells of a payment; needed only if this channel reads `payment-completed`.
    #[arg(long, env = "SMS_TEMPLATE_PAID", value_name = "ID[:DLT]", value_parser = flow)]
    pub sms_template_paid: Option<Flow>,
    /// Who is asked while the first provider does not work. Never for a message that the first one may have taken.
    #[arg(long, env = "SMS_FAILOVER", value_enum, value_name = "NAME")]
    pub sms_failover: Option<Failover>,
    /// Where the second provider listens.
    #[arg(long, env = "SMS_FAILOVER_BASE_URL", value_name = "URL", value_parser = chassis::base_url)]
    pub sms_failover_base_url: Option<Url>,
    /// The token of the account there: MSG91's authkey.
    #[arg(long, env = "SMS_FAILOVER_TOKEN", value_name = "SECRET", hide_env_values = true, value_parser = chassis::secret)]
    pub sms_failover_token: Option<SecretString>,
}

/// An SMS provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Provider {
    /// Twilio Programmable Messaging, API version 2010-04-01.
    Twilio,
    /// MSG91's Flow API, version 5.
    Msg91,
}

/// A provider that can stand in for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Failover {
    /// MSG91's Flow API, version 5.
    Msg91,
}

/// A text that MSG91 fills.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// MSG91's id of it.
    pub id: String,
    /// The DLT template it was approved as.
    pub dlt_template: Option<String>,
}

/// Who sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sender {
    /// A number in E.164 form.
    Number(String),
    /// An alphanumeric sender; in India the header registered under DLT.
    Header(String),
    /// A Twilio messaging service, which picks the sender itself.
    MessagingService(String),
}

fn account(text: &str) -> Result<String, String> {
    let plain = (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric());
    if plain {
        Ok(text.to_owned())
    } else {
        Err("must be 1 to 64 letters and digits, such as AC followed by 32".to_owned())
    }
}

fn flow(text: &str) -> Result<Flow, String> {
    let (id, dlt) = match text.split_once(':') {
        Some((id, dlt)) => (id, Some(dlt)),
        None => (text, None),
    };
    let plain = (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric());
    let digits = |dlt: &str| dlt.len() == 19 && dlt.bytes().all(|b| b.is_ascii_digit());
    if !plain || !dlt.is_none_or(digits) {
        return Err("must be a flow's id, letters and digits, and may go on with : and the 19 digits of its DLT template".to_owned());
    }
    Ok(Flow {
        id: id.to_owned(),
        dlt_template: dlt.map(str::to_owned),
    })
}

/// Twilio's three kinds of sender: an SID is `MG` and 32 hexadecimal digits, a header 1 to 11 letters, digits and spaces with a letter among them.
fn sender(text: &str) -> Result<Sender, String> {
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let hex = |text: &str| text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if text.strip_prefix("MG").is_some_and(hex) {
        return Ok(Sender::MessagingService(text.to_owned()));
    }
    if let Some(number) = text.strip_prefix('+') {
        let good = (8..=15).contains(&number.len()) && digits(number) && !number.starts_with('0');
        return good
            .then(|| Sender::Number(text.to_owned()))
            .ok_or_else(|| "must be a number in E.164 form such as +911140000000".to_owned());
    }
    let header = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b' ')
        && (1..=11).contains(&text.len())
        && text.bytes().any(|b| b.is_ascii_alphabetic());
    if header {
        Ok(Sender::Header(text.to_owned()))
    } else {
        Err("must be 1 to 11 letters and digits, a number such as +911140000000, or MG and 32 hexadecimal digits".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUIRED: [&str; 2] = ["--sms-account=AC1", "--sms-token=t"];

    fn parse(arguments: &[&str]) -> Result<Settings, String> {
        let arguments = ["sms-notifier"].iter().chain(arguments);
        let defaults = delivery::defaults(events::Channel::Sms);
        chassis::parse_settings_from(defaults, arguments).map_err(|error| error.to_string())
    }

    #[test]
    fn a_bad_setting_is_named() {
        assert!(parse(&REQUIRED).is_ok());
        for (argument, start) in [
            ("--sms-from=", "SMS_FROM: "),
            ("--sms-base-url=api.twilio.com", "SMS_BASE_URL: "),
            ("--sms-provider=pigeon", "SMS_PROVIDER: "),
            ("--sms-token=", "SMS_TOKEN: "),
            ("--sms-failover=pigeon", "SMS_FAILOVER: "),
            ("--sms-failover-token=", "SMS_FAILOVER_TOKEN: "),
            ("--sms-failover-base-url=msg91", "SMS_FAILOVER_BASE_URL: "),
            ("--sms-template-confirmed=a/b", "SMS_TEMPLATE_CONFIRMED: "),
            ("--sms-template-cancelled=f:1", "SMS_TEMPLATE_CANCELLED: "),
            ("--sms-template-paid=", "SMS_TEMPLATE_PAID: "),
        ] {
            let line = parse(&[&REQUIRED[..], &[argument]].concat()).unwrap_err();
            assert!(line.contains(start), "{line}");
            assert!(!line.contains("secret"), "{line}");
        }
    }

    #[test]
    fn a_token_has_no_default() {
        assert!(
            parse(&["--sms-account=AC1"])
                .unwrap_err()
                .contains("SMS_TOKEN: ")
        );
    }

    #[test]
    fn a_sender_is_a_header_a_number_or_a_messaging_service() {
        let service = "MG0123456789abcdef0123456789abcdef";
        assert_eq!(sender("RAILTK"), Ok(Sender::Header("RAILTK".into())));
        assert_eq!(
            sender("+911140000000"),
            Ok(Sender::Number("+911140000000".into()))
        );
        assert_eq!(
            sender(service),
            Ok(Sender::MessagingService(service.into()))
        );
        for bad in [
            "",
            "RAILTICKETS1",
            "123456",
            "+0123456789",
            "+91",
            "RAIL_TK",
            "रेल",
        ] {
            assert!(sender(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_flow_may_name_its_dlt_template() {
        let flow = flow("64f0c2a1:1107160000000012345").unwrap();
        assert_eq!(flow.id, "64f0c2a1");
        assert_eq!(flow.dlt_template.as_deref(), Some("1107160000000012345"));
    }

    #[test]
    fn an_account_cannot_change_the_path_it_stands_in() {
        assert!(account("AC00000000000000000000000000000000").is_ok());
        for bad in ["", "../x", "a b", "a/b"] {
            assert!(account(bad).is_err(), "{bad}");
        }
    }
}
