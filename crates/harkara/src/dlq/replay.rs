//! `harkara dlq replay`.

use std::time::Duration;

use bus::{Record, TopicPlan, Topics};
use chassis::{Failure, Shutdown};
use clap::Args;
use events::dead_letter_header as header;

use crate::dlq::facts::Facts;
use crate::dlq::letter::Letter;
use crate::dlq::rehearsal::{message_diff, record_diff, totals, verdicts};
use crate::dlq::selection::Selection;
use crate::dlq::shelf::{Entry, Shelf, State};
use crate::dlq::verdict::{Insistence, Terms, Verdict, judge};
use crate::dlq::writer::{Job, Writer};
use crate::dlq::{Common, limited, now, say, unless_stopped, unreachable};
use crate::privacy::Reveal;

/// Settings of `harkara dlq replay`.
#[derive(Args, Debug)]
pub(crate) struct Replay {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Sends nothing: a verdict for each dead letter, and what would differ from what was sent before.
    #[arg(long)]
    dry_run: bool,
    /// Also what is a duplicate or stale; the notifier judges once more, and suppresses what is no longer true.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    reveal: Reveal,
    /// Dead letters replayed a second at most.
    #[arg(long, value_name = "PER_SECOND", default_value = "50", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rate: u32,
    /// A record whose source is older is expired. The notifier has a `MAX_AGE` of its own: no longer than that.
    #[arg(long, env = "MAX_AGE", value_name = "DURATION", default_value = "24h", value_parser = humantime::parse_duration)]
    max_age: Duration,
    #[command(flatten)]
    selection: Selection,
}

/// A dead letter and what would become of it.
pub(crate) struct Judged {
    pub(crate) entry: Entry,
    pub(crate) verdict: Verdict,
}

impl Replay {
    pub(crate) async fn act(&self, topics: &Topics, shutdown: &Shutdown) -> Result<(), Failure> {
        let gathered = unless_stopped(shutdown, self.gather(topics)).await?;
        let Some((facts, mut judged)) = gathered else {
            return Ok(());
        };
        let total = judged.len();
        judged.truncate(self.reach(&judged));
        if judged.len() < total {
            say(&limited(judged.len(), total))?;
        }
        if judged.is_empty() {
            return say("No open dead letter fits.\n");
        }
        if self.dry_run {
            return self.rehearse(&facts, &judged);
        }
        let (sent, left): (Vec<_>, Vec<_>) = judged
            .into_iter()
            .partition(|one| one.verdict.allows(self.insistence()));
        if !left.is_empty() {
            say("Left out:\n")?;
            say(&verdicts(&left, self.reveal.privacy()))?;
            say("\n")?;
        }
        self.send(topics, &sent, shutdown).await
    }

    /// The dead letters meant, in the order in which they would be told, each judged.
    async fn gather(&self, topics: &Topics) -> Result<(Facts, Vec<Judged>), Failure> {
        let wanted = |channel, source: &str| self.selection.covers(channel, source);
        let held = Shelf::read(topics, wanted).await?;
        let now = now();
        // What is replayed already has a verdict too, but is no candidate.
        let (open, other): (Vec<_>, Vec<_>) = held
            .entries
            .into_iter()
            .partition(|entry| entry.state == State::Open);
        let mut entries = self.selection.of(open, now, |_| true);
        if self.dry_run {
            let replayed = |entry: &Entry| entry.state == State::Replayed;
            entries.extend(self.selection.of(other, now, replayed));
        }
        entries.sort_by_cached_key(|entry| order(&entry.letter));
        let pnrs = entries.iter().filter_map(|entry| entry.letter.pnr());
        let facts = Facts::about(pnrs).read(topics).await?;
        let terms = Terms {
            now,
            max_age: self.max_age,
        };
        let judged = entries.into_iter().map(|entry| Judged {
            verdict: judge(&entry, &facts, terms),
            entry,
        });
        let judged = judged.collect();
        Ok((facts, judged))
    }

    /// How many of these are gone through until as many as `--limit` says are replayed. What is left out counts for nothing: it would stand in the way for ever.
    fn reach(&self, judged: &[Judged]) -> usize {
        let sent = judged
            .iter()
            .enumerate()
            .filter(|(_, one)| one.verdict.allows(self.insistence()));
        let beyond = sent.map(|(at, _)| at).nth(self.selection.limit());
        beyond.unwrap_or(judged.len())
    }

    fn insistence(&self) -> Insistence {
        if self.force {
            Insistence::Forced
        } else {
            Insistence::Judged
        }
    }

    async fn send(
        &self,
        topics: &Topics,
        sent: &[Judged],
        shutdown: &Shutdown,
    ) -> Result<(), Failure> {
        let letters = sent.iter().map(|judged| &judged.entry.letter);
        let mut plans: Vec<_> = letters
            .clone()
            .map(|letter| TopicPlan::dead_letters(letter.replay_topic(), &letter.source))
            .collect();
        plans.sort_by(|a, b| a.name.cmp(&b.name));
        plans.dedup();
        let ensured = unless_stopped(shutdown, async {
            topics.ensure(&plans).await.map_err(unreachable)
        });
        if ensured.await?.is_none() {
            return Ok(());
        }
        let jobs = letters.map(replayed).collect();
        let writer = Writer::new(&self.common.kafka, self.rate, "replayed")?;
        writer.write(jobs, shutdown).await
    }

    fn rehearse(&self, facts: &Facts, judged: &[Judged]) -> Result<(), Failure> {
        let privacy = self.reveal.privacy();
        say(&verdicts(judged, privacy))?;
        let sent = judged
            .iter()
            .filter(|one| one.verdict.allows(self.insistence()));
        for one in sent.clone() {
            say("\n")?;
            say(&record_diff(&one.entry.letter, privacy))?;
            if one.verdict == Verdict::WouldSend {
                say("\n")?;
                say(&message_diff(&one.entry.letter, facts, privacy))?;
            }
        }
        say(&totals(judged, sent.count()))
    }
}

/// By PNR and the order of its events, so that they are told in it.
fn order(letter: &Letter) -> impl Ord + use<> {
    (letter.pnr(), letter.place().rank(), letter.coordinates())
}

/// The record for the replay topic: all as it was, one more replay.
pub(crate) fn replayed(letter: &Letter) -> Job {
    let count = letter.story.replay_count.saturating_add(1).to_string();
    let count = Some(count.into_bytes());
    let mut headers = letter.record.headers.clone();
    let known = headers
        .iter_mut()
        .rfind(|(name, _)| name == header::REPLAY_COUNT);
    match known {
        Some((_, value)) => *value = count,
        None => headers.push((header::REPLAY_COUNT.to_owned(), count)),
    }
    Job {
        about: letter.coordinates(),
        record: Record {
            topic: letter.replay_topic(),
            headers,
            ..letter.record.clone()
        },
    }
}
