//! What a replay would do, in words.

use std::collections::BTreeMap;

use crate::dlq::count;
use crate::dlq::diff::diff;
use crate::dlq::facts::Facts;
use crate::dlq::letter::Letter;
use crate::dlq::replay::{Judged, replayed};
use crate::dlq::table::table;
use crate::dlq::writer::Job;
use crate::privacy::{Privacy, printable};

/// A line for each dead letter: what would become of it, and why.
pub(crate) fn verdicts(judged: &[Judged], privacy: Privacy) -> String {
    let row = |one: &Judged| {
        let letter = &one.entry.letter;
        let event = letter.event_type().map_or("-", |event| event.as_str());
        [
            letter.coordinates().to_string(),
            privacy.pnr(letter.pnr().as_ref()),
            event.to_owned(),
            letter.story.class.to_string(),
            one.verdict.as_str().to_owned(),
            one.verdict.to_string(),
        ]
    };
    let rows: Vec<_> = judged.iter().map(row).collect();
    let head = ["DEAD LETTER", "PNR", "EVENT", "CLASS", "VERDICT", "WHY"];
    table(head, &rows)
}

/// How many of each verdict.
pub(crate) fn totals(judged: &[Judged], sent: usize) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for one in judged {
        *counts.entry(one.verdict.as_str()).or_default() += 1;
    }
    let counts: Vec<_> = counts
        .into_iter()
        .map(|(verdict, count)| format!("{count} {verdict}"))
        .collect();
    let total = count(judged.len());
    format!(
        "\n{total}: {}. {sent} would be replayed; nothing was sent.\n",
        counts.join(", ")
    )
}

/// The dead letter against its replay.
pub(crate) fn record_diff(letter: &Letter, privacy: Privacy) -> String {
    let Job { about, record } = replayed(letter);
    diff(
        (
            &format!("dead letter {about}"),
            &privacy.record(&letter.record),
        ),
        (
            &format!("replay {}", record.topic),
            &privacy.record(&record),
        ),
    )
}

/// The message that would be sent against the last one that was.
pub(crate) fn message_diff(letter: &Letter, facts: &Facts, privacy: Privacy) -> String {
    let channel = letter.story.channel;
    let (before, old) = last_message(letter, facts, privacy);
    let new = letter.event.as_ref().ok();
    let new = new.and_then(|event| privacy.message(channel, event).ok());
    let after = format!("{channel} message that would be sent");
    let (old, new) = (printable(&old), printable(&new.unwrap_or_default()));
    diff((&before, &old), (&after, &new))
}

/// What the channel sent last to the letter's PNR, and its text.
fn last_message(letter: &Letter, facts: &Facts, privacy: Privacy) -> (String, String) {
    let channel = letter.story.channel;
    let pnr = letter.pnr();
    let Some(last) = pnr.and_then(|pnr| facts.last_sent(channel, &pnr)) else {
        return (format!("no {channel} message yet"), String::new());
    };
    let event = facts.event(&last.event_id);
    let text = event.and_then(|event| privacy.message(channel, event).ok());
    let known = if text.is_some() {
        ""
    } else {
        ", no longer in its topic"
    };
    let id = &last.event_id;
    let name = format!("{channel} message sent last, event {id}{known}");
    (name, text.unwrap_or_default())
}
