//! Settings of the mail relay.

use clap::{Args, Parser};
use delivery::NotifierSettings;
use lettre::message::Mailbox;

use crate::smtp_url::SmtpUrl;

/// Who writes, unless told otherwise.
pub(crate) const MAIL_FROM: &str = "Harkara Rail <tickets@harkara.example>";

/// Tells passengers by e-mail that their booking was made, paid or cancelled.
#[derive(Parser, Clone, Debug)]
#[command(name = "email-notifier", version, about)]
pub struct Settings {
    /// What the three notifiers share.
    #[command(flatten)]
    pub notifier: NotifierSettings,
    /// The relay.
    #[command(flatten)]
    pub email: EmailSettings,
}

/// How the relay is reached, and who writes.
#[derive(Args, Clone, Debug)]
pub struct EmailSettings {
    /// The relay: `smtp://host:25` in the clear, `smtp://user:password@host:587?tls=required` with STARTTLS, `smtps://user:password@host:465` over TLS from the start.
    /// User and password are percent-encoded; a path is the name given in EHLO.
    #[arg(
        long,
        env = "SMTP_URL",
        value_name = "URL",
        default_value = "smtp://127.0.0.1:1025",
        hide_env_values = true
    )]
    pub smtp_url: SmtpUrl,
    /// Who writes, `Name <address>`; the domain also ends every Message-ID.
    #[arg(long, env = "MAIL_FROM", value_name = "MAILBOX", default_value = MAIL_FROM, value_parser = mailbox)]
    pub mail_from: Mailbox,
}

fn mailbox(text: &str) -> Result<Mailbox, String> {
    let mailbox = text.parse::<Mailbox>().ok();
    // The domain is written into Message-IDs, which are ASCII.
    let ascii = mailbox.filter(|mailbox| mailbox.email.domain().is_ascii());
    ascii.ok_or_else(|| "must be a mailbox such as Name <tickets@example.com>".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUIRED: [&str; 0] = [];

    fn parse(arguments: &[&str]) -> Result<Settings, String> {
        let arguments = ["email-notifier"].iter().chain(arguments);
        let defaults = delivery::defaults(events::Channel::Email);
        chassis::parse_settings_from(defaults, arguments).map_err(|error| error.to_string())
    }

    #[test]
    fn a_bad_setting_is_named() {
        assert!(parse(&REQUIRED).is_ok());
        for (argument, start) in [
            ("--smtp-url=ftp://relay.example", "SMTP_URL: "),
            ("--smtp-url=smtp://u:secret@relay.example", "SMTP_URL: "),
            ("--mail-from=nobody", "MAIL_FROM: "),
        ] {
            let line = parse(&[&REQUIRED[..], &[argument]].concat()).unwrap_err();
            assert!(line.contains(start), "{line}");
            assert!(!line.contains("secret"), "{line}");
        }
    }

    #[test]
    fn a_sender_is_a_mailbox() {
        let from = mailbox("Harkara Rail <tickets@harkara.example>").unwrap();
        assert_eq!(from.name.as_deref(), Some("Harkara Rail"));
        assert_eq!(mailbox("tickets@harkara.example").unwrap().name, None);
        for bad in [
            "",
            "Harkara Rail",
            "a@",
            "a@b.example\r\nBcc: c@d.example",
            "a@रेल.example",
        ] {
            assert!(mailbox(bad).is_err(), "{bad}");
        }
    }
}
