//! MSG91's API.

use events::Channel;
use sandbox::{Effect, Provider, Rule};
use serde_json::{Value, json};

use crate::running::{AUTHKEY, DLT_TEMPLATE, FLOW, Running, SMS_TOKEN, answer};

fn good() -> Value {
    json!({
        "template_id": FLOW,
        "DLT_TE_ID": DLT_TEMPLATE,
        "sender": "RAILTK",
        "recipients": [{
            "mobiles": "919876543210",
            "PNR": "2412345678", "TRAIN": "12951", "DOJ": "15-01-2027", "TIME": "17:00", "CLASS": "3A",
            "FROM": "Mumbai Central", "TO": "New Delhi", "NAME": "Asha Rao", "SEAT": "B2 31", "FARE": "2140.00",
        }],
    })
}

/// The good request with the value at a pointer replaced.
fn with(pointer: &str, value: Value) -> Value {
    let mut body = good();
    *body.pointer_mut(pointer).unwrap() = value;
    body
}

#[tokio::test]
async fn a_flow_is_kept_as_the_text_that_the_passenger_reads() {
    let sandbox = Running::start().await;
    let (status, body) = sandbox.flow(&good()).await;
    let kept = sandbox.only();
    assert_eq!((status, &body["type"]), (200, &json!("success")));
    assert_eq!(body["message"], kept.provider_message_id.as_str());
    assert_eq!(kept.provider_message_id.len(), 24);
    assert_eq!(
        kept.text,
        "PNR:2412345678,TRAIN:12951,DOJ:15-01-2027,TIME:17:00,3A,Mumbai Central TO New Delhi,Asha Rao,B2 31,FARE:2140.00"
    );
    assert_eq!(
        (kept.channel, kept.provider),
        (Channel::Sms, Provider::Msg91)
    );
    assert_eq!(
        (&*kept.recipient, &*kept.sender),
        ("+919876543210", "RAILTK")
    );
    assert_eq!(kept.event_id.as_ref().unwrap().as_str(), "evt-flow");
    assert_eq!(kept.pnr.as_ref().unwrap().as_str(), "2412345678");
    assert_eq!(kept.segments.as_ref().unwrap().segments, 1);
    assert_eq!(kept.template.as_ref().unwrap().name, FLOW);
}

#[tokio::test]
async fn what_msg91_refuses_is_refused_with_its_code() {
    let sandbox = Running::start().await;
    let value = "/recipients/0/NAME";
    for (body, status, code) in [
        (json!("no object"), 400, "102"),
        (with("/template_id", json!("unknown")), 400, "211"),
        (with("/template_id", Value::Null), 400, "211"),
        (with("/DLT_TE_ID", json!("1107160000000012346")), 400, "211"),
        (with("/DLT_TE_ID", json!("12345")), 400, "211"),
        (with("/sender", json!("RAIL24")), 400, "203"),
        (with("/recipients", json!([])), 400, "101"),
        (
            with("/recipients", json!([{"PNR": "2412345678"}])),
            400,
            "101",
        ),
        (
            with("/recipients/0/mobiles", json!("+919876543210")),
            200,
            "202",
        ),
        (
            with("/recipients/0/mobiles", json!("9876543210")),
            200,
            "202",
        ),
        (
            with("/recipients/0/mobiles", json!("911234567890")),
            200,
            "202",
        ),
        (with(value, json!("x".repeat(41))), 400, "310"),
        (
            with("/recipients/0", json!({"mobiles": "919876543210"})),
            400,
            "102",
        ),
    ] {
        let answer = sandbox.flow(&body).await;
        assert_eq!(
            (answer.0, &answer.1["code"]),
            (status, &json!(code)),
            "{body}"
        );
        assert_eq!(answer.1["type"], "error");
    }
    assert!(sandbox.all().is_empty());
    let longest = sandbox.flow(&with(value, json!("x".repeat(40)))).await;
    assert_eq!(longest.0, 200);
    let (_, stats) = sandbox.get("/api/stats").await;
    let expected = json!({"requests": 14, "refused": 13, "accepted": 1, "shown": 1});
    assert_eq!(stats["channels"]["sms"], expected);
}

#[tokio::test]
async fn only_a_known_authkey_may_send() {
    let sandbox = Running::start().await;
    let post = || {
        let url = format!("{}/msg91/api/v5/flow", sandbox.base);
        sandbox.http.post(url).json(&good())
    };
    for (request, code) in [(post(), "201"), (post().header("authkey", "wrong"), "207")] {
        let (status, body) = answer(request).await;
        assert_eq!((status, &body["apiError"]), (401, &json!(code)));
    }
    for known in [AUTHKEY, SMS_TOKEN] {
        let (status, _) = answer(post().header("authkey", known)).await;
        assert_eq!(status, 200);
    }
}

#[tokio::test]
async fn a_fault_of_twilio_alone_leaves_msg91_working() {
    let sandbox = Running::start().await;
    let status = |status, code| Effect::Status {
        status,
        code,
        retry_after_seconds: None,
    };
    let rules = vec![Rule::new(Channel::Sms, status(503, 20503)).provider(Provider::Twilio)];
    sandbox.faults.replace(rules).unwrap();
    let text = [("To", "+919876543210"), ("From", "RAILTK"), ("Body", "PNR")];
    assert_eq!(sandbox.sms(&text).await.0, 503);
    assert_eq!(sandbox.flow(&good()).await.0, 200);

    let body = json!({"rules": [{"channel": "sms", "provider": "msg91", "effect": {"type": "status", "status": 500, "code": 601}}]});
    assert_eq!(sandbox.put_faults(&body).await.0, 200);
    assert_eq!(sandbox.sms(&text).await.0, 201);
    let (status, answer) = sandbox.flow(&good()).await;
    assert_eq!((status, &answer["code"]), (500, &json!("601")));
}
