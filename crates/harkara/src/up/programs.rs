//! The four programs, wired to one broker and one sandbox.

use std::net::SocketAddr;
use std::time::Duration;

use ::sandbox::{Sandbox, SandboxSettings};
use booking_api::{BookingApi, Sources};
use chassis::metrics::Metrics;
use chassis::{Failure, Shutdown, Tasks, chance, parse_settings_from};
use clap::Parser;
use delivery::{Channel, Notifier, NotifierSettings};
use tokio::time::Instant;

use crate::sandbox::local;
use crate::up::Up;
use crate::up::broker::Broker;
use crate::up::stage::Stage;

/// How long the notifiers may take to read what was published last.
const CATCH_UP_LIMIT: Duration = Duration::from_secs(5);

/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(20);

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

/// The programs, ready to run.
pub(crate) struct Programs {
    api: BookingApi,
    email: Box<dyn Runnable>,
    sms: Box<dyn Runnable>,
    whatsapp: Box<dyn Runnable>,
}

/// A notifier of any channel.
trait Runnable: Send {
    fn address(&self) -> SocketAddr;
    fn metrics(&self) -> Metrics;
    fn spawn(self: Box<Self>, tasks: &mut Tasks, stop: Shutdown);
}

impl<C: Channel> Runnable for Notifier<C> {
    fn address(&self) -> SocketAddr {
        self.http_address()
    }

    fn metrics(&self) -> Metrics {
        Self::metrics(self).clone()
    }

    fn spawn(self: Box<Self>, tasks: &mut Tasks, stop: Shutdown) {
        tasks.spawn(self.run(stop));
    }
}

/// One program's own arguments.
struct Arguments<'a> {
    up: &'a Up,
    name: &'static str,
    port: u16,
}

impl Arguments<'_> {
    fn list(&self, more: Vec<String>) -> Vec<String> {
        let mut list = vec![
            self.name.to_owned(),
            "--http-addr".to_owned(),
            local(self.up.port(self.port)).to_string(),
            "--database-url".to_owned(),
            self.database_url(),
        ];
        list.extend(more);
        list
    }

    fn database_url(&self) -> String {
        match &self.up.database {
            Some(url) => {
                let mut url = url.clone();
                let schema = self.name.replace('-', "_");
                url.query_pairs_mut()
                    .append_pair("options[search_path]", &schema);
                url.into()
            }
            None => format!("sqlite://{}/{}.db", self.up.data_dir.display(), self.name),
        }
    }
}

impl Programs {
    pub(crate) async fn start(
        up: &Up,
        broker: &Broker,
        sandbox: &Sandbox,
        credentials: &Credentials,
    ) -> Result<Self, Failure> {
        let arguments = |name, port| Arguments { up, name, port };
        let mut api: booking_api::Settings =
            parse_settings_from(&[], arguments("booking-api", 8080).list(vec![]))
                .map_err(|error| unusable(&error))?;
        api.kafka = broker.settings.clone();

        let smtp = or_sandbox(
            "SMTP_URL",
            "--smtp-url",
            format!("smtp://{}", sandbox.smtp_address()),
        );
        let mut email: email_notifier::Settings = parse_settings_from(
            delivery::defaults(events::Channel::Email),
            arguments("email-notifier", 8081).list(smtp),
        )
        .map_err(|error| unusable(&error))?;
        at(broker, &mut email.notifier);

        let base = format!("http://{}", sandbox.http_address());
        let mut own = or_sandbox(
            "SMS_FAILOVER_BASE_URL",
            "--sms-failover-base-url",
            format!("{base}/msg91"),
        );
        own.extend(credentials.of("--sms"));
        let mut sms: sms_notifier::Settings = parse_settings_from(
            delivery::defaults(events::Channel::Sms),
            arguments("sms-notifier", 8082).list(own),
        )
        .map_err(|error| unusable(&error))?;
        at(broker, &mut sms.notifier);
        // The path of the default depends on SMS_PROVIDER; the port here, on `up`.
        if !chassis::is_set("SMS_BASE_URL") {
            let port = sandbox.http_address().port();
            let moved = sms.sms.sms_base_url.set_port(Some(port));
            moved.map_err(|()| Failure::Setting {
                variable: "SMS_BASE_URL",
                problem: "takes no port".to_owned(),
            })?;
        }

        let mut own = or_sandbox(
            "WHATSAPP_BASE_URL",
            "--whatsapp-base-url",
            format!("{base}/whatsapp"),
        );
        own.extend(credentials.of("--whatsapp"));
        let mut whatsapp: whatsapp_notifier::Settings = parse_settings_from(
            delivery::defaults(events::Channel::Whatsapp),
            arguments("whatsapp-notifier", 8083).list(own),
        )
        .map_err(|error| unusable(&error))?;
        at(broker, &mut whatsapp.notifier);

        Ok(Self {
            api: BookingApi::start(&api, Sources::default()).await?,
            email: Box::new(email_notifier::start(email).await?),
            sms: Box::new(sms_notifier::start(sms).await?),
            whatsapp: Box::new(whatsapp_notifier::start(whatsapp).await?),
        })
    }

