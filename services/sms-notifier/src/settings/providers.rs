//! The settings of each provider that is used, complete.

use chassis::Failure;
use secrecy::SecretString;
use url::Url;

use super::{Failover, Flow, Provider, Sender, SmsSettings};

/// Whom messages are handed to, in order.
#[derive(Clone, Debug)]
pub(crate) enum Providers {
    /// Twilio alone.
    Twilio(TwilioSettings),
    /// MSG91 alone.
    Msg91(Msg91Settings),
    /// Twilio, and MSG91 when Twilio does not work.
    Failover(TwilioSettings, Msg91Settings),
}

/// What Twilio needs.
#[derive(Clone, Debug)]
pub(crate) struct TwilioSettings {
    pub(crate) base_url: Url,
    pub(crate) account: String,
    pub(crate) token: SecretString,
    pub(crate) sender: Sender,
}

/// What MSG91 needs.
#[derive(Clone, Debug)]
pub(crate) struct Msg91Settings {
    pub(crate) base_url: Url,
    pub(crate) authkey: SecretString,
    /// Without it the flow's own sender stands.
    pub(crate) sender: Option<String>,
    pub(crate) confirmed: Flow,
    pub(crate) cancelled: Flow,
    pub(crate) paid: Option<Flow>,
}

impl SmsSettings {
    /// The providers that the settings ask for.
    ///
    /// # Errors
    /// [`Failure::Setting`] for the first setting that is missing, or that one of them cannot use.
    pub(crate) fn providers(&self) -> Result<Providers, Failure> {
        match (self.sms_provider, self.sms_failover) {
            (Provider::Twilio, None) => Ok(Providers::Twilio(self.twilio()?)),
            (Provider::Twilio, Some(Failover::Msg91)) => {
                let base_url = &self.sms_failover_base_url;
                let base_url = required("SMS_FAILOVER_BASE_URL", base_url.as_ref())?;
                let authkey = &self.sms_failover_token;
                let authkey = required("SMS_FAILOVER_TOKEN", authkey.as_ref())?;
                let msg91 = self.msg91(base_url, authkey)?;
                Ok(Providers::Failover(self.twilio()?, msg91))
            }
            (Provider::Msg91, None) => {
                let msg91 = self.msg91(self.sms_base_url.clone(), self.sms_token.clone())?;
                Ok(Providers::Msg91(msg91))
            }
            (Provider::Msg91, Some(Failover::Msg91)) => Err(Failure::Setting {
                variable: "SMS_FAILOVER",
                problem: "must be another provider than SMS_PROVIDER".to_owned(),
            }),
        }
    }

    fn twilio(&self) -> Result<TwilioSettings, Failure> {
        Ok(TwilioSettings {
            base_url: self.sms_base_url.clone(),
            account: required("SMS_ACCOUNT", self.sms_account.as_ref())?,
            token: self.sms_token.clone(),
            sender: self.sms_from.clone(),
        })
    }

    fn msg91(&self, base_url: Url, authkey: SecretString) -> Result<Msg91Settings, Failure> {
        let confirmed = self.sms_template_confirmed.as_ref();
        let cancelled = self.sms_template_cancelled.as_ref();
        Ok(Msg91Settings {
            base_url,
            authkey,
            sender: dlt_header(&self.sms_from)?,
            confirmed: required("SMS_TEMPLATE_CONFIRMED", confirmed)?,
            cancelled: required("SMS_TEMPLATE_CANCELLED", cancelled)?,
            paid: self.sms_template_paid.clone(),
        })
    }
}

fn required<T: Clone>(variable: &'static str, value: Option<&T>) -> Result<T, Failure> {
    value.cloned().ok_or_else(|| Failure::Setting {
        variable,
        problem: "is required with these SMS_PROVIDER and SMS_FAILOVER and has no default"
            .to_owned(),
    })
}

/// MSG91, error 203: a sender is 6 letters. Twilio's numbers and services are none of its.
fn dlt_header(sender: &Sender) -> Result<Option<String>, Failure> {
    match sender {
        Sender::Number(_) | Sender::MessagingService(_) => Ok(None),
        Sender::Header(header)
            if header.len() == 6 && header.bytes().all(|b| b.is_ascii_alphabetic()) =>
        {
            Ok(Some(header.clone()))
        }
        Sender::Header(_) => Err(Failure::Setting {
            variable: "SMS_FROM",
            problem: "must be a header of 6 letters, or no header, for MSG91".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Example {
        #[command(flatten)]
        sms: SmsSettings,
    }

    const FAILOVER: [&str; 5] = [
        "--sms-account=AC1",
        "--sms-failover-base-url=http://127.0.0.1:8025/msg91",
        "--sms-failover-token=f",
        "--sms-template-confirmed=f1",
        "--sms-template-cancelled=f2",
    ];

    fn providers(arguments: &[&str]) -> Result<Providers, String> {
        let arguments = ["example", "--sms-token=t"].iter().chain(arguments);
        let settings = Example::parse_from(arguments).sms;
        settings.providers().map_err(|failure| failure.line())
    }

    #[test]
    fn fail_over_is_off_unless_it_is_asked_for() {
        let twilio = providers(&FAILOVER).unwrap();
        assert!(matches!(twilio, Providers::Twilio(_)));
        let both = providers(&[&FAILOVER[..], &["--sms-failover=msg91"]].concat()).unwrap();
        let Providers::Failover(twilio, msg91) = both else {
            panic!("{both:?}")
        };
        assert_eq!(twilio.base_url.path(), "/twilio");
        assert_eq!(msg91.base_url.path(), "/msg91");
        assert_eq!(msg91.sender.as_deref(), Some("RAILTK"));
    }

    #[test]
    fn what_the_chosen_providers_need_is_named_when_it_is_missing() {
        for missing in 0..FAILOVER.len() {
            let mut arguments = FAILOVER.to_vec();
            let name = arguments.remove(missing).split('=').next().unwrap();
            let variable = name.trim_start_matches("--").replace('-', "_");
            arguments.push("--sms-failover=msg91");
            let line = providers(&arguments).unwrap_err();
            let start = format!("{}: is required", variable.to_uppercase());
            assert!(line.starts_with(&start), "{line}");
        }
    }

    #[test]
    fn msg91_alone_needs_no_account_and_listens_elsewhere_in_the_sandbox() {
        let arguments = [&FAILOVER[3..], &["--sms-provider=msg91"]].concat();
        let Providers::Msg91(msg91) = providers(&arguments).unwrap() else {
            panic!("another provider")
        };
        assert_eq!(msg91.base_url.path(), "/msg91");
        assert_eq!(msg91.confirmed.id, "f1");
        let twice = [
            &FAILOVER[..],
            &["--sms-provider=msg91", "--sms-failover=msg91"],
        ]
        .concat();
        let line = providers(&twice).unwrap_err();
        assert!(line.starts_with("SMS_FAILOVER: "), "{line}");
    }

    #[test]
    fn msg91_takes_a_header_of_six_letters_or_the_flow_s_own() {
        let from = |sender: &str| {
            let sender = format!("--sms-from={sender}");
            providers(&[&FAILOVER[..], &["--sms-failover=msg91", &sender]].concat())
        };
        let line = from("Rail 24").unwrap_err();
        assert!(line.starts_with("SMS_FROM: "), "{line}");
        let Ok(Providers::Failover(_, msg91)) = from("+911140000000") else {
            panic!("not both")
        };
        assert_eq!(msg91.sender, None);
    }
}
