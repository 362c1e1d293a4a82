//! How long everybody else's messages take while some recipients always fail and one PNR has half of the traffic.

use std::collections::BTreeMap;
use std::time::Duration;

use bus::{NewRecord, Patience, Producer};
use chassis::{Clock, SystemClock};
use chrono::{DateTime, Utc};
use events::{Channel, EventType};
use sandbox::{Effect, Filter, Rule, SmtpStage};
use serde_json::Value;
use testkit::{System, eventually, full_length, sample_event};
use tokio::time::{MissedTickBehavior, interval};

/// Events a second that are measured.
const RATE: u32 = 50;

/// A recipient who is always busy: of one event in a hundred.
const BROKEN: &str = "broken@example.com";
const FINE: &str = "user@example.com";
const EVERY: usize = 100;

/// What happens beside the measured events.
#[derive(Clone, Copy, PartialEq)]
enum Beside {
    Nothing,
    /// As many receipts of one PNR as there are events, and one recipient in a hundred fails.
    OnePnrAndFailures,
}

/// When each measured event was written.
type Written = BTreeMap<String, DateTime<Utc>>;

/// An event of a PNR.
struct Story<'a> {
    pnr: &'a str,
    version: usize,
    event: EventType,
    email: &'a str,
}

impl Story<'_> {
    fn event_id(&self) -> String {
        format!("{}-{}", self.pnr, self.version)
    }

    async fn write(&self, producer: &Producer) {
        let mut value: Value = serde_json::from_str(sample_event()).unwrap();
        value["eventId"] = self.event_id().into();
        value["eventType"] = self.event.as_str().into();
        value["pnrNumber"] = self.pnr.into();
        value["userEmail"] = self.email.into();
        let (value, version) = (value.to_string(), self.version.to_string().into_bytes());
        let record = NewRecord {
            topic: self.event.topic(),
            partition: None,
            key: Some(self.pnr.as_bytes()),
            value: Some(value.as_bytes()),
            headers: &[("ce_bookingversion".to_owned(), Some(version))],
        };
        producer.publish(&record).await.unwrap();
    }
}

/// A PNR of this test alone.
fn pnr(system: &System, number: usize) -> String {
    let token = system.group_of("");
    let digits = token.bytes().fold(number, |sum, byte| {
        (sum * 131 + usize::from(byte)) % 1_000_000_000
    });
    format!("5{digits:09}")
}

/// Writes `RATE` events a second for a span; numbers from `first`.
async fn traffic(system: &System, span: Duration, first: usize, beside: Beside) -> Written {
    let producer = Producer::new(system.broker().settings(), "e2e", Patience::Endless).unwrap();
    let mut tick = interval(Duration::from_secs(1) / RATE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let busy = pnr(system, 0);
    let mut written = Written::new();
    for number in first..first + events_in(span) {
        tick.tick().await;
        let crowded = beside == Beside::OnePnrAndFailures;
        let fails = crowded && number.is_multiple_of(EVERY);
        let own = Story {
            pnr: &pnr(system, number),
            version: 1,
            event: EventType::BookingConfirmed,
            email: if fails { BROKEN } else { FINE },
        };
        if !fails {
            written.insert(own.event_id(), SystemClock.now());
        }
        own.write(&producer).await;
        if crowded {
            let receipt = Story {
                pnr: &busy,
                version: number,
                event: EventType::PaymentCompleted,
                email: FINE,
            };
            receipt.write(&producer).await;
        }
    }
    written
}

fn events_in(span: Duration) -> usize {
    usize::try_from(span.as_secs() * u64::from(RATE)).unwrap()
}

/// Milliseconds from writing to acceptance: the median and the 99th percentile of the mails of these events.
async fn times(system: &System, written: &Written) -> (i64, i64) {
    let all = async || {
        let mails = system.ledger().messages(&Filter {
            channel: Some(Channel::Email),
            ..Filter::default()
        });
        let taken = mails.iter().filter_map(|mail| {
            let event = mail.event_id.as_ref()?.as_str();
            let at = written.get(event)?;
            Some((event, (mail.accepted_at - *at).num_milliseconds()))
        });
        // The newest comes first, and of an event that was told twice the first counts.
        let taken: BTreeMap<_, _> = taken.collect();
        let taken: Vec<_> = taken.into_values().collect();
        (taken.len() == written.len()).then_some(taken)
    };
    let mut taken = eventually("mails of everybody else", all).await;
    taken.sort_unstable();
    (taken[taken.len() / 2], taken[taken.len() * 99 / 100])
}

#[tokio::test(flavor = "multi_thread")]
async fn recipients_that_always_fail_and_a_pnr_with_half_of_the_traffic_delay_nobody_else() {
    let span = Duration::from_secs(if full_length() { 300 } else { 8 });
    let mut system = System::builder()
        .with("RETRY_CAP", "1s")
        .start_without_programs()
        .await
        .unwrap();
    system.start_program("email-notifier").await.unwrap();
    let distrust = Effect::SmtpCode {
        reply: "550 5.7.1 your host is not trusted".to_owned(),
        stage: SmtpStage::Rcpt,
    };
    let rules = vec![Rule::new(Channel::Email, distrust).recipient(BROKEN)];
    system.faults().replace(rules).unwrap();
    let count = events_in(span);
    // The first seconds warm up.
    let warm_up = traffic(&system, Duration::from_secs(2), 1, Beside::Nothing).await;
    times(&system, &warm_up).await;
    let alone = traffic(&system, span, 1000, Beside::Nothing).await;
    let alone = times(&system, &alone).await;
    let beside = Beside::OnePnrAndFailures;
    let crowded = traffic(&system, span, 1000 + count, beside).await;
    let crowded = times(&system, &crowded).await;
    let failures = system.faults().rules()[0].hits;
    println!(
        "{count} mails alone: p50 {} ms, p99 {} ms; with {failures} failures and as many of one PNR: p50 {} ms, p99 {} ms",
        alone.0, alone.1, crowded.0, crowded.1
    );
    // Each was tried more than once by now, and none of them opened the circuit.
    assert!(failures > u64::try_from(count / EVERY).unwrap());
    let told = system.told(Channel::Email, &pnr(&system, 0)).len();
    assert!(told > 0, "the PNR with half of the traffic has its turns");
}
