//! The settings of the four programs, wired to one sandbox.

use std::net::SocketAddr;
use std::sync::Arc;

use ::sandbox::SandboxSettings;
use chassis::{Failure, SystemClock, chance, parse_settings_from};
use clap::Parser;

use crate::databases;
use crate::sandbox::local;
use crate::up::Up;

/// What the sandbox takes and the notifiers give.
#[derive(Debug)]
pub(crate) struct Credentials {
    pub(crate) sandbox: SandboxSettings,
    arguments: Vec<String>,
}

#[derive(Parser, Debug)]
struct SandboxProgram {
    #[command(flatten)]
    sandbox: SandboxSettings,
}

impl Credentials {
    /// Credentials of real providers come from the environment; those of the sandbox live as long as this process.
    pub(crate) fn from_environment_or_chance(up: &Up) -> Result<Self, Failure> {
        let defaults: [(&'static str, String); 7] = [
            ("SMS_ACCOUNT", format!("AC{}", chance::token())),
            ("SMS_TOKEN", chance::token()),
            ("SMS_FAILOVER_TOKEN", chance::token()),
            ("SMS_TEMPLATE_CONFIRMED", chance::token()),
            ("SMS_TEMPLATE_CANCELLED", chance::token()),
            (
                "WHATSAPP_PHONE_NUMBER_ID",
                chance::number_in(100_000_000..999_999_999).to_string(),
            ),
            ("WHATSAPP_TOKEN", chance::token()),
        ];
        let missing = defaults
            .into_iter()
            .filter(|(name, _)| !chassis::is_set(name));
        let arguments: Vec<_> = missing
            .flat_map(|(name, value)| {
                [
                    format!("--{}", name.to_lowercase().replace('_', "-")),
                    value,
                ]
            })
            .collect();
        let mut own = vec![
            "sandbox".to_owned(),
            "--sandbox-smtp-addr".to_owned(),
            local(up.port(1025)).to_string(),
            "--sandbox-http-addr".to_owned(),
            local(up.port(8025)).to_string(),
            "--sandbox-data-dir".to_owned(),
            up.data_dir.display().to_string(),
        ];
        own.extend(arguments.iter().cloned());
        let program: SandboxProgram =
            parse_settings_from(&[], own).map_err(|error| unusable(&error))?;
        Ok(Self {
            sandbox: program.sandbox,
            arguments,
        })
    }

    fn of(&self, prefix: &str) -> Vec<String> {
        let pairs = self.arguments.chunks(2);
        pairs
            .filter(|pair| pair.first().is_some_and(|name| name.starts_with(prefix)))
            .flatten()
            .cloned()
            .collect()
    }
}

/// A setting of the programs that cannot be used.
pub(crate) fn unusable(error: &clap::Error) -> Failure {
    Failure::Setting {
        variable: "settings",
        problem: error
            .to_string()
            .trim_start_matches("error: ")
            .trim_end()
            .to_owned(),
    }
}

/// One program's own arguments.
struct Arguments<'a> {
    up: &'a Up,
    name: &'static str,
    port: u16,
    defaults: &'static [(&'static str, &'static str)],
}

impl Arguments<'_> {
    /// What each program has its own of is not for the environment to say: one group for four programs would tell each record on one channel.
    fn parse<S: Parser>(&self, more: Vec<String>) -> Result<S, Failure> {
        let (name, up) = (self.name, self.up);
        let mut list = vec![
            name.to_owned(),
            "--http-addr".to_owned(),
            local(up.port(self.port)).to_string(),
            "--database-url".to_owned(),
            databases::url_of(name, up.database.as_ref(), &up.data_dir),
        ];
        let own = self.defaults.iter();
        for (name, value) in own.filter(|(name, _)| matches!(*name, "consumer_group" | "topics")) {
            list.push(format!("--{}={value}", name.replace('_', "-")));
        }
        list.extend(more);
        parse_settings_from(self.defaults, list).map_err(|error| unusable(&error))
    }
}

/// Where the sandbox plays the providers: its SMTP and its HTTP address.
pub(crate) type Providers = (SocketAddr, SocketAddr);

