//! The judge: what was booked, against what the providers accepted and what the notifiers know.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use events::{Channel, EventType};

/// A booking as its client saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Booked {
    /// Its PNR.
    pub pnr: String,
    /// What was answered 2xx.
    pub events: Vec<EventType>,
}

impl Booked {
    /// A booking that was made, and nothing else happened to it.
    pub fn confirmed(pnr: impl Into<String>) -> Self {
        Self {
            pnr: pnr.into(),
            events: vec![EventType::BookingConfirmed],
        }
    }
}

/// An event of the booking database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BookedEvent {
    /// Identity.
    pub event_id: String,
    /// PNR.
    pub pnr: String,
    /// What happened.
    pub event_type: EventType,
    /// Its place among the events of the PNR.
    pub version: i64,
}

/// A message that a provider accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// By which channel.
    pub channel: Channel,
    /// Of which event.
    pub event_id: String,
    /// About which PNR.
    pub pnr: String,
}

/// Where a record is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
}

/// What a notifier's inbox says of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowState {
    /// Not finished.
    Open,
    /// The provider took it.
    Sent,
    /// The dead-letter topic has it.
    Dead,
    /// Not to be told any more.
    Suppressed,
    /// Too old.
    Expired,
}

/// A row of a notifier's inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Whose inbox.
    pub channel: Channel,
    /// The event.
    pub event_id: String,
    /// What became of it.
    pub state: RowState,
    /// The record it came with.
    pub place: Place,
}

/// A record of a topic that notifiers read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceRecord {
    /// Where it is.
    pub place: Place,
    /// The event, where one can be read.
    pub event_id: Option<String>,
}

/// A record of a dead-letter topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadRecord {
    /// Whose.
    pub channel: Channel,
    /// The record it was made of.
    pub source: Place,
    /// The event, empty where none could be read.
    pub event_id: String,
}

/// How far a notifier's group has come on a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Whose group.
    pub channel: Channel,
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// The offset to read next.
    pub next: i64,
}

/// Everything the judge looks at.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// What clients were answered.
    pub booked: Vec<Booked>,
    /// What the booking database holds.
    pub events: Vec<BookedEvent>,
    /// What the providers accepted, oldest first.
    pub told: Vec<Told>,
    /// What the inboxes hold.
    pub rows: Vec<Row>,
    /// What the topics hold.
    pub records: Vec<SourceRecord>,
    /// What the dead-letter topics hold.
    pub dead_letters: Vec<DeadRecord>,
    /// How far the groups are.
    pub committed: Vec<Committed>,
}

/// What the judge found. Every list is empty when all went well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Messages that were due: events by subscribed channels.
    pub due: usize,
    /// Of these, those that end in a state other than sent, by its name.
    pub untold: BTreeMap<&'static str, usize>,
    /// Partition numbers that hold records of ours.
    pub partitions: usize,
    /// L: neither accepted nor otherwise ended.
    pub lost: Vec<(Channel, String)>,
    /// I: accepted after something newer of the same PNR.
    pub inversions: Vec<(Channel, String)>,
    /// D: acceptances beyond the first.
    pub extra: Vec<(Channel, String)>,
    /// G: records below a committed offset that neither inbox nor dead letters hold.
    pub skipped: Vec<(Channel, Place)>,
    /// U: records not read and rows not finished.
    pub stuck: Vec<(Channel, String)>,
    /// Accepted messages about a booking of ours and an event that never was.
    pub invented: Vec<(Channel, String)>,
}

impl Verdict {
    /// Whether every letter is zero.
    pub fn is_clean(&self) -> bool {
        self.is_clean_but_for_copies() && self.extra.is_empty()
    }

    /// Whether every letter but D is zero: what a hard kill may leave.
    pub fn is_clean_but_for_copies(&self) -> bool {
        let wrong = [&self.lost, &self.inversions, &self.stuck, &self.invented];
        wrong.iter().all(|list| list.is_empty()) && self.skipped.is_empty()
    }

