//! `harkara dlq list`.

use std::collections::BTreeMap;

use bus::{Record, Topics};
use chassis::Failure;
use chrono::SecondsFormat;
use clap::Args;
use events::NoDeadLetter;
use serde::Serialize;

use crate::dlq::letter::{Coordinates, Letter};
use crate::dlq::selection::Selection;
use crate::dlq::shelf::{Entry, Shelf, State};
use crate::dlq::table::table;
use crate::dlq::{Common, limited, now, say};
use crate::privacy::Privacy;

/// Settings of `harkara dlq list`.
#[derive(Args, Debug)]
pub(crate) struct List {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    shown: Shown,
    #[command(flatten)]
    selection: Selection,
}

/// What is shown.
#[derive(Args, Debug)]
struct Shown {
    /// Also those that are replayed or discarded, each with its state.
    #[arg(long)]
    all: bool,
    /// One JSON object a line, without the summary.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pnrs: Pnrs,
}

#[derive(Args, Debug)]
struct Pnrs {
    /// Shows whole PNRs.
    #[arg(long)]
    show_pnr: bool,
}

/// A line of `--json`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    topic: &'a str,
    partition: i32,
    offset: i64,
    at: String,
    channel: &'static str,
    event_type: Option<&'static str>,
    event_id: Option<&'a str>,
    pnr: String,
    class: &'static str,
    stage: &'static str,
    provider: Option<&'a str>,
    provider_status: Option<&'a str>,
    attempts: u32,
    replays: u32,
    error: &'a str,
    state: &'static str,
}

impl List {
    pub(crate) async fn act(&self, topics: &Topics) -> Result<(), Failure> {
        let selection = &self.selection;
        let wanted = |channel, source: &str| selection.covers(channel, source);
        let Shelf { entries, strangers } = Shelf::read(topics, wanted).await?;
        let shown = |entry: &Entry| self.shown.all || entry.state == State::Open;
        let mut entries = selection.of(entries, now(), shown);
        let (total, summary) = (entries.len(), summary(&entries));
        entries.truncate(selection.limit());
        let privacy = if self.shown.pnrs.show_pnr {
            Privacy::Revealed
        } else {
            Privacy::Masked
        };
        if self.shown.json {
            return entries.iter().try_for_each(|entry| line(entry, privacy));
        }
        let rows: Vec<_> = entries.iter().map(|entry| row(entry, privacy)).collect();
        if !rows.is_empty() {
            say(&table(HEAD, &rows))?;
            say("\n")?;
            say(&summary)?;
        }
        say(&closing(entries.len(), total, &strangers))
    }
}

const HEAD: [&str; 15] = [
    "TOPIC", "PART", "OFFSET", "WHEN", "CHANNEL", "EVENT", "PNR", "CLASS", "STAGE", "PROVIDER",
    "STATUS", "ATTEMPTS", "REPLAYS", "STATE", "ERROR",
];

fn row(entry: &Entry, privacy: Privacy) -> [String; 15] {
    let Letter { record, story, .. } = &entry.letter;
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let event = entry.letter.event_type();
    [
        record.topic.clone(),
        record.partition.to_string(),
        record.offset.to_string(),
        at(&entry.letter),
        story.channel.to_string(),
        event.map_or("-", |event| event.as_str()).to_owned(),
        privacy.pnr(entry.letter.pnr().as_ref()),
        story.class.to_string(),
        story.stage.to_string(),
        or_dash(&story.provider),
        or_dash(&story.provider_status),
        story.attempts.to_string(),
        story.replay_count.to_string(),
        entry.state.to_string(),
        story.error.clone(),
    ]
}

fn line(entry: &Entry, privacy: Privacy) -> Result<(), Failure> {
    let Letter { record, story, .. } = &entry.letter;
    let line = Line {
        topic: &record.topic,
        partition: record.partition,
        offset: record.offset,
        at: at(&entry.letter),
        channel: story.channel.as_str(),
        event_type: entry.letter.event_type().map(events::EventType::as_str),
        event_id: entry.letter.event_id().map(events::EventId::as_str),
        pnr: privacy.pnr(entry.letter.pnr().as_ref()),
        class: story.class.as_str(),
        stage: story.stage.as_str(),
        provider: story.provider.as_deref(),
        provider_status: story.provider_status.as_deref(),
        attempts: story.attempts,
        replays: story.replay_count,
        error: &story.error,
        state: entry.state.as_str(),
    };
    let text = serde_json::to_string(&line).map_err(Failure::broken("could not write a line"))?;
    say(&(text + "\n"))
}

fn at(letter: &Letter) -> String {
    letter
        .story
        .last_failure_at
        .to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// How many by topic and class.
fn summary(entries: &[Entry]) -> String {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for Entry { letter, .. } in entries {
        let kind = (letter.record.topic.as_str(), letter.story.class.as_str());
        *counts.entry(kind).or_default() += 1;
    }
    let rows: Vec<_> = counts
        .into_iter()
        .map(|((topic, class), count)| [topic.to_owned(), class.to_owned(), count.to_string()])
        .collect();
    table(["TOPIC", "CLASS", "DEAD LETTERS"], &rows)
}

fn closing(shown: usize, total: usize, strangers: &[(Record, NoDeadLetter)]) -> String {
    let said = match shown {
        0 => "No dead letter fits.\n".to_owned(),
        _ if shown < total => format!("\n{}", limited(shown, total)),
        _ => format!("\n{}.\n", crate::dlq::count(total)),
    };
    let stranger = |text: String, (record, error): &(Record, NoDeadLetter)| {
        let at = Coordinates::of(record);
        format!("{text}{at} is no dead letter: {error}\n")
    };
    strangers.iter().fold(said, stranger)
}
