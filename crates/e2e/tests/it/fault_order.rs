//! Records that arrive in another order than things happened, and one PNR of which everything happens.

use std::time::Duration;

use bus::{Header, NewRecord};
use events::{Channel, EventType};
use sandbox::{Effect, Rule};
use serde_json::Value;
use testkit::{System, eventually, full_length, sample_event};

use crate::client::told;
use crate::sessions::state;

/// A record as `booking-api` writes it.
struct Story<'a> {
    pnr: &'a str,
    event: EventType,
    version: u32,
    history: &'a str,
    headers: Headers,
}

/// What a producer knows to say of its records.
#[derive(Clone, Copy, PartialEq)]
enum Headers {
    OfTheContract,
    None,
}

impl Story<'_> {
    fn event_id(&self) -> String {
        format!("{}-{}", self.pnr, self.version)
    }

    fn value(&self) -> String {
        let mut value: Value = serde_json::from_str(sample_event()).unwrap();
        value["eventId"] = self.event_id().into();
        value["eventType"] = self.event.as_str().into();
        value["pnrNumber"] = self.pnr.into();
        value.to_string()
    }

    fn headers(&self) -> Vec<Header> {
        if self.headers == Headers::None {
            return Vec::new();
        }
        [
            ("ce_id", self.event_id()),
            ("ce_bookingversion", self.version.to_string()),
            ("ce_bookinghistory", self.history.to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), Some(value.into_bytes())))
        .into()
    }
}

/// Writes them in this order.
async fn produce(system: &System, stories: &[Story<'_>]) {
    let parts: Vec<_> = stories
        .iter()
        .map(|story| (story, story.value(), story.headers()))
        .collect();
    let records: Vec<_> = parts
        .iter()
        .map(|(story, value, headers)| NewRecord {
            topic: story.event.topic(),
            partition: None,
            key: Some(story.pnr.as_bytes()),
            value: Some(value.as_bytes()),
            headers,
        })
        .collect();
    system.broker().produce_all(&records).await.unwrap();
}

/// PNRs that no other run of the tests on the same broker has.
fn pnr(system: &System, number: usize) -> String {
    let token = system.group_of("");
    let digits = token.bytes().fold(number, |sum, byte| {
        (sum * 131 + usize::from(byte)) % 1_000_000_000
    });
    format!("3{digits:09}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmation_that_arrives_after_its_cancellation_is_told_before_it_or_never() {
    let system = System::builder().start().await.unwrap();
    // The order is waited for 10 s; the last comes later than that.
    let delays: &[u64] = if full_length() {
        &[0, 1, 3, 9, 13]
    } else {
        &[0, 2, 13]
    };
    for (number, delay) in delays.iter().enumerate() {
        let pnr = pnr(&system, number);
        let cancelled = Story {
            pnr: &pnr,
            event: EventType::BookingCancelled,
            version: 2,
            history: "BOOKING_CONFIRMED=1",
            headers: Headers::OfTheContract,
        };
        let confirmed = Story {
            pnr: &pnr,
            event: EventType::BookingConfirmed,
            version: 1,
            history: "",
            headers: Headers::OfTheContract,
        };
        produce(&system, &[cancelled]).await;
        tokio::time::sleep(Duration::from_secs(*delay)).await;
        produce(&system, std::slice::from_ref(&confirmed)).await;
        assert_told_in_order(&system, &confirmed).await;
    }
}

/// Mail and text tell the cancellation, and the confirmation before it or not at all.
async fn assert_told_in_order(system: &System, confirmed: &Story<'_>) {
    for (channel, name) in [
        (Channel::Email, "email-notifier"),
        (Channel::Sms, "sms-notifier"),
    ] {
        let done = |state: &String| state == "SENT" || state == "SUPPRESSED";
        let ended = async || {
            let state = state(system, name, &confirmed.event_id()).await;
            state.filter(done)
        };
        let state = eventually("end of the confirmation", ended).await;
        let due = 1 + usize::from(state == "SENT");
        let messages = told(system, channel, confirmed.pnr, due).await;
        let newest = messages[0].event_type;
        assert_eq!(newest, Some(EventType::BookingCancelled), "{channel}");
    }
}

/// The life of a booking, in its own order.
fn life(pnr: &str, headers: Headers) -> Vec<Story<'_>> {
    [
        (EventType::BookingConfirmed, ""),
        (EventType::PaymentCompleted, "BOOKING_CONFIRMED=1"),
        (
            EventType::BookingCancelled,
            "BOOKING_CONFIRMED=1,PAYMENT_COMPLETED=2",
        ),
    ]
    .into_iter()
    .zip(1..)
    .map(|((event, history), version)| Story {
        pnr,
        event,
        version,
        history,
        headers,
    })
    .collect()
}

/// The orders in which three records may come.
const ORDERS: [[usize; 3]; 6] = [
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0],
];