    /// Whether no message that was due ended as a dead letter or as too old.
    pub fn gave_up_nothing(&self) -> bool {
        !["dead", "expired"]
            .iter()
            .any(|end| self.untold.contains_key(end))
    }

    /// Whether everything has ended, well or not.
    pub fn is_quiet(&self) -> bool {
        self.lost.is_empty() && self.stuck.is_empty()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} messages due", self.due)?;
        for (state, count) in &self.untold {
            write!(f, ", {count} {state}")?;
        }
        let lists = [
            ("L", &self.lost),
            ("I", &self.inversions),
            ("D", &self.extra),
            ("U", &self.stuck),
            ("invented", &self.invented),
        ];
        for (letter, list) in lists {
            show(f, letter, list)?;
        }
        show(f, "G", &self.skipped)
    }
}

fn show<T: fmt::Debug>(f: &mut fmt::Formatter<'_>, letter: &str, list: &[T]) -> fmt::Result {
    const EXAMPLES: usize = 3;
    write!(f, "; {letter}={}", list.len())?;
    for example in list.iter().take(EXAMPLES) {
        write!(f, " {example:?}")?;
    }
    Ok(())
}

impl Evidence {
    /// Judges every letter.
    pub fn judge(&self) -> Verdict {
        let own: BTreeMap<_, _> = self
            .events
            .iter()
            .map(|event| (event.event_id.as_str(), event))
            .collect();
        let mut verdict = Verdict {
            skipped: self.skipped(),
            stuck: self.stuck(&own),
            partitions: self.partitions(&own),
            ..Verdict::default()
        };
        self.judge_losses(&mut verdict);
        self.judge_ledger(&own, &mut verdict);
        verdict
    }

    /// L: of what the database holds, and of what a client was promised and the database does not hold.
    fn judge_losses(&self, verdict: &mut Verdict) {
        let told: BTreeSet<_> = self
            .told
            .iter()
            .map(|told| (told.channel, told.event_id.as_str()))
            .collect();
        let ended = self.ended();
        let due = self.events.iter().flat_map(|event| {
            subscribers(event.event_type).map(|channel| (channel, event.event_id.as_str()))
        });
        for key in due {
            verdict.due += 1;
            match ended.get(&key) {
                _ if told.contains(&key) => {}
                Some(state) => *verdict.untold.entry(state).or_default() += 1,
                None => verdict.lost.push((key.0, key.1.to_owned())),
            }
        }
        let kept: BTreeSet<_> = self
            .events
            .iter()
            .map(|event| (event.pnr.as_str(), event.event_type))
            .collect();
        for booked in &self.booked {
            let gone = booked.events.iter().copied();
            for event_type in gone.filter(|event| !kept.contains(&(booked.pnr.as_str(), *event))) {
                let promised = format!("a {event_type} that was answered 2xx and is nowhere");
                let channels = subscribers(event_type).map(|channel| (channel, promised.clone()));
                verdict.lost.extend(channels);
            }
        }
    }

