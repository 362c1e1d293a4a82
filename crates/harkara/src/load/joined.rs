//! When each message of each passenger was accepted, by the sandbox's ledger.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chassis::{Failure, Shutdown};
use chrono::{DateTime, Utc};
use events::{Channel, EventType};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::sleep;
use url::Url;

use crate::load::driver::Run;
use crate::load::tally::{Summary, Times};

/// How often the sandbox is asked how much has arrived.
const LOOK: Duration = Duration::from_millis(500);

/// When nothing arrives for so long, it is looked at what is missing.
const STILL: Duration = Duration::from_secs(15);

/// How long the sandbox may take to list everything.
const PATIENCE: Duration = Duration::from_mins(1);

/// Messages of one channel about one kind of event.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Messages {
    pub(crate) channel: Channel,
    pub(crate) event_type: EventType,
    /// Of measured passengers.
    pub(crate) due: u64,
    pub(crate) accepted: u64,
    /// Acceptances beyond the first.
    pub(crate) again: u64,
    /// Never accepted although nothing made them untrue.
    pub(crate) missing: u64,
    /// Confirmations never accepted, of bookings whose cancellation is told instead.
    pub(crate) superseded: u64,
    /// From when the request was due to the provider's acceptance, in milliseconds.
    pub(crate) millis: Summary,
}

#[derive(Deserialize)]
struct Page {
    items: Vec<Item>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    accepted_at: DateTime<Utc>,
    event_type: Option<EventType>,
    pnr: Option<String>,
}

/// Accepted messages by channel, as far as a sandbox answers.
pub(crate) type Counts = BTreeMap<Channel, u64>;

pub(crate) async fn accepted_so_far(sandbox: &Url) -> Option<Counts> {
    let client = chassis::http::client(PATIENCE).ok()?;
    let stats = client
        .get(sandbox.join("/api/stats").ok()?)
        .send()
        .await
        .ok()?;
    let stats: Value = stats.json().await.ok()?;
    let of = |channel: Channel| {
        let of_channel = stats.get("channels")?.get(channel.as_str())?;
        Some((channel, of_channel.get("accepted")?.as_u64()?))
    };
    Channel::ALL.into_iter().map(of).collect()
}

/// Waits for the messages of the run, at most `settle`, and finds out when each was accepted. Nothing where no sandbox answers.
pub(crate) async fn join(
    sandbox: &Url,
    run: &Run,
    before: Option<Counts>,
    settle: Duration,
    shutdown: &Shutdown,
) -> Result<Vec<Messages>, Failure> {
    let Some(before) = before else {
        return Ok(Vec::new());
    };
    let deadline = Instant::now() + settle;
    let mut fresh = due(run);
    loop {
        let expected = above(&before, &fresh);
        let accepted = wait(sandbox, &expected, deadline, shutdown).await;
        fresh = Channel::ALL
            .into_iter()
            .map(|channel| (channel, beyond(&before, &accepted, channel)))
            .collect();
        let messages = read(sandbox, run, &fresh).await?;
        let all = messages.iter().all(|messages| messages.missing == 0);
        if all || Instant::now() > deadline || shutdown.is_cancelled() {
            return Ok(messages);
        }
        // What came instead was of bookings before this run.
        for messages in messages {
            *fresh.entry(messages.channel).or_default() += messages.missing;
        }
    }
}

fn of(counts: &Counts, channel: Channel) -> u64 {
    counts.get(&channel).copied().unwrap_or_default()
}

fn beyond(before: &Counts, accepted: &Counts, channel: Channel) -> u64 {
    of(accepted, channel).saturating_sub(of(before, channel))
}

fn above(before: &Counts, fresh: &Counts) -> Counts {
    let channels = Channel::ALL.into_iter();
    channels
        .map(|channel| (channel, of(before, channel) + of(fresh, channel)))
        .collect()
}

