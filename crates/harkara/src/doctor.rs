//! `harkara doctor`: what is wrong, and how to mend it.

mod brokers;
mod clock;
mod finding;
mod programs;
mod providers;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use bus::KafkaSettings;
use chassis::{Failure, ProcessSettings, Shutdown};
use clap::Args;
use url::Url;

use crate::databases;
use crate::dlq::{say, unless_stopped};
use crate::doctor::finding::Report;
use crate::doctor::programs::{Program, Subject};

/// How long whoever is asked may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

const EXAMPLES: &str = "\
Examples:
  harkara doctor
  harkara doctor --data-dir /var/lib/harkara
  harkara doctor sms-notifier --json

It reads the settings of the programs from the environment, by their names. DATABASE_URL, SMS_TOKEN and the like are one program's: give it that program's environment and name.
Nothing is changed, no message is sent and no consumer group joined. Mail relays are logged in to where SMTP_URL has a password; the other providers are asked without credentials.
Exit status: 0 if all is well and after Ctrl-C, 1 if something is wrong, 64 for a bad setting.";

/// Settings of `harkara doctor`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Doctor {
    /// Programs whose database and provider are looked at; all four, unless some are named.
    #[arg(value_enum, value_name = "PROGRAM")]
    programs: Vec<Program>,
    /// Where the databases are, unless `DATABASE_URL` names one.
    #[arg(
        long,
        env = "DATA_DIR",
        value_name = "FOLDER",
        default_value = "./data"
    )]
    data_dir: PathBuf,
    /// A `PostgreSQL` where each program has a schema of its own, as `harkara up` has them.
    #[arg(long, value_name = "URL")]
    database: Option<Url>,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    kafka: KafkaSettings,
    /// What is logged, to standard error.
    #[arg(long, env = "LOG", value_name = "FILTER", default_value = "off")]
    log: String,
}

impl Doctor {
    pub(crate) fn run(self) -> ExitCode {
        let process = ProcessSettings::of_command(&self.log, Duration::from_secs(15));
        chassis::run_to_exit(&process, |shutdown| self.act(shutdown))
    }

    async fn act(self, shutdown: Shutdown) -> Result<ExitCode, Failure> {
        let Some(report) = unless_stopped(&shutdown, self.examine()).await? else {
            return Ok(ExitCode::SUCCESS);
        };
        if self.json {
            say(&report.json()?)?;
        } else {
            say(&report.text())?;
        }
        Ok(report.exit_code())
    }

    async fn examine(&self) -> Result<Report, Failure> {
        let subjects = self.subjects()?;
        let mut report = Report::default();
        brokers::examine(&self.kafka, &mut report).await?;
        for subject in &subjects {
            subject.examine(&mut report).await;
        }
        Ok(report)
    }

    fn subjects(&self) -> Result<Vec<Subject>, Failure> {
        let shared = chassis::is_set("DATABASE_URL") && self.database.is_none();
        if shared && self.programs.len() != 1 {
            return Err(Failure::Setting {
                variable: "DATABASE_URL",
                problem: "is one program's: name that program".to_owned(),
            });
        }
        let named = !self.programs.is_empty();
        let programs = if named {
            self.programs.clone()
        } else {
            Program::ALL.to_vec()
        };
        let url = |program: Program| {
            databases::url_of(program.as_str(), self.database.as_ref(), &self.data_dir)
        };
        let subject = |program: Program| Subject {
            program,
            database_url: (!shared).then(|| url(program)),
            named,
        };
        Ok(programs.into_iter().map(subject).collect())
    }
}
