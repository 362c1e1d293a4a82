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

/// When nothing arrives for so long, nothing more is waited for.
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
    /// Never accepted, of bookings that were cancelled.
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
    let accepted = wait(sandbox, run, &before, settle, shutdown).await;
    let mut messages = Vec::new();
    for channel in Channel::ALL {
        let of = |counts: &Counts| counts.get(&channel).copied().unwrap_or_default();
        let fresh = of(&accepted).saturating_sub(of(&before));
        let items = list(sandbox, channel, fresh).await?;
        let events = channel.events().iter();
        messages.extend(events.filter_map(|event| one_kind(run, (channel, *event), &items)));
    }
    Ok(messages)
}

/// Until as many are there as are due, or nothing more comes.
async fn wait(
    sandbox: &Url,
    run: &Run,
    before: &Counts,
    settle: Duration,
    shutdown: &Shutdown,
) -> Counts {
    let due = |channel: Channel| -> u64 {
        let told = channel.events().iter();
        told.filter_map(|event| run.told.get(event)).sum()
    };
    let (deadline, mut changed) = (Instant::now() + settle, Instant::now());
    let mut last = before.clone();
    loop {
        let counts = accepted_so_far(sandbox)
            .await
            .unwrap_or_else(|| last.clone());
        if counts != last {
            changed = Instant::now();
        }
        last = counts;
        let arrived = |channel: Channel| {
            let of = |counts: &Counts| counts.get(&channel).copied().unwrap_or_default();
            of(&last).saturating_sub(of(before)) >= due(channel)
        };
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
            let untrue = event != cancelled && trip.due.iter().any(|(told, _)| *told == cancelled);
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
