#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
//! The SMS channel against providers that answer what each test tells them to.

mod failover;
mod look_up;
mod msg91;

use std::time::Duration;

use clap::Parser;
use delivery::{Channel, Delivery, FailureClass, Receipt, Scope, SendError};
use events::{BookingEvent, Stage};
use sandbox::{Effect, Filter, Rule};
use sms_notifier::SmsSettings;
use testkit::{Script, StandIn, json_answer as json, provider};

#[derive(Parser)]
struct Example {
    #[command(flatten)]
    sms: SmsSettings,
}

const CREATED: &str = r#"{"sid":"SM1","status":"queued","error_code":null}"#;

/// The words of the specification's sample.
const TEXT: &str = "PNR:1234567890,TRAIN:12345,DOJ:15-01-2024,TIME:16:00,1A,New Delhi TO Mumbai Central,John Doe,A1 1,FARE:5000.00";

/// Long enough for any answer, short enough to wait for where none comes.
const PATIENCE: Duration = Duration::from_millis(500);

fn event() -> BookingEvent {
    let sample = include_bytes!("../../../../crates/events/golden/specification-sample.json");
    BookingEvent::decode(sample).unwrap()
}

/// A channel with the sandbox's credentials and these settings.
fn channel_with(settings: &[String], timeout: Duration) -> impl Channel + use<> {
    let credentials = StandIn::CREDENTIALS.into_iter();
    let own = credentials.filter(|(name, _)| name.starts_with("SMS_"));
    let flag = |name: &str| format!("--{}", name.to_lowercase().replace('_', "-"));
    let own = own.map(|(name, value)| format!("{}={value}", flag(name)));
    let arguments = ["example".to_owned()].into_iter().chain(own);
    let example = Example::parse_from(arguments.chain(settings.iter().cloned()));
    sms_notifier::channel(&example.sms, timeout).unwrap()
}

fn channel(base: &str, from: &str, timeout: Duration) -> impl Channel + use<> {
    let settings = [
        format!("--sms-from={from}"),
        format!("--sms-base-url={base}"),
    ];
    channel_with(&settings, timeout)
}

async fn send(channel: &impl Channel) -> Result<Receipt, SendError> {
    send_by(channel, channel.providers()[0]).await
}

async fn send_by(channel: &impl Channel, provider: &'static str) -> Result<Receipt, SendError> {
    let event = event();
    let message = channel.render(&event).unwrap();
    channel.send(&message, &delivery(provider)).await
}

fn delivery(provider: &'static str) -> Delivery {
    Delivery {
        provider,
        event_id: event().event_id,
        topic: "booking-confirmed".into(),
        attempt: 1,
    }
}

/// One send to a provider that follows the script: its outcome, and what the provider read.
async fn exchange(script: Script) -> (Result<Receipt, SendError>, String) {
    let (address, request) = provider(script).await;
    let channel = channel(&format!("http://{address}/twilio/"), "RAILTK", PATIENCE);
    let outcome = send(&channel).await;
    (outcome, request.await.unwrap())
}

#[tokio::test]
async fn a_message_is_posted_as_twilio_documents_it() {
    let (outcome, request) = exchange(json("201 Created", "", CREATED)).await;
    assert_eq!(outcome.unwrap().provider_message_id, "SM1");
    let start = "POST /twilio/2010-04-01/Accounts/AC0123456789abcdef0123456789abcdef/Messages.json HTTP/1.1\r\n";
    assert!(request.starts_with(start), "{request}");
    // base64 of account:secret.
    let basic = "QUMwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZjp0ZXN0LXNtcy10b2tlbg==";
    assert!(request.contains(&format!("authorization: Basic {basic}\r\n")));
    assert!(request.contains("x-event-id: uuid-string\r\n"));
    assert!(request.contains("content-type: application/x-www-form-urlencoded\r\n"));
    let body = "To=%2B919876543210&From=RAILTK&Body=PNR%3A1234567890%2CTRAIN%3A12345%2CDOJ%3A15-01-2024%2CTIME%3A16%3A00%2C1A%2CNew+Delhi+TO+Mumbai+Central%2CJohn+Doe%2CA1+1%2CFARE%3A5000.00";
    assert!(request.ends_with(body), "{request}");
}