/// How many messages the run's events are, if none becomes untrue.
fn due(run: &Run) -> Counts {
    let of_channel = |channel: Channel| {
        let told = channel.events().iter();
        told.filter_map(|event| run.told.get(event)).sum()
    };
    let channels = Channel::ALL.into_iter();
    channels
        .map(|channel| (channel, of_channel(channel)))
        .collect()
}

/// What became of the run's messages, by the newest so many of each channel.
async fn read(sandbox: &Url, run: &Run, fresh: &Counts) -> Result<Vec<Messages>, Failure> {
    let mut messages = Vec::new();
    for channel in Channel::ALL {
        let items = list(sandbox, channel, of(fresh, channel)).await?;
        let events = channel.events().iter();
        messages.extend(events.filter_map(|event| one_kind(run, (channel, *event), &items)));
    }
    Ok(messages)
}

/// Until as many are accepted as expected, or nothing comes for a while: what was cancelled is perhaps not told.
async fn wait(sandbox: &Url, expected: &Counts, deadline: Instant, shutdown: &Shutdown) -> Counts {
    let (mut last, mut changed) = (Counts::new(), Instant::now());
    loop {
        let counts = accepted_so_far(sandbox)
            .await
            .unwrap_or_else(|| last.clone());
        if counts != last {
            changed = Instant::now();
        }
        last = counts;
        let arrived = |channel| of(&last, channel) >= of(expected, channel);
        let all = Channel::ALL.into_iter().all(arrived);
        let over = Instant::now() > deadline || changed.elapsed() > STILL;
        if all || over || shutdown.is_cancelled() {
            return last;
        }
        sleep(LOOK).await;
    }
}

/// The newest so many messages of a channel.
async fn list(sandbox: &Url, channel: Channel, count: u64) -> Result<Vec<Item>, Failure> {
    let unreadable = "could not read the sandbox's ledger";
    let client = chassis::http::client(PATIENCE)?;
    let mut url = sandbox
        .join("/api/messages")
        .map_err(Failure::broken(unreadable))?;
    url.query_pairs_mut()
        .append_pair("channel", channel.as_str())
        .append_pair("html", "false")
        .append_pair("limit", &count.max(1).to_string());
    let answer = client.get(url).send().await;
    let page = answer
        .map_err(Failure::broken(unreadable))?
        .json::<Page>()
        .await;
    Ok(page.map_err(Failure::broken(unreadable))?.items)
}

/// None where nothing was due.
fn one_kind(run: &Run, (channel, event): (Channel, EventType), items: &[Item]) -> Option<Messages> {
    let mut accepted: BTreeMap<&str, Vec<DateTime<Utc>>> = BTreeMap::new();
    for item in items.iter().filter(|item| item.event_type == Some(event)) {
        let pnr = item.pnr.as_deref().unwrap_or_default();
        accepted.entry(pnr).or_default().push(item.accepted_at);
    }
    let mut messages = Messages {
        channel,
        event_type: event,
        due: 0,
        accepted: 0,
        again: 0,
        missing: 0,
        superseded: 0,
        millis: Summary::default(),
    };
    let mut times = Times::default();
    for trip in &run.trips {
        let Some((_, due)) = trip.due.iter().find(|(told, _)| *told == event) else {
            continue;
        };
        messages.due += 1;
        let found = accepted.get(trip.pnr.as_str());
        let Some(first) = found.and_then(|times| times.iter().min()) else {
            let cancelled = EventType::BookingCancelled;
            let untrue = event == EventType::BookingConfirmed
                && channel.events().contains(&cancelled)
                && trip.due.iter().any(|(told, _)| *told == cancelled);
            messages.superseded += u64::from(untrue);
            messages.missing += u64::from(!untrue);
            continue;
        };
        messages.accepted += 1;
        messages.again += found.map_or(0, |times| times.len() as u64 - 1);
        times.record((*first - *due).to_std().unwrap_or_default());
    }
    messages.millis = times.summary();
    (messages.due > 0).then_some(messages)
}
