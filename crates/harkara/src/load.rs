//! `harkara load`: passengers at a fixed rate of arrival, and how long each of them waited.

mod driver;
mod joined;
mod passenger;
mod report;
mod schedule;
mod second;
mod stages;
mod tally;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use chassis::{Failure, ProcessSettings, Shutdown};
use clap::Args;
use url::Url;

use crate::dlq::say;
use crate::load::driver::Pace;
use crate::load::passenger::Habits;
use crate::load::report::Report;
use crate::load::schedule::Schedule;

const EXAMPLES: &str = "\
Examples:
  harkara load --rate 530 --duration 60s
  harkara load --rate 530 --duration 60s --pay 40 --cancel 10 --html load.html --json load.json
  harkara load --rate 200 --step 200 --step-every 15s --duration 3m
  harkara load --clients 64 --duration 30s

The loop is open unless --clients is given: passengers arrive whether or not earlier ones were answered, and each answer is timed from when its request was due, so a slow server is not spared the queue it makes.
Exit status: 0 also after Ctrl-C and whatever was refused or missing, 64 for a bad setting, 69 if the API does not answer, 1 for any other failure.";

/// Settings of `harkara load`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Load {
    /// Where `booking-api` is.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    url: Url,
    /// Where the provider sandbox is, whose ledger says when each message was accepted.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8025")]
    sandbox: Url,
    /// Where the notifiers are, whose metrics tell the stages between.
    #[arg(
        long,
        value_name = "URL",
        value_delimiter = ',',
        default_value = "http://127.0.0.1:8081,http://127.0.0.1:8082,http://127.0.0.1:8083"
    )]
    notifiers: Vec<Url>,
    /// Passengers that arrive a second.
    #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// The rate rises evenly to this one by the end.
    #[arg(long, value_name = "N", conflicts_with = "step", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    ramp_to: Option<u32>,
    /// The rate rises by so much after each `--step-every`; the run ends at the knee: when a step answers fewer than 95 in 100 of its passengers in its time.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    step: Option<u32>,
    /// How long a step is, in whole seconds.
    #[arg(long, value_name = "DURATION", default_value = "10s", requires = "step", value_parser = whole_seconds)]
    step_every: Duration,
    /// A closed loop instead: so many clients, each booking again when it is answered.
    #[arg(long, value_name = "N", conflicts_with_all = ["rate", "ramp_to", "step"], value_parser = clap::value_parser!(u32).range(1..=10_000))]
    clients: Option<u32>,
    /// How long it is measured, in whole seconds.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = whole_seconds)]
    duration: Duration,
    /// How long it runs before that, at the first rate.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = humantime::parse_duration)]
    warm_up: Duration,
    /// Of a hundred bookings, so many are paid.
    #[arg(long, value_name = "N", default_value = "0", value_parser = clap::value_parser!(u8).range(0..=100))]
    pay: u8,
    /// Of a hundred bookings, so many are cancelled, after the payment where there is one.
    #[arg(long, value_name = "N", default_value = "0", value_parser = clap::value_parser!(u8).range(0..=100))]
    cancel: u8,
    /// How long a passenger thinks before paying or cancelling.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = humantime::parse_duration)]
    think: Duration,
    /// How long messages may arrive after the last booking; what did not come by then is missing. A load that is interrupted waits for none.
    #[arg(long, value_name = "DURATION", default_value = "1min", value_parser = humantime::parse_duration)]
    settle: Duration,
    /// Writes everything that was measured.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Writes a page with plots, which needs nothing else to be read.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

impl Load {
    pub(crate) fn run(self) -> ExitCode {
        // A stop still waits for what is in flight, and reports.
        let process = ProcessSettings::of_command("error", Duration::from_mins(1));
        chassis::run_to_exit(&process, |shutdown| self.act(shutdown))
    }

    async fn act(self, shutdown: Shutdown) -> Result<(), Failure> {
        let beginning = async {
            let before = stages::Readings::take(&self.url, &self.notifiers).await;
            (before, joined::accepted_so_far(&self.sandbox).await)
        };
        let beginning = shutdown.run_until_cancelled(beginning).await;
        let Some((before, counted)) = beginning else {
            return Ok(());
        };
        let run = driver::drive(&self, &shutdown).await?;
        let read = joined::join(&self.sandbox, &run, counted, self.settle, &shutdown).await;
        // What was measured is told all the same.
        let (messages, unread) = match read {
            Ok(messages) => (messages, None),
            Err(failure) => (Vec::new(), Some(failure)),
        };
        let after = stages::Readings::take(&self.url, &self.notifiers).await;
        let report = Report::new(&self, &run, messages, stages::between(&before, &after));
        // Files first: whoever reads the table may end the pipe.
        if let Some(file) = &self.json {
            write(file, &report.json()?)?;
        }
        if let Some(file) = &self.html {
            write(file, &report.html()?)?;
        }
        say(&format!("{report}\n"))?;
        unread.map_or(Ok(()), Err)
    }

    fn schedule(&self) -> Schedule {
        match (self.ramp_to, self.step) {
            (Some(to), _) => Schedule::Ramp {
                from: self.rate,
                to,
                over: self.duration,
            },
            (None, Some(by)) => Schedule::Steps {
                from: self.rate,
                by,
                every: self.step_every,
            },
            (None, None) => Schedule::Steady { rate: self.rate },
        }
    }

    fn pace(&self) -> Pace {
        match self.clients {
            Some(clients) => Pace::Closed { clients },
            None => Pace::Open(self.schedule()),
        }
    }

    fn habits(&self) -> Habits {
        Habits {
            pay: self.pay,
            cancel: self.cancel,
            think: self.think,
        }
    }
}

/// A step's passengers are counted by the second.
fn whole_seconds(text: &str) -> Result<Duration, String> {
    let span = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if span.as_secs() > 0 && span.subsec_nanos() == 0 {
        Ok(span)
    } else {
        Err("must be whole seconds, and 1s at least".to_owned())
    }
}

fn write(file: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(file, text).map_err(Failure::broken("could not write the report"))?;
    say(&format!("written: {}\n", file.display()))
}
