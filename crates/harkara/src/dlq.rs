//! `harkara dlq`: what could not be delivered.

mod diff;
mod discard;
mod facts;
mod letter;
mod list;
mod rehearsal;
mod replay;
mod selection;
mod shelf;
mod show;
pub(crate) mod table;
mod verdict;
mod writer;

use std::io::{ErrorKind, Write as _, stdout};
use std::process::ExitCode;
use std::time::Duration;

use bus::{KafkaSettings, TopicError, Topics};
use chassis::{Clock as _, Failure, ProcessSettings, Shutdown, SystemClock};
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};

/// The program's name at the broker.
const CLIENT: &str = "harkara-dlq";

const EXAMPLES: &str = "\
Examples:
  harkara dlq list
  harkara dlq list --channel sms --class permanent --since 2h
  harkara dlq list --all --json
  harkara dlq show booking-confirmed.email.dlq 0 12
  harkara dlq replay --topic booking-confirmed --dry-run
  harkara dlq replay --channel email --since 2027-01-10T09:00:00+05:30 --rate 20
  harkara dlq discard --class undecodable --until 24h --yes

A dead letter is open until it is replayed or discarded. Nothing is deleted: the topics' retention does that.
Exit status: 0 also after Ctrl-C, 64 for a bad setting, 69 if the broker does not answer, 1 for any other failure.";

/// Settings of `harkara dlq`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Dlq {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// Lists open dead letters, and how many there are by topic and class.
    #[command(after_help = EXAMPLES)]
    List(list::List),
    /// Shows one dead letter: its state, headers and value, personal data hidden.
    #[command(after_help = EXAMPLES)]
    Show(show::Show),
    /// Puts open dead letters where their channel alone reads them again, in the order of each PNR, those that it would send.
    ///
    /// Each is acknowledged by every in-sync replica before the next. The first failure ends it; Ctrl-C finishes the one in flight.
    #[command(after_help = EXAMPLES)]
    Replay(replay::Replay),
    /// Marks open dead letters as dealt with, without telling anybody.
    #[command(after_help = EXAMPLES)]
    Discard(discard::Discard),
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

impl Dlq {
    pub(crate) fn run(self) -> ExitCode {
        let process = ProcessSettings::of_command(&self.common().log, Duration::from_secs(15));
        chassis::run_to_exit(&process, |shutdown| self.act(shutdown))
    }

    fn common(&self) -> &Common {
        match &self.action {
            Action::List(list) => &list.common,
            Action::Show(show) => &show.common,
            Action::Replay(replay) => &replay.common,
            Action::Discard(discard) => &discard.common,
        }
    }

    async fn act(self, shutdown: Shutdown) -> Result<(), Failure> {
        let topics = Topics::new(&self.common().kafka, CLIENT)?;
        match &self.action {
            Action::List(list) => unless_stopped(&shutdown, list.act(&topics)).await?,
            Action::Show(show) => unless_stopped(&shutdown, show.act(&topics)).await?,
            Action::Replay(replay) => Some(replay.act(&topics, &shutdown).await?),
            Action::Discard(discard) => Some(discard.act(&topics, &shutdown).await?),
        };
        Ok(())
    }
}

/// What comes of work that a stop may cut short, for it changes nothing.
pub(crate) async fn unless_stopped<T>(
    shutdown: &Shutdown,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<Option<T>, Failure> {
    tokio::select! {
        done = work => done.map(Some),
        () = shutdown.cancelled() => {
            say("Stopped; nothing was changed.\n")?;
            Ok(None)
        }
    }
}

pub(crate) fn unreachable(error: TopicError) -> Failure {
    match error {
        TopicError::Unreachable(_) | TopicError::Unconnected { .. } => Failure::Unavailable {
            what: "KAFKA_BOOTSTRAP_SERVERS",
            problem: error.to_string(),
        },
        TopicError::Refused { .. } | TopicError::Interrupted(_) => {
            Failure::broken("could not use the topics")(error)
        }
    }
}

fn now() -> DateTime<Utc> {
    SystemClock.now()
}

/// `1 dead letter`, `2 dead letters`.
fn count(letters: usize) -> String {
    let plural = if letters == 1 { "" } else { "s" };
    format!("{letters} dead letter{plural}")
}

/// What `--limit` left.
pub(crate) fn limited(these: usize, total: usize) -> String {
    format!("{these} of {total} dead letters, by --limit.\n")
}

/// Writes to standard output. That nobody reads on is no failure: a replay goes on.
pub(crate) fn say(text: &str) -> Result<(), Failure> {
    let mut out = stdout();
    let said = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match said {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::broken("could not write to standard output")(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
