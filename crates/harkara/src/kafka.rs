//! `harkara kafka`: a real Apache Kafka on this machine.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use broker::apache::{self, BrokerState, ClusterSize, Options, StopOutcome};
use bus::{KafkaSettings, Topics};
use chassis::{Failure, ProcessSettings};
use clap::{Args, Subcommand};

/// Settings of `harkara kafka`.
#[derive(Args, Debug)]
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
        let process = ProcessSettings::of_command("warn", Duration::from_secs(15));
        chassis::run_to_exit(&process, |_| self.act())
    }

    async fn act(self) -> Result<(), Failure> {
        let options = Options {
            size: self.brokers,
            port: self.port,
            ..Options::new(&self.data_dir)
        };
        match self.action {
            Action::Start => start(&options).await,
            Action::Stop => stop(&options).await,
            Action::Status => status(&options),
        }
    }
}

/// Starts a cluster, telling where it is.
async fn start(options: &Options) -> Result<(), Failure> {
    let cluster = start_apache(options).await?;
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

/// Starts Apache Kafka and waits until every broker answers a client.
pub(crate) async fn start_apache(options: &Options) -> Result<apache::Cluster, Failure> {
    apache::start(options, answers)
        .await
        .map_err(Failure::broken("could not start Apache Kafka"))
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
    for (number, outcome) in stopped.map_err(Failure::broken("could not stop Apache Kafka"))? {
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
    let brokers = apache::status(options).map_err(Failure::broken("could not look"))?;
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
