//! `harkara dlq show`.

use bus::Topics;
use chassis::Failure;
use clap::Args;
use events::Channel;

use crate::dlq::letter::{Coordinates, NoCoordinates};
use crate::dlq::shelf::Shelf;
use crate::dlq::{Common, say};
use crate::privacy::Reveal;

/// Settings of `harkara dlq show`.
#[derive(Args, Debug)]
pub(crate) struct Show {
    /// Where it is: its topic, partition and offset, with spaces or slashes between them.
    #[arg(value_name = "PLACE", required = true, num_args = 1..=3)]
    at: Vec<String>,
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    reveal: Reveal,
}

impl Show {
    pub(crate) async fn act(&self, topics: &Topics) -> Result<(), Failure> {
        let unusable = |problem: String| Failure::Setting {
            variable: "PLACE",
            problem,
        };
        let at: Coordinates = self
            .at
            .join("/")
            .parse()
            .map_err(|error: NoCoordinates| unusable(error.to_string()))?;
        let (channel, source) = Channel::of_dead_letter_topic(&at.topic)
            .ok_or_else(|| unusable(format!("{} is no dead-letter topic", at.topic)))?;
        let wanted = |one, of: &str| (one, of) == (channel, source);
        let Shelf { entries, strangers } = Shelf::read(topics, wanted).await?;
        let letter = entries
            .into_iter()
            .map(|entry| (entry.state.to_string(), entry.letter.record));
        let strangers = strangers
            .into_iter()
            .map(|(record, error)| (format!("no dead letter: {error}"), record));
        let found = letter
            .chain(strangers)
            .find(|(_, record)| Coordinates::of(record) == at);
        let (state, record) =
            found.ok_or_else(|| unusable(format!("there is no dead letter at {at}")))?;
        say(&format!("{at}  {state}\n\n"))?;
        say(&self.reveal.privacy().record(&record))
    }
}