    pub(crate) fn api_address(&self) -> SocketAddr {
        self.api.http_address()
    }

    /// Names and addresses of the notifiers' ports.
    pub(crate) fn notifiers(&self) -> [(&'static str, SocketAddr); 3] {
        [
            ("email-notifier", self.email.address()),
            ("sms-notifier", self.sms.address()),
            ("whatsapp-notifier", self.whatsapp.address()),
        ]
    }

    pub(crate) fn metrics(&self) -> FlowMetrics {
        let notifiers = [&self.email, &self.sms, &self.whatsapp].map(|notifier| notifier.metrics());
        FlowMetrics {
            api: self.api.metrics().clone(),
            notifiers,
        }
    }

    /// Runs them: the API as one stage, the notifiers as the next.
    pub(crate) fn run(self, whole: &Shutdown) -> (Stage, Stage) {
        let Self {
            api,
            email,
            sms,
            whatsapp,
        } = self;
        let api = Stage::spawn(whole, |stop| api.run(stop));
        let notifiers = Stage::spawn(whole, |stop| {
            let mut tasks = Tasks::new(stop.clone());
            for notifier in [email, sms, whatsapp] {
                notifier.spawn(&mut tasks, stop.clone());
            }
            tasks.finish()
        });
        (api, notifiers)
    }
}

/// Unless the environment names a real provider, the sandbox is one.
fn or_sandbox(variable: &str, flag: &str, url: String) -> Vec<String> {
    if chassis::is_set(variable) {
        vec![]
    } else {
        vec![flag.to_owned(), url]
    }
}

fn at(broker: &Broker, settings: &mut NotifierSettings) {
    settings.kafka = broker.settings.clone();
}

/// What was published and what was read, by the programs' own counts.
pub(crate) struct FlowMetrics {
    api: Metrics,
    notifiers: [Metrics; 3],
}

impl FlowMetrics {
    /// A broker in memory forgets what nobody read: waits a little for the notifiers.
    pub(crate) async fn wait_until_consumed(&self) {
        let deadline = Instant::now() + CATCH_UP_LIMIT;
        while !self.all_consumed() && Instant::now() < deadline {
            tokio::time::sleep(LOOK).await;
        }
    }

    fn all_consumed(&self) -> bool {
        let published = self.api.encode();
        events::Channel::ALL
            .iter()
            .zip(&self.notifiers)
            .all(|(channel, notifier)| {
                let read = notifier.encode();
                channel.events().iter().all(|event| {
                    let topic = format!("topic=\"{}\"", event.topic());
                    let sent = count(&published, "booking_events_published_total{", &topic);
                    count(&read, "notifier_events_consumed_total{", &topic) >= sent
                })
            })
    }
}

/// The sum of a counter's lines that hold a label.
fn count(text: &str, name: &str, label: &str) -> u64 {
    let lines = text
        .lines()
        .filter(|line| line.starts_with(name) && line.contains(label));
    lines
        .filter_map(|line| line.rsplit(' ').next())
        .filter_map(|number| number.parse::<u64>().ok())
        .sum()
}
