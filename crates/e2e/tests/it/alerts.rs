//! Every alert of `deploy/prometheus/alerts.yml`, made to fire and to clear by causing its fault, in a Prometheus whose clock runs [`rules::HASTE`] times faster.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use bus::NewRecord;
use chassis::{Clock as _, SystemClock};
use events::{Channel, EventType};
use reqwest::{Client, StatusCode};
use sandbox::{Effect, Rule, SmtpStage};
use serde_json::{Value, json};
use testkit::{
    Link, Prometheus, Proxy, System, TestBroker, booking_request, eventually_within, sample_event,
};

use crate::client::{ForTests as _, book, request, warm_up};
use crate::{panels, rules};

/// How long an alert may take to fire, or to clear: six hours of the rules are three minutes.
const LIMIT: Duration = Duration::from_mins(5);

/// The system, and what watches it.
struct Watched {
    system: System,
    prometheus: Prometheus,
    targets: BTreeMap<String, SocketAddr>,
    seen: Mutex<Seen>,
    begun: Instant,
}

/// Alerts as `name{job}`: what fires, and what ever fired and cleared.
#[derive(Default)]
struct Seen {
    firing: BTreeSet<String>,
    fired: BTreeSet<String>,
    cleared: BTreeSet<String>,
}

impl Watched {
    /// Waits until an alert has fired for a job.
    async fn fires(&self, alert: &str, job: &str) {
        let wanted = format!("{alert}{{{job}}}");
        self.until(&format!("alert {wanted}"), |seen| {
            seen.fired.contains(&wanted)
        })
        .await;
    }

    /// Waits until it fires no more.
    async fn clears(&self, alert: &str, job: &str) {
        let wanted = format!("{alert}{{{job}}}");
        self.until(&format!("end of alert {wanted}"), |seen| {
            !seen.firing.contains(&wanted)
        })
        .await;
    }

    async fn until(&self, what: &str, holds: impl Fn(&Seen) -> bool + Sync) {
        let as_wanted = async || {
            let firing = self.prometheus.firing().await?;
            let mut seen = self.seen.lock().unwrap();
            seen.note(firing, self.begun.elapsed());
            holds(&seen).then_some(())
        };
        eventually_within(LIMIT, what, as_wanted).await;
    }

    /// Starts a program, and has it scraped.
    async fn start(&mut self, name: &str) {
        let address = self.system.start_program(name).await.unwrap();
        self.targets.insert(name.to_owned(), address);
        let targets: Vec<_> = self.targets.clone().into_iter().collect();
        self.prometheus.scrape(&targets).unwrap();
    }

    /// What the providers do wrong, besides refusing the mail of [`STUCK`].
    fn faults(&self, more: Vec<Rule>) {
        let stuck = Effect::SmtpCode {
            reply: "550 5.7.1 we do not trust the sender".to_owned(),
            stage: SmtpStage::Data,
        };
        let stuck = Rule {
            recipient: Some(STUCK.to_owned()),
            ..Rule::new(Channel::Email, stuck)
        };
        let rules = std::iter::once(stuck).chain(more).collect();
        self.system.faults().replace(rules).unwrap();
    }
}

impl Seen {
    fn note(&mut self, firing: BTreeSet<String>, at: Duration) {
        let at = at.as_secs();
        for new in firing.difference(&self.firing) {
            println!("{at:>4} s  {new} fires");
        }
        for old in self.firing.difference(&firing) {
            println!("{at:>4} s  {old} is over");
            self.cleared.insert(old.clone());
        }
        self.fired.extend(firing.iter().cloned());
        self.firing = firing;
    }

    /// The alerts that fired and cleared, whatever the job.
    fn lived(&self) -> BTreeSet<&str> {
        let names = self
            .cleared
            .iter()
            .filter_map(|name| name.split('{').next());
        names.collect()
    }
}

/// The one passenger whose mail is refused for our sake until the end.
const STUCK: &str = "stuck@example.com";

/// Waits and limits short enough for it.
async fn start(broker: TestBroker) -> System {
    let settings = [
        ("RETRY_BASE", "100ms"),
        ("RETRY_CAP", "2s"),
        ("BREAKER_OPEN", "500ms"),
        ("INBOX_LIMIT", "100"),
        // What a killed notifier was sending is old before long, and so is its alert over.
        ("PROVIDER_TIMEOUT", "10s"),
    ];
    let builder = settings
        .into_iter()
        .fold(System::builder().on(broker), |builder, (name, value)| {
            builder.with(name, value)
        });
    builder.start_without_programs().await.unwrap()
}

