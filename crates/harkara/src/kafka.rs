//! `harkara kafka`: a real Apache Kafka on this machine.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use broker::apache::{self, BrokerError, BrokerState, ClusterSize, Options, StopOutcome};
use bus::{KafkaSettings, Topics};
use chassis::{Failure, ProcessSettings, Shutdown};
use clap::{Args, Subcommand};

/// A broker has 20 s to stop by itself, and 10 s to end when it is killed.
const STOP: Duration = Duration::from_secs(35);

const NOT_STARTED: &str = "could not start Apache Kafka";

const NOTES: &str = "\
Ctrl-C during a start stops again what it started, and during a stop waits for its end.
--brokers and --port are flags alone: BROKERS and PORT are names that other programs and platforms use.
Exit status: 0 also after Ctrl-C, 64 for a bad setting, 69 for a port that another program has, 1 for any other failure.";

/// Settings of `harkara kafka`.
#[derive(Args, Debug)]
#[command(after_help = NOTES)]
pub(crate) struct Kafka {
    #[command(subcommand)]
    action: Action,
    /// Everything lives in its folder `kafka`: libraries, scripts, records, logs.
    #[arg(
        long,
        env = "DATA_DIR",
        value_name = "FOLDER",
        default_value = "./data",
        global = true
    )]
    data_dir: PathBuf,
    /// Brokers, 1 or 3. The first start in a data directory decides.
    #[arg(long, default_value = "1", global = true)]
    brokers: ClusterSize,
    /// Port of the first broker; a second and third have the next ones.
    #[arg(long, default_value = "9092", global = true)]
    port: u16,
}

#[derive(Subcommand, Clone, Copy, Debug)]
enum Action {
    /// Starts the brokers and waits until they answer. Needs Java 17 and Maven.
    Start,
    /// Stops the brokers; their data stays.
    Stop,
    /// Says which brokers run.
    Status,
}

impl Kafka {
    pub(crate) fn run(self) -> ExitCode {
        let process = ProcessSettings::of_command("warn", STOP);
        chassis::run_to_exit(&process, |shutdown| self.act(shutdown))
    }

    async fn act(self, shutdown: Shutdown) -> Result<(), Failure> {
        let options = Options {
            size: self.brokers,
            port: self.port,
            ..Options::new(&self.data_dir)
        };
        match self.action {
            Action::Start => start(&options, &shutdown).await,
            Action::Stop => stop(&options).await,
            Action::Status => status(&options),
        }
    }
}

/// Starts a cluster, telling where it is.
async fn start(options: &Options, shutdown: &Shutdown) -> Result<(), Failure> {
    let Some(cluster) = start_apache(options, shutdown).await? else {
        println!("Stopped; no broker runs that did not run before.");
        return Ok(());
    };
    match cluster.started() {
        [] => println!("Apache Kafka already runs: {}", cluster.bootstrap()),
        started => println!(
            "Apache Kafka runs, brokers started: {}: {}",
            started.len(),
            cluster.bootstrap()
        ),
    }
    println!("Its tools are in {}", cluster.bin_dir().display());
    Ok(())
}

/// Starts Apache Kafka and waits until every broker answers a client. `None` if that was interrupted: then no broker runs that did not run before.
pub(crate) async fn start_apache(
    options: &Options,
    shutdown: &Shutdown,
) -> Result<Option<apache::Cluster>, Failure> {
    match apache::start_unless(shutdown.cancelled(), options, answers).await {
        Ok(cluster) => Ok(Some(cluster)),
        Err(BrokerError::Interrupted) => Ok(None),
        Err(error) => Err(failed(NOT_STARTED, error)),
    }
}

/// The failure of this command, of whose settings some are at fault by themselves.
fn failed(what: &'static str, error: BrokerError) -> Failure {
    let variable = match &error {
        BrokerError::UnusablePath { .. } => "DATA_DIR",
        BrokerError::OtherSize { .. } | BrokerError::NoSuchBroker { .. } => "--brokers",
        BrokerError::PortOutOfRange { .. } | BrokerError::RunsOnOtherPort { .. } => "--port",
        BrokerError::PortTaken { .. } => {
            return Failure::Unavailable {
                what: "--port",
                problem: error.to_string(),
            };
        }
        BrokerError::Tools(_)
        | BrokerError::File { .. }
        | BrokerError::DamagedIdentity { .. }
        | BrokerError::StartUnderWay { .. }
        | BrokerError::NeverStarted { .. }
        | BrokerError::Run { .. }
        | BrokerError::Jars { .. }
        | BrokerError::Format { .. }
        | BrokerError::Ended { .. }
        | BrokerError::Silent { .. }
        | BrokerError::Interrupted
        | BrokerError::Signal { .. }
        | BrokerError::DoesNotEnd { .. } => return Failure::broken(what)(error),
    };
    Failure::Setting {
        variable,
        problem: error.to_string(),
    }
}

/// Whether a broker tells a client about its cluster.
async fn answers(address: String) -> bool {
    match Topics::new(&KafkaSettings::local(address), "harkara") {
        Ok(topics) => topics.describe().await.is_ok(),
        Err(_) => false,
    }
}

async fn stop(options: &Options) -> Result<(), Failure> {
    let stopped = apache::stop(options).await;
    let stopped = stopped.map_err(|error| failed("could not stop Apache Kafka", error))?;
    for (number, outcome) in stopped {
        let said = match outcome {
            StopOutcome::WasNotRunning => "did not run",
            StopOutcome::Stopped => "stopped",
            StopOutcome::Killed => "did not stop within 20 s and was killed",
        };
        println!("broker {number} {said}");
    }
    Ok(())
}

fn status(options: &Options) -> Result<(), Failure> {
    let brokers = apache::status(options).map_err(|error| failed("could not look", error))?;
    for broker in brokers {
        let said = match broker.state {
            BrokerState::Running { pid } => format!("runs, process {pid}"),
            BrokerState::Stopped => "is stopped".to_owned(),
            BrokerState::Ended => "ended by itself".to_owned(),
        };
        println!("broker {} at {} {said}", broker.number, broker.address);
    }
    Ok(())
}