#[tokio::test]
async fn a_messaging_service_takes_the_place_of_the_sender() {
    let (address, request) = provider(json("201 Created", "", CREATED)).await;
    let service = "MG0123456789abcdef0123456789abcdef";
    let base = format!("http://{address}");
    let channel = channel(&base, service, Duration::from_secs(5));
    send(&channel).await.unwrap();
    let request = request.await.unwrap();
    assert!(request.contains(&format!("MessagingServiceSid={service}")));
    assert!(!request.contains("From="));
}

#[tokio::test]
async fn a_refusal_is_told_by_its_code_and_never_by_twilio_s_words() {
    let body =
        r#"{"code":21211,"message":"The 'To' number +919876543210 is not valid","status":400}"#;
    let (outcome, _) = exchange(json("400 Bad Request", "", body)).await;
    let error = outcome.unwrap_err();
    assert_eq!(error.class, FailureClass::Permanent);
    assert_eq!(error.status.as_deref(), Some("21211"));
    assert!(!error.problem.contains("98765"), "{}", error.problem);
}

#[tokio::test]
async fn a_rate_limit_waits_as_long_as_the_header_asks() {
    let body = r#"{"code":20429,"message":"Too Many Requests","status":429}"#;
    let script = json("429 Too Many Requests", "retry-after: 3\r\n", body);
    let error = exchange(script).await.0.unwrap_err();
    let expected = FailureClass::RateLimited {
        after: Duration::from_secs(3),
        scope: Scope::Account,
    };
    assert_eq!(error.class, expected);
}

#[tokio::test]
async fn an_outage_is_transient() {
    let script = json("503 Service Unavailable", "", "upstream");
    let error = exchange(script).await.0.unwrap_err();
    assert_eq!(error.class, FailureClass::Transient(Scope::Account));
    assert_eq!(error.status.as_deref(), Some("503"));
}

#[tokio::test]
async fn a_request_without_an_answer_is_ambiguous() {
    let cut = Script::Answer("HTTP/1.1 201 Created\r\ncontent-length: 99\r\n\r\n{\"sid".into());
    let nameless = json("200 OK", "", "{}");
    for script in [Script::Drop, Script::Hang, cut, nameless] {
        let error = exchange(script).await.0.unwrap_err();
        assert_eq!(error.class, FailureClass::Ambiguous, "{}", error.problem);
    }
}

#[tokio::test]
async fn a_provider_that_is_not_there_is_transient() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let base = format!("http://{address}");
    let channel = channel(&base, "RAILTK", Duration::from_secs(5));
    let error = send(&channel).await.unwrap_err();
    assert_eq!(error.class, FailureClass::Transient(Scope::Account));
}

#[test]
fn an_event_without_a_number_is_undeliverable() {
    let channel = channel("http://127.0.0.1:1", "RAILTK", Duration::from_secs(1));
    for phone in [None, Some("98765".to_owned())] {
        let mut event = event();
        event.user_phone = phone;
        let problem = channel.render(&event).err().unwrap();
        assert_eq!(problem.stage, Stage::Validate);
        assert!(problem.problem.starts_with("userPhone must be "));
    }
}

#[tokio::test]
async fn the_sandbox_takes_a_message_and_may_keep_silent_about_it() {
    let stand_in = StandIn::start(None).await.unwrap();
    let channel = channel(&stand_in.twilio_url(), "RAILTK", Duration::from_secs(5));
    let receipt = send(&channel).await.unwrap();
    let messages = stand_in.ledger().messages(&Filter::default());
    let [message] = messages.as_slice() else {
        panic!("{} messages", messages.len())
    };
    assert_eq!(message.provider_message_id, receipt.provider_message_id);
    assert_eq!(message.recipient, "+919876543210");
    assert_eq!(message.event_id.as_ref().unwrap().as_str(), "uuid-string");
    assert_eq!(message.pnr.as_ref().unwrap().as_str(), "1234567890");
    assert_eq!(message.segments.as_ref().unwrap().segments, 1);

    let drop = Rule::new(events::Channel::Sms, Effect::AcceptThenDrop);
    stand_in.faults().replace(vec![drop.times(1)]).unwrap();
    let error = send(&channel).await.unwrap_err();
    assert_eq!(error.class, FailureClass::Ambiguous);
    assert_eq!(stand_in.ledger().messages(&Filter::default()).len(), 2);
}