/// Bookings, 20 a second, whatever is answered.
fn keep_booking(url: String) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        let timeout = Duration::from_secs(2);
        let client = Client::builder().timeout(timeout).build().unwrap();
        let mut tick = tokio::time::interval(Duration::from_millis(50));
        for number in 0.. {
            tick.tick().await;
            let body = booking_request(number).to_string();
            let request = client.post(&url).header("content-type", "application/json");
            drop(request.body(body).send().await);
        }
    })
}

/// Events of other producers, each about a booking of its own.
async fn write_events(system: &System, count: u64) {
    let mut event: Value = serde_json::from_str(sample_event()).unwrap();
    let run = chassis::chance::token();
    let mut written = Vec::new();
    for number in 0..count {
        let (pnr, phone) = (7_000_000_000 + number, 8_000_000_000 + number);
        event["eventId"] = json!(format!("{run}-{number}"));
        event["pnrNumber"] = json!(pnr.to_string());
        event["userPhone"] = json!(phone.to_string());
        event["userEmail"] = json!(format!("user{number}@example.com"));
        event["eventTimestamp"] = json!(SystemClock.now().to_rfc3339());
        written.push((pnr.to_string(), event.to_string()));
    }
    write(system, None, &written).await;
}

async fn write(system: &System, partition: Option<i32>, written: &[(String, String)]) {
    let records = written.iter().map(|(key, value)| NewRecord {
        topic: EventType::BookingConfirmed.topic(),
        partition,
        key: Some(key.as_bytes()),
        value: Some(value.as_bytes()),
        headers: &[],
    });
    let records: Vec<_> = records.collect();
    system.broker().produce_all(&records).await.unwrap();
}