    /// Events that ended otherwise than by being told. A dead row counts only when the dead-letter topic has it.
    fn ended(&self) -> BTreeMap<(Channel, &str), &'static str> {
        let dead: BTreeSet<_> = self
            .dead_letters
            .iter()
            .map(|dead| (dead.channel, dead.event_id.as_str()))
            .collect();
        let state = |row: &Row| match row.state {
            RowState::Suppressed => Some("suppressed"),
            RowState::Expired => Some("expired"),
            RowState::Dead => dead
                .contains(&(row.channel, row.event_id.as_str()))
                .then_some("dead"),
            // Whether it was sent is for the ledger to say.
            RowState::Open | RowState::Sent => None,
        };
        let rows = self.rows.iter();
        rows.filter_map(|row| Some(((row.channel, row.event_id.as_str()), state(row)?)))
            .collect()
    }

    /// I, D, and what was invented.
    fn judge_ledger(&self, own: &BTreeMap<&str, &BookedEvent>, verdict: &mut Verdict) {
        let pnrs: BTreeSet<_> = self.events.iter().map(|event| event.pnr.as_str()).collect();
        let mut seen = BTreeSet::new();
        let mut newest: BTreeMap<(Channel, &str), i64> = BTreeMap::new();
        for told in &self.told {
            let named = (told.channel, told.event_id.clone());
            let Some(event) = own.get(told.event_id.as_str()) else {
                let ours = pnrs.contains(told.pnr.as_str());
                verdict.invented.extend(ours.then_some(named));
                continue;
            };
            if !seen.insert((told.channel, told.event_id.as_str())) {
                verdict.extra.push(named.clone());
            }
            let newest = newest.entry((told.channel, &event.pnr)).or_default();
            // A receipt is always sent, so it may come after the cancellation.
            if event.version < *newest && event.event_type != EventType::PaymentCompleted {
                verdict.inversions.push(named);
            }
            *newest = event.version.max(*newest);
        }
    }

    /// G: the records below a committed offset that are nowhere.
    fn skipped(&self) -> Vec<(Channel, Place)> {
        let stored: BTreeSet<_> = self
            .rows
            .iter()
            .map(|row| (row.channel, row.event_id.as_str()))
            .collect();
        let mut places: BTreeSet<_> = self
            .rows
            .iter()
            .map(|row| (row.channel, &row.place))
            .collect();
        places.extend(
            self.dead_letters
                .iter()
                .map(|dead| (dead.channel, &dead.source)),
        );
        let mut skipped = Vec::new();
        for (channel, record) in self.read_or_not(Read::Yes) {
            let known = record.event_id.as_deref();
            let stored = known.is_some_and(|id| stored.contains(&(channel, id)));
            if !stored && !places.contains(&(channel, &record.place)) {
                skipped.push((channel, record.place.clone()));
            }
        }
        skipped
    }

    /// U: our records that were not read, our rows that were not finished.
    fn stuck(&self, own: &BTreeMap<&str, &BookedEvent>) -> Vec<(Channel, String)> {
        let is_own = |event_id: &str| own.contains_key(event_id);
        let rows = self.rows.iter();
        let open = rows.filter(|row| row.state == RowState::Open && is_own(&row.event_id));
        let open = open.map(|row| (row.channel, format!("row of {}", row.event_id)));
        let unread = self.read_or_not(Read::No);
        let unread = unread
            .filter(|(_, record)| record.event_id.as_deref().is_some_and(is_own))
            .map(|(channel, record)| (channel, format!("record at {:?}", record.place)));
        open.chain(unread).collect()
    }

    fn partitions(&self, own: &BTreeMap<&str, &BookedEvent>) -> usize {
        let ours = self.records.iter().filter(|record| {
            let id = record.event_id.as_deref();
            id.is_some_and(|id| own.contains_key(id))
        });
        let numbers: BTreeSet<_> = ours.map(|record| record.place.partition).collect();
        numbers.len()
    }

    /// Records of each group that its committed offset is past, or not.
    fn read_or_not(&self, wanted: Read) -> impl Iterator<Item = (Channel, &SourceRecord)> {
        self.committed.iter().flat_map(move |group| {
            let of_partition = self.records.iter().filter(|record| {
                record.place.topic == group.topic && record.place.partition == group.partition
            });
            let side = of_partition
                .filter(move |record| (record.place.offset < group.next) == (wanted == Read::Yes));
            side.map(|record| (group.channel, record))
        })
    }
}

/// Which side of a committed offset.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Read {
    Yes,
    No,
}

/// The channels that tell of an event.
fn subscribers(event: EventType) -> impl Iterator<Item = Channel> {
    Channel::ALL
        .into_iter()
        .filter(move |channel| channel.events().contains(&event))
}
