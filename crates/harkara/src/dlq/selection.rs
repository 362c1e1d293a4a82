//! Which dead letters are meant.

use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::Args;
use events::{Channel, DeadLetterClass, EventId, EventType, Pnr};

use crate::dlq::letter::Letter;
use crate::dlq::shelf::Entry;

/// Which dead letters are meant: those that fit every filter given.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Which dead letters")]
pub(crate) struct Selection {
    /// Of this source topic: booking-confirmed, payment-completed or booking-cancelled.
    #[arg(long, value_name = "TOPIC", value_parser = source_topic)]
    topic: Option<EventType>,
    /// Of this channel: email, sms or whatsapp.
    #[arg(long)]
    channel: Option<Channel>,
    /// Of this PNR.
    #[arg(long)]
    pnr: Option<Pnr>,
    /// Of this event.
    #[arg(long, value_name = "ID")]
    event_id: Option<EventId>,
    /// Of this class: UNDECODABLE, INVALID, PERMANENT, EXHAUSTED or AMBIGUOUS.
    #[arg(long, value_parser = class)]
    class: Option<DeadLetterClass>,
    /// Given up at this time or later: RFC 3339, or how long ago (2h).
    #[arg(long, value_name = "WHEN", value_parser = when)]
    since: Option<When>,
    /// Given up before this time: RFC 3339, or how long ago (30min).
    #[arg(long, value_name = "WHEN", value_parser = when)]
    until: Option<When>,
    /// At most this many; of `replay`, so many replayed.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
}

/// A time as an operator says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    At(DateTime<Utc>),
    Ago(Duration),
}

impl Selection {
    /// Whether dead letters of this channel and source topic may be meant.
    pub(crate) fn covers(&self, channel: Channel, source: &str) -> bool {
        self.channel.is_none_or(|wanted| wanted == channel)
            && self.topic.is_none_or(|wanted| wanted.topic() == source)
    }

    /// Those that fit every filter but the limit, of those that `also` takes.
    pub(crate) fn of(
        &self,
        entries: Vec<Entry>,
        now: DateTime<Utc>,
        also: impl Fn(&Entry) -> bool,
    ) -> Vec<Entry> {
        let meant = |entry: &Entry| self.takes(&entry.letter, now) && also(entry);
        entries.into_iter().filter(meant).collect()
    }

    pub(crate) fn limit(&self) -> usize {
        let limit = self.limit.map(usize::try_from);
        limit.and_then(Result::ok).unwrap_or(usize::MAX)
    }

    fn takes(&self, letter: &Letter, now: DateTime<Utc>) -> bool {
        let at = letter.story.last_failure_at;
        self.covers(letter.story.channel, &letter.source)
            && same(self.pnr.as_ref(), || {
                letter.pnr().as_ref() == self.pnr.as_ref()
            })
            && same(self.event_id.as_ref(), || {
                letter.event_id() == self.event_id.as_ref()
            })
            && self.class.is_none_or(|class| class == letter.story.class)
            && self.since.is_none_or(|since| at >= since.before(now))
            && self.until.is_none_or(|until| at < until.before(now))
    }
}

/// A filter that is not given takes everything.
fn same<T>(wanted: Option<&T>, fits: impl FnOnce() -> bool) -> bool {
    wanted.is_none() || fits()
}

impl When {
    fn before(self, now: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::At(at) => at,
            Self::Ago(ago) => chrono::TimeDelta::from_std(ago)
                .ok()
                .and_then(|ago| now.checked_sub_signed(ago))
                .unwrap_or(DateTime::<Utc>::MIN_UTC),
        }
    }
}

fn when(text: &str) -> Result<When, String> {
    let at = DateTime::parse_from_rfc3339(text).map(|at| When::At(at.to_utc()));
    at.or_else(|_| humantime::parse_duration(text).map(When::Ago))
        .map_err(|_unsaid| {
            "must be a time such as 2027-01-10T09:00:00+05:30, or how long ago, such as 2h"
                .to_owned()
        })
}

fn class(text: &str) -> Result<DeadLetterClass, events::UnknownWord> {
    text.to_ascii_uppercase().parse()
}

fn source_topic(text: &str) -> Result<EventType, String> {
    let known = EventType::ALL.map(EventType::topic).join(", ");
    EventType::of_topic(text).ok_or_else(|| format!("must be one of {known}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_said_in_two_ways() {
        let now: DateTime<Utc> = "2027-01-10T09:00:00Z".parse().unwrap();
        let at = |text| when(text).unwrap().before(now).to_rfc3339();
        assert_eq!(at("2h"), "2027-01-10T07:00:00+00:00");
        assert_eq!(at("2027-01-10T09:00:00+05:30"), "2027-01-10T03:30:00+00:00");
        assert!(when("yesterday").is_err());
    }
}