fn sms(status: u16, code: u32) -> Vec<Rule> {
    let effect = Effect::Status {
        status,
        code,
        retry_after_seconds: None,
    };
    vec![Rule::new(Channel::Sms, effect)]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_alert_fires_for_its_fault_and_clears_after_it() {
    let rules = rules::hastened();
    let Some(prometheus) = Prometheus::start(&rules).unwrap() else {
        return println!("needs TEST_PROMETHEUS");
    };
    let Some(broker) = TestBroker::start_own().await.unwrap() else {
        return println!("needs TEST_KAFKA");
    };
    let mut system = start(broker).await;
    let Some(database) = system.link_database("booking-api").await.unwrap() else {
        return println!("needs TEST_DATABASE_URL");
    };
    let kafka = system.link_kafka().await.unwrap();
    let mut watched = Watched {
        system,
        prometheus,
        targets: BTreeMap::new(),
        seen: Mutex::default(),
        begun: Instant::now(),
    };
    for name in System::PROGRAMS {
        watched.start(name).await;
    }
    warm_up(&watched.system).await;
    // Whatever fired while nothing was there yet.
    watched
        .until("silence", |seen| seen.firing.is_empty())
        .await;
    *watched.seen.lock().unwrap() = Seen::default();
    watched.faults(Vec::new());
    book(&watched.system, &request(STUCK, "9876543210")).await;
    let url = watched.system.url("booking-api", "/api/v1/bookings").await;
    let booking = keep_booking(url.unwrap());

    booking_api_without_its_database(&watched, &database).await;
    a_provider_that_is_away(&watched).await;
    a_provider_that_refuses(&watched).await;
    records_that_cannot_be_read(&watched).await;
    brokers_that_are_away(&watched, &kafka).await;
    a_program_that_is_gone(&mut watched).await;
    topics_that_differ(&watched).await;
    watched
        .fires("MessagesRefusedForUs", "email-notifier")
        .await;
    watched.fires("MessageStuck", "email-notifier").await;
    watched.system.faults().replace(Vec::new()).unwrap();

    watched
        .until("silence", |seen| seen.firing.is_empty())
        .await;
    booking.abort();
    let empty = panels::empty(&watched.prometheus).await;
    // No event was refused for good.
    let refused = r#"Unpublished: sum by (topic) (rate(booking_events_published_total{outcome="failed"}[10s]))"#;
    assert_eq!(empty, [refused]);
    let seen = watched.seen.lock().unwrap();
    assert_eq!(seen.lived(), rules::alerts(&rules));
}

/// And statuses of 12,000 messages that it cannot note.
async fn booking_api_without_its_database(watched: &Watched, database: &Proxy) {
    database.set(Link::Cut);
    write_events(&watched.system, 4000).await;
    watched.fires("NotReady", "booking-api").await;
    watched.fires("ApiErrorBudgetFast", "booking-api").await;
    watched.fires("ApiErrorBudgetMedium", "booking-api").await;
    watched.fires("StatusLagGrowing", "booking-api").await;
    watched.fires("ApiErrorBudgetSlow", "booking-api").await;
    database.set(Link::Good);
    watched.clears("NotReady", "booking-api").await;
    watched.clears("StatusLagGrowing", "booking-api").await;
}

/// Longer than the objective allows a message, so that they are late afterwards.
async fn a_provider_that_is_away(watched: &Watched) {
    let job = "sms-notifier";
    watched.faults(sms(503, 20500));
    let since = Instant::now();
    write_events(&watched.system, 1500).await;
    watched.fires("BreakerOpen", job).await;
    watched.fires("InboxOld", job).await;
    watched.fires("ConsumerLagGrowing", job).await;
    let late = |_: &Seen| since.elapsed() > Duration::from_secs(35);
    watched.until("late messages", late).await;
    watched.faults(Vec::new());
    for alert in ["Fast", "Medium", "Slow"] {
        watched.fires(&format!("DeliveryBudget{alert}"), job).await;
    }
    watched.clears("BreakerOpen", job).await;
    watched.clears("InboxOld", job).await;
}

/// The account, then the recipients.
async fn a_provider_that_refuses(watched: &Watched) {
    watched.faults(sms(401, 20003));
    watched.fires("ProviderMisconfigured", "sms-notifier").await;
    watched.faults(Vec::new());
    watched
        .clears("ProviderMisconfigured", "sms-notifier")
        .await;
    watched.clears("BreakerOpen", "sms-notifier").await;
    watched.faults(sms(400, 21211));
    watched.fires("DeadLettersPermanent", "sms-notifier").await;
    watched.faults(Vec::new());
}

async fn records_that_cannot_be_read(watched: &Watched) {
    let unreadable = |number| (format!("{number}"), "{}".to_owned());
    let unreadable: Vec<_> = (0..250).map(unreadable).collect();
    write(&watched.system, Some(0), &unreadable).await;
    watched.fires("DeadLetters", "whatsapp-notifier").await;
    watched.fires("DeadLetterFlood", "whatsapp-notifier").await;
}

async fn brokers_that_are_away(watched: &Watched, kafka: &[Proxy]) {
    for link in kafka {
        link.set(Link::Cut);
    }
    watched.fires("BookingOutboxOld", "booking-api").await;
    watched.fires("StatusOutboxOld", "email-notifier").await;
    watched.fires("NotReady", "sms-notifier").await;
    let url = watched.system.url("sms-notifier", "/readyz").await;
    let answer = Client::new_for_tests().get(url.unwrap()).send().await;
    assert_eq!(answer.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    for link in kafka {
        link.set(Link::Good);
    }
    watched.clears("NotReady", "sms-notifier").await;
    watched.clears("BookingOutboxOld", "booking-api").await;
    watched.clears("StatusOutboxOld", "email-notifier").await;
}

async fn a_program_that_is_gone(watched: &mut Watched) {
    let program = watched.system.take_program("sms-notifier").unwrap();
    program.kill().unwrap();
    watched.fires("ProgramDown", "sms-notifier").await;
    watched.fires("InstanceDown", "sms-notifier").await;
    watched.start("sms-notifier").await;
    watched.clears("ProgramDown", "sms-notifier").await;
}

async fn topics_that_differ(watched: &Watched) {
    let (one, others) = EventType::ALL.split_first().unwrap();
    let broker = watched.system.broker();
    broker.add_partitions(&[*one], 4).unwrap();
    watched.fires("TopicsUneven", "").await;
    broker.add_partitions(others, 4).unwrap();
    watched.clears("TopicsUneven", "").await;
}
