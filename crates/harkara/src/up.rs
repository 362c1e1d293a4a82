//! `harkara up`: the whole system in one process.

mod broker;
mod programs;
mod screen;
mod settings;
mod stage;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use ::sandbox::Sandbox;
use chassis::{Failure, ProcessSettings, Shutdown, SystemClock};
use clap::{Args, ValueEnum};

use crate::sandbox::local;
use crate::up::broker::Broker;
use crate::up::programs::Programs;
use crate::up::screen::Screen;
use crate::up::settings::{Credentials, ProgramSettings};
use crate::up::stage::Stage;

const EXAMPLES: &str = "\
Examples:
  harkara up
  harkara up --broker apache
  SMTP_URL=smtps://user:password@mail.example.com harkara up --kafka broker:9092 --database postgres://user:password@db/harkara

Every setting of the programs can be given as an environment variable as well, by the name it has in their --help, but for what each has its own of: HTTP_ADDR, DATABASE_URL, CONSUMER_GROUP and TOPICS.
Of the KAFKA_ variables all count but KAFKA_BOOTSTRAP_SERVERS: what the sandbox tells of another's broker, nobody else tells, so only --kafka names it. The broker in memory takes KAFKA_PARTITIONS alone.";

/// Settings of `harkara up`.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Up {
    /// Databases, the ledger of the sandbox, and Apache Kafka's data.
    #[arg(
        long,
        env = "DATA_DIR",
        value_name = "FOLDER",
        default_value = "./data"
    )]
    data_dir: PathBuf,
    /// Which broker to start.
    #[arg(long, value_enum, default_value = "memory")]
    broker: BrokerKind,
    /// A broker that already runs, instead of starting one.
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "broker", value_parser = bus::servers)]
    kafka: Option<String>,
    /// A `PostgreSQL` that already runs, instead of `SQLite` files; each program makes a schema of its own.
    #[arg(long, value_name = "URL")]
    database: Option<url::Url>,
    /// Takes free ports instead of the usual ones.
    #[arg(long)]
    any_port: bool,
    /// What is logged, to standard error.
    #[arg(long, env = "LOG", value_name = "FILTER", default_value = "warn")]
    log: String,
    /// How long a stop may take.
    #[arg(long, env = "SHUTDOWN_TIMEOUT", value_name = "DURATION", default_value = "15s", value_parser = humantime::parse_duration)]
    shutdown_timeout: Duration,
    /// Where traces go: the base address of an OTLP receiver over HTTP.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL", value_parser = chassis::base_url)]
    otel_exporter_otlp_endpoint: Option<url::Url>,
}

/// The broker that `harkara up` starts.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum BrokerKind {
    /// librdkafka's in-process broker: nothing to install; lives in memory, keeps about 5 MB a partition.
    Memory,
    /// A real Apache Kafka, for Kafka's own tools. Needs Java 17 and Maven.
    Apache,
}

/// What to do about a port that another program has.
fn advised(failure: Failure) -> Failure {
    match failure {
        Failure::Unavailable { what, problem } if problem.contains("could not listen") => {
            let problem = format!("{problem}; --any-port takes free ones");
            Failure::Unavailable { what, problem }
        }
        other
        @ (Failure::Unavailable { .. } | Failure::Setting { .. } | Failure::Broken { .. }) => other,
    }
}

impl Up {
    pub(crate) fn run(self) -> ExitCode {
        let process = ProcessSettings {
            otel_exporter_otlp_endpoint: self.otel_exporter_otlp_endpoint.clone(),
            ..ProcessSettings::of_command(&self.log, self.shutdown_timeout)
        };
        chassis::run_to_exit(&process, async |shutdown| {
            self.serve(shutdown).await.map_err(advised)
        })
    }

    /// The port a part of the system usually has, unless any will do.
    fn port(&self, usual: u16) -> u16 {
        if self.any_port { 0 } else { usual }
    }

    async fn serve(self, shutdown: Shutdown) -> Result<(), Failure> {
        let credentials = Credentials::from_environment_or_chance(&self)?;
        // Whatever is wrong is said before anything starts, where the sandbox's ports are not known yet.
        let usual = (local(1025), local(8025));
        ProgramSettings::parse(&self, usual, &credentials)?;
        let kafka = broker::settings(&self)?;
        let sandbox = Sandbox::start(credentials.sandbox.clone(), Arc::new(SystemClock)).await?;
        let Some(broker) = Broker::start(&self, kafka, &shutdown).await? else {
            return Ok(());
        };
        let providers = (sandbox.smtp_address(), sandbox.http_address());
        let settings = ProgramSettings::parse(&self, providers, &credentials)?;
        let programs = Programs::start(settings, &broker).await?;
        let screen = Screen::new(&programs, &broker, &sandbox);
        screen.show_addresses();
        let metrics = programs.metrics();
        let (api, notifiers) = programs.run(&shutdown);
        let shown = Stage::spawn(&shutdown, |stop| screen.show_messages(stop));
        let providers = Stage::spawn(&shutdown, |stop| sandbox.run(stop));
        shutdown.cancelled().await;
        // In the order of the flow, so that what was booked is told.
        let api = api.stop().await;
        metrics.wait_until_consumed().await;
        let notifiers = notifiers.stop().await;
        let shown = shown.stop().await;
        let providers = providers.stop().await;
        api.and(notifiers).and(shown).and(providers)
    }
}
