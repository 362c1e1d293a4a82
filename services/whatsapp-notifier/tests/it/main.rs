#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
//! The `WhatsApp` channel against a Cloud API that answers what each test tells it to.

use std::time::Duration;

use clap::Parser;
use delivery::{Channel, Delivery, FailureClass, LookedUp, Receipt, Scope, SendError};
use events::BookingEvent;
use sandbox::{Effect, Filter, Rule};
use serde_json::{Value, json as value};
use testkit::{Script, StandIn, json_answer as json, provider};
use whatsapp_notifier::WhatsappSettings;

#[derive(Parser)]
struct Example {
    #[command(flatten)]
    whatsapp: WhatsappSettings,
}

fn channel(base: &str, timeout: Duration) -> impl Channel {
    let example = Example::parse_from([
        "example",
        "--whatsapp-phone-number-id=106540352242922",
        "--whatsapp-token=test-whatsapp-token",
        &format!("--whatsapp-base-url={base}"),
    ]);
    whatsapp_notifier::channel(&example.whatsapp, timeout).unwrap()
}

fn event() -> BookingEvent {
    let sample = include_bytes!("../../../../crates/events/golden/specification-sample.json");
    BookingEvent::decode(sample).unwrap()
}

async fn send(channel: &impl Channel) -> Result<Receipt, SendError> {
    let event = event();
    let message = channel.render(&event).unwrap();
    channel.send(&message, &delivery(&event)).await
}

fn delivery(event: &BookingEvent) -> Delivery {
    Delivery {
        provider: "whatsapp_cloud_api",
        event_id: event.event_id.clone(),
        topic: "booking-confirmed".into(),
        attempt: 1,
    }
}

/// One send to a provider that follows the script: its outcome, and what the provider read.
async fn exchange(script: Script) -> (Result<Receipt, SendError>, String) {
    let (address, request) = provider(script).await;
    let base = format!("http://{address}/whatsapp");
    let outcome = send(&channel(&base, Duration::from_millis(500))).await;
    (outcome, request.await.unwrap())
}

fn refused(status: &str, code: u32) -> Script {
    refused_as("OAuthException", status, code)
}

fn refused_as(kind: &str, status: &str, code: u32) -> Script {
    let message = "(#1) to +919876543210";
    let error = value!({"error": {"message": message, "type": kind, "code": code}});
    json(status, "", &error.to_string())
}

#[tokio::test]
async fn a_template_message_is_posted_as_meta_documents_it() {
    let accepted = r#"{"messaging_product":"whatsapp","contacts":[{"input":"+919876543210","wa_id":"919876543210"}],"messages":[{"id":"wamid.X","message_status":"accepted"}]}"#;
    let (outcome, request) = exchange(json("200 OK", "", accepted)).await;
    assert_eq!(outcome.unwrap().provider_message_id, "wamid.X");
    let start = "POST /whatsapp/v23.0/106540352242922/messages HTTP/1.1\r\n";
    assert!(request.starts_with(start), "{request}");
    assert!(request.contains("authorization: Bearer test-whatsapp-token\r\n"));
    assert!(request.contains("content-type: application/json\r\n"));
    let (_, body) = request.split_once("\r\n\r\n").unwrap();
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(
        body["biz_opaque_callback_data"],
        "uuid-string|booking-confirmed"
    );
    assert_eq!(body["to"], "+919876543210");
    assert_eq!(body["template"]["name"], "booking_confirmed");
}

#[tokio::test]
async fn the_code_decides_and_meta_s_words_are_not_repeated() {
    for status in ["200 OK", "400 Bad Request", "500 Internal Server Error"] {
        let error = exchange(refused(status, 131_026)).await.0.unwrap_err();
        assert_eq!(error.class, FailureClass::Permanent);
        assert_eq!(error.status.as_deref(), Some("131026"));
        assert!(!error.problem.contains("98765"), "{}", error.problem);
    }
}

#[tokio::test]
async fn a_pair_limit_concerns_the_recipient_alone() {
    let error = exchange(refused("400 Bad Request", 131_056))
        .await
        .0
        .unwrap_err();
    let expected = FailureClass::RateLimited {
        after: Duration::from_secs(6),
        scope: Scope::Recipient,
    };
    assert_eq!(error.class, expected);
}

#[tokio::test]
async fn a_call_that_is_refused_as_a_whole_is_misconfigured_and_a_parameter_is_not() {
    for (kind, class) in [
        (
            "GraphMethodException",
            FailureClass::Misconfigured(Scope::Account),
        ),
        ("OAuthException", FailureClass::Permanent),
    ] {
        let answer = refused_as(kind, "400 Bad Request", 100);
        let error = exchange(answer).await.0.unwrap_err();
        assert_eq!(error.class, class, "{kind}");
    }
}

#[tokio::test]
async fn an_expired_token_is_misconfigured() {
    let error = exchange(refused("401 Unauthorized", 190))
        .await
        .0
        .unwrap_err();
    assert_eq!(error.class, FailureClass::Misconfigured(Scope::Account));
}

#[tokio::test]
async fn a_request_without_an_answer_is_ambiguous() {
    let cut = Script::Answer("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"mess".into());
    let nameless = json("200 OK", "", r#"{"messages":[]}"#);
    let gateway = json("502 Bad Gateway", "", "upstream");
    for script in [Script::Drop, Script::Hang, cut, nameless, gateway] {
        let error = exchange(script).await.0.unwrap_err();
        assert_eq!(error.class, FailureClass::Ambiguous, "{}", error.problem);
    }
}

#[tokio::test]
async fn a_provider_that_is_not_there_is_transient() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let channel = channel(&format!("http://{address}"), Duration::from_secs(5));
    let error = send(&channel).await.unwrap_err();
    assert_eq!(error.class, FailureClass::Transient(Scope::Account));
}

#[tokio::test]
async fn an_earlier_message_cannot_be_looked_up() {
    let channel = channel("http://127.0.0.1:1", Duration::from_secs(1));
    let message = channel.render(&event()).unwrap();
    let known = channel.look_up(&message, &delivery(&event())).await;
    assert_eq!(known, Ok(LookedUp::Unknown));
}

#[tokio::test]
async fn the_sandbox_takes_a_message_and_may_keep_silent_about_it() {
    let stand_in = StandIn::start(None).await.unwrap();
    let channel = channel(&stand_in.whatsapp_url(), Duration::from_secs(5));
    let receipt = send(&channel).await.unwrap();
    let messages = stand_in.ledger().messages(&Filter::default());
    let [message] = messages.as_slice() else {
        panic!("{} messages", messages.len())
    };
    let end = receipt.provider_message_id.strip_prefix("wamid.…").unwrap();
    assert!(message.provider_message_id.ends_with(end), "{end}");
    assert_eq!(message.recipient, "+919876543210");
    assert_eq!(message.event_id.as_ref().unwrap().as_str(), "uuid-string");
    assert_eq!(message.pnr.as_ref().unwrap().as_str(), "1234567890");
    assert_eq!(message.template.as_ref().unwrap().params.len(), 11);

    let drop = Rule::new(events::Channel::Whatsapp, Effect::AcceptThenDrop);
    stand_in.faults().replace(vec![drop.times(1)]).unwrap();
    let error = send(&channel).await.unwrap_err();
    assert_eq!(error.class, FailureClass::Ambiguous);
    assert_eq!(stand_in.ledger().messages(&Filter::default()).len(), 2);
}
