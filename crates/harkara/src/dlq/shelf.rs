//! What the dead-letter topics hold, and what of it is already dealt with.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use bus::{Record, Topics};
use chassis::Failure;
use events::{Channel, NoDeadLetter, dead_letter_header as header};

use crate::dlq::letter::{Coordinates, Identity, Letter};
use crate::dlq::unreachable;

/// Whether a dead letter still waits for an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// It does.
    Open,
    /// It was put in the replay topic.
    Replayed,
    /// An operator gave it up.
    Discarded,
}

/// A dead letter and its state.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) letter: Letter,
    pub(crate) state: State,
    /// The newest open letter of the same event and channel, if this is not it.
    pub(crate) newer: Option<Coordinates>,
}

/// What the dead-letter topics hold.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    /// By topic, partition, offset.
    pub(crate) entries: Vec<Entry>,
    /// Records that are no dead letters, and why not.
    pub(crate) strangers: Vec<(Record, NoDeadLetter)>,
}

/// Letters of one event in one channel.
type About = (String, Identity);

#[derive(Default)]
struct Gathered {
    letters: Vec<Letter>,
    strangers: Vec<(Record, NoDeadLetter)>,
    discarded: BTreeSet<Coordinates>,
    /// The highest replay count.
    replays: BTreeMap<About, u32>,
}

impl State {
    /// The word in tables.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Replayed => "replayed",
            Self::Discarded => "discarded",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Shelf {
    /// Reads the dead-letter topics that `wanted` takes by channel and source, and their replay topics.
    pub(crate) async fn read(
        topics: &Topics,
        wanted: impl Fn(Channel, &str) -> bool,
    ) -> Result<Self, Failure> {
        let known = topics.describe().await.map_err(unreachable)?;
        let mut names = Vec::new();
        for topic in known {
            let own = Channel::of_dead_letter_topic(&topic.name);
            if let Some((channel, source)) =
                own.filter(|(channel, source)| wanted(*channel, source))
            {
                names.push(channel.replay_topic(source));
                names.push(topic.name);
            }
        }
        let gathered = topics.scan(names, Gathered::default(), Gathered::take);
        Ok(gathered.await.map_err(unreachable)?.sorted())
    }
}

impl Gathered {
    fn take(&mut self, record: Record) {
        let topic = record.topic.clone();
        if let Some((_, source)) = Channel::of_dead_letter_topic(&topic) {
            self.take_dead(record, source);
            return;
        }
        let source = |channel: &Channel| channel.source_of_replay(&topic);
        if let Some(source) = Channel::ALL.iter().find_map(source) {
            self.take_replayed(&record, source);
        }
    }

    fn take_dead(&mut self, record: Record, source: &str) {
        if let Some(discarded) = discarded(&record) {
            self.discarded.insert(discarded);
            return;
        }
        match Letter::read(&record, source) {
            Ok(letter) => self.letters.push(letter),
            Err(error) => self.strangers.push((record, error)),
        }
    }

    fn take_replayed(&mut self, record: &Record, source: &str) {
        if let Ok(letter) = Letter::read(record, source) {
            let count = self.replays.entry(about(&letter)).or_default();
            *count = letter.story.replay_count.max(*count);
        }
    }

    fn sorted(mut self) -> Shelf {
        self.letters.sort_by_key(Letter::coordinates);
        let mut newest: BTreeMap<About, &Letter> = BTreeMap::new();
        let open = |letter: &&Letter| self.state(letter) == State::Open;
        for letter in self.letters.iter().filter(open) {
            let known = newest.entry(about(letter)).or_insert(letter);
            if age_rank(letter) >= age_rank(known) {
                *known = letter;
            }
        }
        let newest: BTreeMap<_, _> = newest
            .into_iter()
            .map(|(about, letter)| (about, letter.coordinates()))
            .collect();
        let states: Vec<_> = self.letters.iter().map(|one| self.state(one)).collect();
        let entry = |(letter, state): (Letter, State)| {
            let newer = newest.get(&about(&letter));
            Entry {
                newer: newer.filter(|at| **at != letter.coordinates()).cloned(),
                letter,
                state,
            }
        };
        Shelf {
            entries: self.letters.into_iter().zip(states).map(entry).collect(),
            strangers: self.strangers,
        }
    }

    fn state(&self, letter: &Letter) -> State {
        let replays = self.replays.get(&about(letter));
        if self.discarded.contains(&letter.coordinates()) {
            State::Discarded
        } else if replays.is_some_and(|count| *count > letter.story.replay_count) {
            State::Replayed
        } else {
            State::Open
        }
    }
}

fn about(letter: &Letter) -> About {
    (letter.replay_topic(), letter.identity())
}

/// The letter with the most replays behind it is the newest: replaying it settles the others as well.
fn age_rank(letter: &Letter) -> (u32, Option<i64>, i64) {
    let record = &letter.record;
    (
        letter.story.replay_count,
        record.timestamp_millis,
        record.offset,
    )
}

/// The dead letter that this record discards, if it does so in its own partition.
fn discarded(record: &Record) -> Option<Coordinates> {
    let at: Coordinates = record.header(header::DISCARDED)?.parse().ok()?;
    let own = at.topic == record.topic && at.partition == record.partition;
    (own && record.value.is_none()).then_some(at)
}
