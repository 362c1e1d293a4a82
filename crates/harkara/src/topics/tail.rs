//! `harkara topics tail`.

use std::io::{ErrorKind, Write as _, stderr, stdout};

use bus::{Begin, Record, Topics};
use chassis::Failure;
use clap::Args;
use events::Pnr;

use crate::dlq::unreachable;
use crate::pnr::pnr_of;
use crate::privacy::{Reveal, written_at};
use crate::topics::Common;

/// Settings of `harkara topics tail`.
#[derive(Args, Debug)]
pub(crate) struct Tail {
    /// Which one.
    #[arg(value_name = "TOPIC")]
    topic: String,
    /// Begins with the oldest record that the topic still has.
    #[arg(long)]
    from_beginning: bool,
    /// Shows the records of this PNR alone.
    #[arg(long)]
    pnr: Option<Pnr>,
    /// Shows each record as one line of JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reveal: Reveal,
    #[command(flatten)]
    pub(crate) common: Common,
}

impl Tail {
    /// Shows what comes for as long as somebody reads it.
    pub(crate) async fn act(&self, topics: &Topics) -> Result<(), Failure> {
        let known = topics.describe().await.map_err(unreachable)?;
        let mut known = known.into_iter();
        let topic = known.find(|topic| topic.name == self.topic);
        let topic = topic.ok_or_else(|| Failure::Setting {
            variable: "TOPIC",
            problem: format!("there is no topic {}", self.topic),
        })?;
        let partitions = topic.partitions;
        let begin = if self.from_beginning {
            Begin::Beginning
        } else {
            Begin::End
        };
        let mut following = topics.follow(topic, begin).await.map_err(unreachable)?;
        let headline = format!("following {}: {partitions} partitions\n", self.topic);
        if !is_heard(stderr().write_all(headline.as_bytes()))? {
            return Ok(());
        }
        while let Some(record) = following.next().await {
            if self.wants(&record) && !is_heard(stdout().write_all(self.shown(&record).as_bytes()))?
            {
                return Ok(());
            }
        }
        Ok(())
    }

    fn wants(&self, record: &Record) -> bool {
        self.pnr.is_none() || self.pnr == pnr_of(record)
    }

    fn shown(&self, record: &Record) -> String {
        let privacy = self.reveal.privacy();
        if self.json {
            return privacy.record_json(record);
        }
        format!(
            "offset     {}\nwritten    {}\n{}\n",
            record.offset,
            written_at(record).as_deref().unwrap_or("-"),
            privacy.record(record)
        )
    }
}

/// Whether the reader of the output is still there.
fn is_heard(written: std::io::Result<()>) -> Result<bool, Failure> {
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(Failure::broken("could not write what was read")(error)),
    }
}