/// Each order, with and without headers, so far apart.
async fn every_order(system: &System, apart: Duration) {
    let lives: Vec<_> = [Headers::OfTheContract, Headers::None]
        .into_iter()
        .flat_map(|headers| ORDERS.map(|order| (headers, order)))
        .enumerate()
        .map(|(number, (headers, order))| (pnr(system, number), headers, order))
        .collect();
    for turn in 0..3 {
        for (pnr, headers, order) in &lives {
            let story = life(pnr, *headers).into_iter().nth(order[turn]);
            produce(system, &[story.unwrap()]).await;
        }
        tokio::time::sleep(apart).await;
    }
    for (pnr, _, order) in &lives {
        // The cancellation is always told, the receipt too.
        told(system, Channel::Email, pnr, 2).await;
        let ended = async || {
            let state = state(system, "email-notifier", &format!("{pnr}-1")).await;
            state.filter(|state| state == "SENT" || state == "SUPPRESSED")
        };
        eventually("end of the confirmation", ended).await;
        let ended = async || {
            let mails = system.told(Channel::Email, pnr);
            let mut kinds: Vec<_> = mails
                .iter()
                .rev()
                .filter_map(|one| one.event_type)
                .collect();
            let all = kinds.contains(&EventType::BookingCancelled)
                && kinds.contains(&EventType::PaymentCompleted);
            all.then(|| {
                // A receipt may be read whenever it comes.
                kinds.retain(|kind| *kind != EventType::PaymentCompleted);
                kinds
            })
        };
        let read = eventually("the whole life", ended).await;
        assert_eq!(read.last(), Some(&EventType::BookingCancelled), "{order:?}");
        assert!(read.len() <= 2, "{order:?}: {read:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_order_of_the_three_events_lets_a_passenger_read_a_confirmation_after_a_cancellation() {
    let system = System::builder().start().await.unwrap();
    let apart = Duration::from_secs(if full_length() { 5 } else { 1 });
    every_order(&system, apart).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_does_any_order_with_three_processes_of_the_notifier() {
    let system = System::builder().start().await.unwrap();
    let more = [(); 2].map(|()| system.spawn("email-notifier").unwrap());
    for program in &more {
        program.address().await;
    }
    let apart = Duration::from_secs(if full_length() { 5 } else { 1 });
    every_order(&system, apart).await;
    for program in more {
        assert!(program.terminate().await.unwrap().success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pnr_of_which_everything_happens_delays_nobody_else() {
    let system = System::builder()
        .with("CONCURRENCY", "4")
        .start()
        .await
        .unwrap();
    let slow = Rule::new(Channel::Email, Effect::Delay { ms: 100 });
    system.faults().replace(vec![slow]).unwrap();
    let (busy, count) = (pnr(&system, 0), 100);
    let others: Vec<_> = (1..=20).map(|number| pnr(&system, number)).collect();
    let receipt = |version| Story {
        pnr: &busy,
        // Receipts are always sent.
        event: EventType::PaymentCompleted,
        version,
        history: "",
        headers: Headers::OfTheContract,
    };
    let confirmation = |other| Story {
        pnr: other,
        event: EventType::BookingConfirmed,
        version: 1,
        history: "",
        headers: Headers::OfTheContract,
    };
    let all: Vec<_> = (1..=count).map(receipt).collect();
    produce(&system, &all).await;
    let all: Vec<_> = others.iter().map(|pnr| confirmation(pnr)).collect();
    produce(&system, &all).await;
    for other in &others {
        told(&system, Channel::Email, other, 1).await;
    }
    let told_so_far = system.told(Channel::Email, &busy).len();
    assert!(
        told_so_far < usize::try_from(count).unwrap(),
        "twenty others waited for all {count} of one"
    );
    let receipts = told(&system, Channel::Email, &busy, 100).await;
    let ids = receipts
        .iter()
        .rev()
        .map(|one| one.event_id.clone().unwrap());
    let in_order = (1..=count).map(|version| format!("{busy}-{version}"));
    assert!(ids.map(String::from).eq(in_order), "one after another");
}
