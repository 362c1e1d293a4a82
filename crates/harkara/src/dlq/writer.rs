//! Writing records one by one, each acknowledged before the next.

use std::fmt;
use std::time::Duration;

use bus::{KafkaSettings, Patience, Producer, PublishError, Published, Record};
use chassis::{Failure, Shutdown};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::dlq::letter::Coordinates;
use crate::dlq::{CLIENT, count, say};

/// How long an acknowledgement is waited for: less than a stop may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A record to write for a dead letter.
#[derive(Debug)]
pub(crate) struct Job {
    /// The dead letter.
    pub(crate) about: Coordinates,
    /// The record; its offset says nothing.
    pub(crate) record: Record,
}

/// What was done.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// What is done to a dead letter: `replayed`.
    verb: &'static str,
    written: usize,
    failed: Option<(Coordinates, PublishError)>,
    left: Vec<Coordinates>,
}

/// Writes records until the first failure or a stop.
pub(crate) struct Writer {
    producer: Producer,
    pace: Interval,
    verb: &'static str,
}

impl Writer {
    /// A writer of at most so many records a second.
    pub(crate) fn new(
        kafka: &KafkaSettings,
        per_second: u32,
        verb: &'static str,
    ) -> Result<Self, Failure> {
        let mut pace = interval(Duration::from_secs(1) / per_second.max(1));
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            producer: Producer::new(kafka, CLIENT, Patience::Within(PATIENCE))?,
            pace,
            verb,
        })
    }

    /// Says each record that was acknowledged, and at the end what was not.
    pub(crate) async fn write(
        mut self,
        jobs: Vec<Job>,
        shutdown: &Shutdown,
    ) -> Result<(), Failure> {
        let bar = progress_bar(jobs.len());
        let mut outcome = Outcome {
            verb: self.verb,
            written: 0,
            failed: None,
            left: Vec::new(),
        };
        let mut jobs = jobs.into_iter();
        for job in jobs.by_ref() {
            if !self.may_go_on(shutdown).await {
                outcome.left.push(job.about);
                break;
            }
            // To the same partition, or to that of the key where the topic has fewer.
            match self.producer.publish_near(job.record.as_new()).await {
                Ok(at) => {
                    let told = told(&job, self.verb, at);
                    bar.suspend(|| say(&told))?;
                    outcome.written += 1;
                    bar.inc(1);
                }
                Err(error) => {
                    outcome.failed = Some((job.about, error));
                    break;
                }
            }
        }
        bar.finish_and_clear();
        outcome.left.extend(jobs.map(|job| job.about));
        say(&outcome.to_string())?;
        outcome
            .failed
            .map_or(Ok(()), |(_, error)| Err(failure(error)))
    }

    async fn may_go_on(&mut self, shutdown: &Shutdown) -> bool {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => false,
            _ = self.pace.tick() => true,
        }
    }
}

/// Drawn on standard error, where that is a terminal.
fn progress_bar(total: usize) -> ProgressBar {
    let bar = ProgressBar::new(u64::try_from(total).unwrap_or(u64::MAX));
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {per_sec} {eta}");
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn told(job: &Job, verb: &str, at: Published) -> String {
    let to = Coordinates {
        topic: job.record.topic.clone(),
        partition: at.partition,
        offset: at.offset,
    };
    format!("{verb} {} by {to}\n", job.about)
}

fn failure(error: PublishError) -> Failure {
    if error.may_be_written() {
        Failure::Unavailable {
            what: "KAFKA_BOOTSTRAP_SERVERS",
            problem: format!("{error} (within {PATIENCE:?})"),
        }
    } else {
        Failure::broken("could not write a record")(error)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = self.verb;
        match &self.failed {
            Some((at, error)) if error.may_be_written() => {
                writeln!(f, "perhaps {verb} {at}: {error}")?;
            }
            Some((at, error)) => writeln!(f, "not {verb} {at}: {error}")?,
            None => {}
        }
        for at in &self.left {
            writeln!(f, "not {verb} {at}")?;
        }
        let total = self.written + self.left.len() + usize::from(self.failed.is_some());
        writeln!(f, "{} of {} {verb}.", self.written, count(total))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_says_what_was_done_and_what_was_not() {
        let at = |offset| Coordinates {
            topic: "t".to_owned(),
            partition: 0,
            offset,
        };
        let outcome = Outcome {
            verb: "replayed",
            written: 2,
            failed: Some((at(2), PublishError::Closed)),
            left: vec![at(3)],
        };
        assert_eq!(
            outcome.to_string(),
            "not replayed t/0/2: the producer was closed\nnot replayed t/0/3\n2 of 4 dead letters replayed.\n"
        );
    }
}
