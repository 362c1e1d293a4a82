//! `harkara topics`: how the topics lie on the brokers, how they should, and what is in them.

mod survey;
mod tail;

use std::process::ExitCode;
use std::time::Duration;

use bus::{KafkaSettings, Topics};
use chassis::{Failure, ProcessSettings, Shutdown};
use clap::{Args, Subcommand};

use crate::dlq::{say, unless_stopped, unreachable};
pub(crate) use crate::topics::survey::{Found, Survey};

/// The program's name at the broker.
const CLIENT: &str = "harkara-topics";

/// Something differs: neither success nor failure.
const DIFFERS: u8 = 2;

const EXAMPLES: &str = "\
Examples:
  harkara topics describe
  KAFKA_PARTITIONS=12 KAFKA_REPLICATION_FACTOR=3 harkara topics apply
  harkara topics tail booking-confirmed --from-beginning
  harkara topics tail notification-status --pnr 2412345678 --json

Give it the KAFKA_ variables that the programs have. A topic that exists is never changed: what differs is said, and Kafka's own kafka-configs.sh and kafka-topics.sh change it.
More partitions for a topic move the keys of its records: stop the programs, let every group read to the end, then change the three event topics alike.
Exit status: 0 if nothing differs and after Ctrl-C, 2 if something does, 64 for a bad setting, 69 if the broker does not answer, 1 for any other failure.";

/// Settings of `harkara topics`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TopicsCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Makes the topics that are missing, and says how the others differ from the settings.
    #[command(after_help = EXAMPLES)]
    Apply(Common),
    /// Shows partitions, replicas and settings of every topic of the system, and what differs from the settings.
    #[command(after_help = EXAMPLES)]
    Describe(Common),
    /// Shows the records of a topic as they come, without joining a group: partition, offset, key, headers, value, personal data hidden.
    ///
    /// Partitions that are added meanwhile are not read.
    #[command(after_help = EXAMPLES)]
    Tail(tail::Tail),
}

impl Action {
    const fn common(&self) -> &Common {
        match self {
            Self::Apply(common) | Self::Describe(common) => common,
            Self::Tail(tail) => &tail.common,
        }
    }
}

/// Settings of every action.
#[derive(Args, Debug)]
struct Common {
    #[command(flatten)]
    kafka: KafkaSettings,
    /// What is logged, to standard error.
    #[arg(long, env = "LOG", value_name = "FILTER", default_value = "error")]
    log: String,
}

impl TopicsCommand {
    pub(crate) fn run(self) -> ExitCode {
        let common = self.action.common();
        let process = ProcessSettings::of_command(&common.log, Duration::from_secs(15));
        chassis::run_to_exit(&process, |shutdown| self.act(shutdown))
    }

    async fn act(self, shutdown: Shutdown) -> Result<ExitCode, Failure> {
        let topics = Topics::new(&self.action.common().kafka, CLIENT)?;
        match &self.action {
            Action::Apply(_) => apply(&topics, &shutdown).await,
            Action::Describe(_) => {
                let described = unless_stopped(&shutdown, describe(&topics)).await?;
                Ok(described.unwrap_or(ExitCode::SUCCESS))
            }
            Action::Tail(tail) => {
                // It has no other end.
                let followed = shutdown.run_until_cancelled(tail.act(&topics)).await;
                followed.unwrap_or(Ok(())).map(|()| ExitCode::SUCCESS)
            }
        }
    }
}

/// A stop that comes before anything is made cuts it short; after that it goes on to its end.
async fn apply(topics: &Topics, shutdown: &Shutdown) -> Result<ExitCode, Failure> {
    let surveying = async { Survey::make(topics).await.map_err(unreachable) };
    let Some(survey) = unless_stopped(shutdown, surveying).await? else {
        return Ok(ExitCode::SUCCESS);
    };
    let missing = survey.missing();
    topics.create(&missing).await.map_err(unreachable)?;
    for topic in &missing {
        let (partitions, replicas) = (topic.partitions, topic.replication_factor);
        say(&format!(
            "made {}: {partitions} partitions, {replicas} replicas\n",
            topic.name
        ))?;
    }
    for (name, differences) in survey.differing() {
        say(&format!("{name} differs: {differences}\n"))?;
    }
    let (made, differ) = (missing.len(), survey.differing().count());
    say(&format!(
        "{made} made, {differ} differ, {} as they should be.\n",
        survey.topics.len() - made - differ
    ))?;
    Ok(status(differ))
}

async fn describe(topics: &Topics) -> Result<ExitCode, Failure> {
    let survey = Survey::make(topics).await.map_err(unreachable)?;
    say(&survey.table())?;
    if !survey.tells_settings {
        say(
            "\nNot every topic's settings are told: this broker tells none, or does not let this user describe them (DescribeConfigs).\n",
        )?;
    }
    Ok(status(survey.missing().len() + survey.differing().count()))
}

fn status(differing: usize) -> ExitCode {
    if differing == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(DIFFERS)
    }
}
