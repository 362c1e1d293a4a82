//! `harkara dlq discard`.

use std::io::{IsTerminal, stdin};

use bus::{Record, Topics};
use chassis::{Failure, Shutdown};
use clap::Args;
use events::dead_letter_header as header;

use crate::dlq::letter::Letter;
use crate::dlq::selection::Selection;
use crate::dlq::shelf::{Entry, Shelf, State};
use crate::dlq::writer::{Job, Writer};
use crate::dlq::{Common, count, limited, now, say, unless_stopped};

/// Marks a second: nobody but this command reads them.
const PER_SECOND: u32 = 1000;

/// Settings of `harkara dlq discard`.
#[derive(Args, Debug)]
pub(crate) struct Discard {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Does not ask.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    selection: Selection,
}

impl Discard {
    pub(crate) async fn act(&self, topics: &Topics, shutdown: &Shutdown) -> Result<(), Failure> {
        let wanted = |channel, source: &str| self.selection.covers(channel, source);
        let Some(held) = unless_stopped(shutdown, Shelf::read(topics, wanted)).await? else {
            return Ok(());
        };
        let open = |entry: &Entry| entry.state == State::Open;
        let mut entries = self.selection.of(held.entries, now(), open);
        let total = entries.len();
        entries.truncate(self.selection.limit());
        if entries.is_empty() {
            return say("No open dead letter fits.\n");
        }
        if entries.len() < total {
            say(&limited(entries.len(), total))?;
        }
        let confirmed = unless_stopped(shutdown, self.confirm(entries.len())).await?;
        if confirmed != Some(true) {
            return say("Nothing is discarded.\n");
        }
        let jobs = entries.iter().map(|entry| mark(&entry.letter)).collect();
        let writer = Writer::new(&self.common.kafka, PER_SECOND, "discarded")?;
        writer.write(jobs, shutdown).await
    }

    async fn confirm(&self, letters: usize) -> Result<bool, Failure> {
        if self.yes {
            return Ok(true);
        }
        if !stdin().is_terminal() {
            return Err(Failure::Setting {
                variable: "--yes",
                problem: format!(
                    "is required to discard {} where there is no terminal to ask at",
                    count(letters)
                ),
            });
        }
        say(&format!("Discard {}? [y/N] ", count(letters)))?;
        let answer = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            stdin().read_line(&mut line).map(|_| line)
        });
        let answer = answer.await.map_err(Failure::broken("could not ask"))?;
        let answer = answer.map_err(Failure::broken("could not ask"))?;
        Ok(answer.trim().eq_ignore_ascii_case("y"))
    }
}

/// A record beside the dead letter that says it is dealt with. Nothing is deleted: the topic's retention does that.
fn mark(letter: &Letter) -> Job {
    let about = letter.coordinates();
    let event_id = letter.event_id().map(ToString::to_string);
    let headers = [
        (header::DISCARDED, about.to_string()),
        (header::EVENT_ID, event_id.unwrap_or_default()),
    ];
    let record = Record {
        topic: about.topic.clone(),
        partition: about.partition,
        key: letter.record.key.clone(),
        headers: headers
            .map(|(name, value)| (name.to_owned(), Some(value.into_bytes())))
            .to_vec(),
        ..Record::default()
    };
    Job { about, record }
}
