//! MSG91, by scripted answers and by the sandbox.

use delivery::{Channel, FailureClass, LookedUp, Receipt, Scope, SendError};
use events::{EventType, Stage};
use sandbox::{Effect, Filter, Provider, Rule};
use serde_json::{Value, json as value};
use testkit::{Script, StandIn, json_answer as json, provider};

use super::{PATIENCE, TEXT, channel_with, delivery, event, send};

fn channel(base: &str) -> impl Channel + use<> {
    let settings = [
        "--sms-provider=msg91".to_owned(),
        format!("--sms-base-url={base}"),
    ];
    channel_with(&settings, PATIENCE)
}

async fn exchange(script: Script) -> (Result<Receipt, SendError>, String) {
    let (address, request) = provider(script).await;
    let outcome = send(&channel(&format!("http://{address}/msg91/"))).await;
    (outcome, request.await.unwrap())
}

#[tokio::test]
async fn values_are_posted_as_msg91_documents_it() {
    let answer = r#"{"type":"success","message":"5762846b4f8d285d378b4567"}"#;
    let (outcome, request) = exchange(json("200 OK", "", answer)).await;
    let id = "5762846b4f8d285d378b4567";
    assert_eq!(outcome.unwrap().provider_message_id, id);
    let start = "POST /msg91/api/v5/flow HTTP/1.1\r\n";
    assert!(request.starts_with(start), "{request}");
    assert!(request.contains("authkey: test-sms-token\r\n"));
    assert!(request.contains("x-event-id: uuid-string\r\n"));
    let (_, body) = request.split_once("\r\n\r\n").unwrap();
    let expected = value!({
        "template_id": "64f0c2a1d6fc051b2c3d4e5f",
        "DLT_TE_ID": "1107160000000012345",
        "sender": "RAILTK",
        "short_url": "0",
        "recipients": [{
            "mobiles": "919876543210",
            "PNR": "1234567890", "TRAIN": "12345", "DOJ": "15-01-2024", "TIME": "16:00", "CLASS": "1A",
            "FROM": "New Delhi", "TO": "Mumbai Central", "NAME": "John Doe", "SEAT": "A1 1", "FARE": "5000.00",
        }],
    });
    assert_eq!(serde_json::from_str::<Value>(body).unwrap(), expected);
}

#[tokio::test]
async fn a_refusal_is_read_in_each_of_its_shapes() {
    let misconfigured = FailureClass::Misconfigured(Scope::Account);
    for (status, body, class, code) in [
        (
            "200 OK",
            r#"{"type":"error","message":"Invalid mobile number 919876543210","code":"202"}"#,
            FailureClass::Permanent,
            "202",
        ),
        (
            "200 OK",
            r#"{"type":"error","message":"Template ID Missing or Invalid Template"}"#,
            misconfigured,
            "200",
        ),
        (
            "400 Bad Request",
            r#"{"type":"error","message":"no","code":211}"#,
            misconfigured,
            "211",
        ),
        (
            "401 Unauthorized",
            r#"{"status":"fail","hasError":true,"errors":"Unauthorized","code":"401","apiError":"418"}"#,
            misconfigured,
            "418",
        ),
        (
            "503 Service Unavailable",
            "upstream",
            FailureClass::Transient(Scope::Account),
            "503",
        ),
    ] {
        let error = exchange(json(status, "", body)).await.0.unwrap_err();
        assert_eq!(error.class, class, "{body}");
        assert_eq!(error.status.as_deref(), Some(code), "{body}");
        assert!(!error.problem.contains("98765"), "{}", error.problem);
    }
}

#[tokio::test]
async fn an_answer_that_says_neither_yes_nor_no_is_ambiguous() {
    let nameless = r#"{"type":"success","message":""}"#;
    for script in [
        Script::Drop,
        Script::Hang,
        json("200 OK", "", "{}"),
        json("200 OK", "", "OK"),
        json("200 OK", "", nameless),
        json("502 Bad Gateway", "", "upstream"),
    ] {
        let error = exchange(script).await.0.unwrap_err();
        assert_eq!(error.class, FailureClass::Ambiguous, "{}", error.problem);
    }
}

#[tokio::test]
async fn the_passenger_reads_the_same_words_as_through_twilio() {
    let stand_in = StandIn::start(None).await.unwrap();
    let channel = channel(&stand_in.msg91_url());
    assert_eq!(channel.providers(), ["msg91"]);
    let receipt = send(&channel).await.unwrap();
    let messages = stand_in.ledger().messages(&Filter::default());
    let [message] = messages.as_slice() else {
        panic!("{} messages", messages.len())
    };
    assert_eq!(message.text, TEXT);
    assert_eq!(message.provider, Provider::Msg91);
    assert_eq!(message.provider_message_id, receipt.provider_message_id);
    assert_eq!(message.recipient, "+919876543210");
    assert_eq!(message.event_id.as_ref().unwrap().as_str(), "uuid-string");

    let mut cancelled = event();
    cancelled.event_type = EventType::BookingCancelled;
    let sms = channel.render(&cancelled).unwrap();
    channel.send(&sms, &delivery("msg91")).await.unwrap();
    let newest = stand_in.ledger().messages(&Filter::default());
    assert_eq!(newest[0].text, format!("CANCELLED {TEXT}"));
}

#[tokio::test]
async fn a_message_whose_answer_was_lost_cannot_be_looked_up() {
    let stand_in = StandIn::start(None).await.unwrap();
    let channel = channel(&stand_in.msg91_url());
    let drop = Rule::new(events::Channel::Sms, Effect::AcceptThenDrop);
    stand_in.faults().replace(vec![drop]).unwrap();
    let error = send(&channel).await.unwrap_err();
    assert_eq!(error.class, FailureClass::Ambiguous);
    let sms = channel.render(&event()).unwrap();
    let known = channel.look_up(&sms, &delivery("msg91")).await;
    assert_eq!(known, Ok(LookedUp::Unknown));
}

#[test]
fn an_event_without_a_flow_is_undeliverable() {
    let mut paid = event();
    paid.event_type = EventType::PaymentCompleted;
    let problem = channel("http://127.0.0.1:1").render(&paid).err().unwrap();
    assert_eq!(problem.stage, Stage::Render);
    assert!(problem.problem.contains("PAYMENT_COMPLETED"), "{problem}");
}
