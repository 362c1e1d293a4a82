//! The programs: their settings, databases and providers.

use std::sync::Arc;

use chassis::{Failure, SystemClock, parse_settings_from};
use clap::{Parser, ValueEnum};
use database::{DatabaseSettings, Inspection, Schema, inspect};
use events::Channel;

use crate::doctor::finding::Report;
use crate::doctor::{PATIENCE, clock, providers};

/// A program whose settings are looked at.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Program {
    /// Its database.
    BookingApi,
    /// Its database and its mail relay.
    EmailNotifier,
    /// Its database and its providers.
    SmsNotifier,
    /// Its database and the Cloud API.
    WhatsappNotifier,
}

/// A program, and how it is looked at.
pub(super) struct Subject {
    pub(super) program: Program,
    /// None where the environment has it.
    pub(super) database_url: Option<String>,
    /// Whether the operator named it: then its settings must be complete.
    pub(super) named: bool,
}

/// Credentials that nobody is shown, for looking at a program whose own are not here.
const STAND_INS: [(&str, &str); 4] = [
    ("SMS_ACCOUNT", "--sms-account=AC0"),
    ("SMS_TOKEN", "--sms-token=none"),
    (
        "WHATSAPP_PHONE_NUMBER_ID",
        "--whatsapp-phone-number-id=100000000000000",
    ),
    ("WHATSAPP_TOKEN", "--whatsapp-token=none"),
];

impl Program {
    pub(super) const ALL: [Self; 4] = [
        Self::BookingApi,
        Self::EmailNotifier,
        Self::SmsNotifier,
        Self::WhatsappNotifier,
    ];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::BookingApi => "booking-api",
            Self::EmailNotifier => "email-notifier",
            Self::SmsNotifier => "sms-notifier",
            Self::WhatsappNotifier => "whatsapp-notifier",
        }
    }

    /// The begin of the names of its credentials' variables.
    const fn prefix(self) -> &'static str {
        match self {
            Self::BookingApi | Self::EmailNotifier => "-",
            Self::SmsNotifier => "SMS_",
            Self::WhatsappNotifier => "WHATSAPP_",
        }
    }
}

impl Subject {
    pub(super) async fn examine(&self, report: &mut Report) {
        let examined = match self.program {
            Program::BookingApi => self.booking_api(report).await,
            Program::EmailNotifier => self.email(report).await,
            Program::SmsNotifier => self.sms(report).await,
            Program::WhatsappNotifier => self.whatsapp(report).await,
        };
        if let Err(failure) = examined {
            let mend = "set it as the program has it";
            report
                .of("settings", self.program.as_str())
                .wrong(failure.line(), mend);
        }
    }

    async fn booking_api(&self, report: &mut Report) -> Result<(), Failure> {
        let defaults = booking_api::Settings::DEFAULTS;
        let settings: booking_api::Settings = self.settings(defaults, report)?;
        self.database(&settings.database, &booking_api::SCHEMAS, report)
            .await;
        Ok(())
    }

    async fn email(&self, report: &mut Report) -> Result<(), Failure> {
        let defaults = delivery::defaults(Channel::Email);
        let settings: email_notifier::Settings = self.settings(defaults, report)?;
        let _complete =
            email_notifier::channel(&settings.email, PATIENCE, 1, Arc::new(SystemClock))?;
        self.database(&settings.notifier.database, &delivery::SCHEMAS, report)
            .await;
        providers::mail(&settings.email, report).await;
        Ok(())
    }

    async fn sms(&self, report: &mut Report) -> Result<(), Failure> {
        let defaults = delivery::defaults(Channel::Sms);
        let settings: sms_notifier::Settings = self.settings(defaults, report)?;
        let _complete = sms_notifier::channel(&settings.sms, PATIENCE)?;
        self.database(&settings.notifier.database, &delivery::SCHEMAS, report)
            .await;
        let sms = settings.sms;
        providers::http(&sms.sms_base_url, "SMS_BASE_URL", report).await?;
        if let Some(second) = sms.sms_failover.and(sms.sms_failover_base_url) {
            providers::http(&second, "SMS_FAILOVER_BASE_URL", report).await?;
        }
        Ok(())
    }

    async fn whatsapp(&self, report: &mut Report) -> Result<(), Failure> {
        let defaults = delivery::defaults(Channel::Whatsapp);
        let settings: whatsapp_notifier::Settings = self.settings(defaults, report)?;
        self.database(&settings.notifier.database, &delivery::SCHEMAS, report)
            .await;
        let url = settings.whatsapp.whatsapp_base_url;
        providers::http(&url, "WHATSAPP_BASE_URL", report).await
    }

    /// The program's settings from the environment; what is missing of another's credentials is stood in for, and said.
    fn settings<S: Parser>(
        &self,
        defaults: &[(&'static str, &'static str)],
        report: &mut Report,
    ) -> Result<S, Failure> {
        let name = self.program.as_str();
        let url = self.database_url.as_ref();
        let url = url.map(|url| format!("--database-url={url}"));
        let missing = STAND_INS.into_iter().filter(|(variable, _)| {
            let own = variable.starts_with(self.program.prefix());
            own && !self.named && !chassis::is_set(variable)
        });
        let (missing, stand_ins): (Vec<_>, Vec<_>) = missing.unzip();
        if !missing.is_empty() {
            let found = format!("not set here, not looked at: {}", missing.join(", "));
            report.of("settings", name).note(found);
        }
        let arguments = [name.to_owned()].into_iter().chain(url);
        let arguments = arguments.chain(stand_ins.into_iter().map(str::to_owned));
        parse_settings_from(defaults, arguments).map_err(|error| unusable(&error))
    }

    async fn database(&self, settings: &DatabaseSettings, schemas: &[Schema], report: &mut Report) {
        let name = self.program.as_str();
        let entry = report.of("database", name);
        match inspect(settings, schemas).await {
            Err(failure) => {
                let mend = if settings.database_url.starts_with("sqlite:") {
                    format!("start {name}: it makes the file")
                } else {
                    "start the database, or set DATABASE_URL as the program has it".to_owned()
                };
                entry.wrong(failure.line(), mend);
            }
            Ok(Inspection { applied: 0, .. }) => {
                let mend = format!("start {name}: it makes its tables");
                entry.wrong("answers, and has no tables", mend);
            }
            Ok(Inspection { unknown, .. }) if unknown > 0 => {
                let found = format!("{unknown} migrations of a newer version");
                entry.wrong(found, format!("run the newer {name}"));
            }
            Ok(Inspection { pending, .. }) if pending > 0 => {
                let found = format!("{pending} migrations are not applied");
                entry.wrong(
                    found,
                    format!("start {name} in this version: it applies them"),
                );
            }
            Ok(Inspection { applied, clock, .. }) => {
                entry.ok(format!("answers, {applied} migrations"));
                if let Some(told) = clock {
                    clock::compare(&format!("database of {name}"), told, report);
                }
            }
        }
    }
}

fn unusable(error: &clap::Error) -> Failure {
    Failure::Broken {
        what: "cannot be used",
        source: error
            .to_string()
            .trim_start_matches("error: ")
            .trim_end()
            .into(),
    }
}