/// The settings of the four programs.
pub(crate) struct ProgramSettings {
    pub(crate) api: booking_api::Settings,
    pub(crate) email: email_notifier::Settings,
    pub(crate) sms: sms_notifier::Settings,
    pub(crate) whatsapp: whatsapp_notifier::Settings,
}

impl ProgramSettings {
    /// Reads them, and looks whether they go together. Starts nothing.
    pub(crate) fn parse(
        up: &Up,
        providers: Providers,
        credentials: &Credentials,
    ) -> Result<Self, Failure> {
        let settings = Self {
            api: api(up)?,
            email: email(up, providers)?,
            sms: sms(up, providers, credentials)?,
            whatsapp: whatsapp(up, providers, credentials)?,
        };
        settings.check()?;
        Ok(settings)
    }

    fn check(&self) -> Result<(), Failure> {
        let Self {
            email,
            sms,
            whatsapp,
            ..
        } = self;
        let own = &email.notifier.delivery;
        let (timeout, concurrency) = (own.provider_timeout, own.concurrency);
        let clock = Arc::new(SystemClock);
        let channel = email_notifier::channel(&email.email, timeout, concurrency, clock)?;
        own.check(&channel)?;
        let own = &sms.notifier.delivery;
        own.check(&sms_notifier::channel(&sms.sms, own.provider_timeout)?)?;
        let own = &whatsapp.notifier.delivery;
        let channel = whatsapp_notifier::channel(&whatsapp.whatsapp, own.provider_timeout)?;
        own.check(&channel)
    }
}

fn api(up: &Up) -> Result<booking_api::Settings, Failure> {
    let arguments = Arguments {
        up,
        name: "booking-api",
        port: 8080,
        defaults: &[("consumer_group", "booking-api")],
    };
    arguments.parse(vec![])
}

fn email(up: &Up, (smtp, _): Providers) -> Result<email_notifier::Settings, Failure> {
    let arguments = Arguments {
        up,
        name: "email-notifier",
        port: 8081,
        defaults: delivery::defaults(events::Channel::Email),
    };
    arguments.parse(or_sandbox(
        "SMTP_URL",
        "--smtp-url",
        format!("smtp://{smtp}"),
    ))
}

fn sms(
    up: &Up,
    (_, http): Providers,
    credentials: &Credentials,
) -> Result<sms_notifier::Settings, Failure> {
    let arguments = Arguments {
        up,
        name: "sms-notifier",
        port: 8082,
        defaults: delivery::defaults(events::Channel::Sms),
    };
    let mut own = or_sandbox(
        "SMS_FAILOVER_BASE_URL",
        "--sms-failover-base-url",
        format!("http://{http}/msg91"),
    );
    own.extend(credentials.of("--sms"));
    let mut settings: sms_notifier::Settings = arguments.parse(own)?;
    // The path of the default depends on SMS_PROVIDER; the port here, on `up`.
    if !chassis::is_set("SMS_BASE_URL") {
        let moved = settings.sms.sms_base_url.set_port(Some(http.port()));
        moved.map_err(|()| Failure::Setting {
            variable: "SMS_BASE_URL",
            problem: "takes no port".to_owned(),
        })?;
    }
    Ok(settings)
}

fn whatsapp(
    up: &Up,
    (_, http): Providers,
    credentials: &Credentials,
) -> Result<whatsapp_notifier::Settings, Failure> {
    let arguments = Arguments {
        up,
        name: "whatsapp-notifier",
        port: 8083,
        defaults: delivery::defaults(events::Channel::Whatsapp),
    };
    let mut own = or_sandbox(
        "WHATSAPP_BASE_URL",
        "--whatsapp-base-url",
        format!("http://{http}/whatsapp"),
    );
    own.extend(credentials.of("--whatsapp"));
    arguments.parse(own)
}

/// Unless the environment names a real provider, the sandbox is one.
fn or_sandbox(variable: &str, flag: &str, url: String) -> Vec<String> {
    if chassis::is_set(variable) {
        vec![]
    } else {
        vec![flag.to_owned(), url]
    }
}
