//! The WhatsApp Business Cloud API.

use events::{Channel, EventType};
use serde_json::{Value, json};

use crate::running::{Running, SENDER, VALUES, WHATSAPP_TOKEN, answer, confirmed, order};

#[tokio::test]
async fn a_template_message_is_accepted_and_rendered() {
    let sandbox = Running::start().await;
    let (status, body) = sandbox.whatsapp(&confirmed()).await;
    assert_eq!(status, 200, "{body}");
    let kept = sandbox.only();
    assert_eq!(body["messaging_product"], "whatsapp");
    assert_eq!(
        body["contacts"],
        json!([{"input": "+919876543210", "wa_id": "919876543210"}])
    );
    let message = json!({"id": kept.provider_message_id, "message_status": "accepted"});
    assert_eq!(body["messages"], json!([message]));
    assert!(kept.provider_message_id.starts_with("wamid."));
    assert_eq!(
        (kept.channel, kept.recipient.as_str()),
        (Channel::Whatsapp, "+919876543210")
    );
    assert_eq!(kept.event_id.as_ref().unwrap().as_str(), "evt-wa");
    assert_eq!(kept.event_type, Some(EventType::BookingConfirmed));
    assert_eq!(kept.pnr.as_ref().unwrap().as_str(), "2412345678");
    for (_, text) in VALUES {
        assert!(kept.text.contains(text), "{text}");
    }
    assert!(kept.text.contains("🎫") && !kept.text.contains("{{"));
    let template = kept.template.as_ref().unwrap();
    assert_eq!(
        (template.name.as_str(), template.params.len()),
        ("booking_confirmed", 11)
    );
}

#[tokio::test]
async fn names_may_come_in_any_order_and_positions_mean_the_same() {
    let sandbox = Running::start().await;
    let mut shuffled = confirmed();
    let parameters = &mut shuffled["template"]["components"][0]["parameters"];
    parameters.as_array_mut().unwrap().reverse();
    let positional = VALUES.map(|(_, text)| json!({"type": "text", "text": text}));
    let positional = order("booking_confirmed_positional", &json!(positional));
    for body in [confirmed(), shuffled, positional] {
        assert_eq!(sandbox.whatsapp(&body).await.0, 200);
    }
    let texts: Vec<_> = sandbox
        .all()
        .iter()
        .map(|message| message.text.clone())
        .collect();
    assert!(texts.iter().all(|text| *text == texts[0]));
    assert!(sandbox.all().iter().all(|message| message.pnr.is_some()));
}

/// The good order, changed.
fn changed(change: impl FnOnce(&mut Value)) -> Value {
    let mut body = confirmed();
    change(&mut body);
    body
}

fn parameters(body: &mut Value) -> &mut Vec<Value> {
    body["template"]["components"][0]["parameters"]
        .as_array_mut()
        .unwrap()
}

/// Sends each order and compares HTTP status and code; nothing may be accepted.
async fn are_refused(cases: Vec<(Value, u16, u32)>) {
    let sandbox = Running::start().await;
    for (body, status, code) in cases {
        let (given, answer) = sandbox.whatsapp(&body).await;
        let error = &answer["error"];
        assert_eq!((given, &error["code"]), (status, &json!(code)), "{answer}");
        assert!(error["fbtrace_id"].is_string());
    }
    assert!(sandbox.all().is_empty());
}

#[tokio::test]
async fn what_is_no_template_message_to_a_number_is_refused() {
    let with = |field: &str, value: Value| changed(|body| body[field] = value);
    are_refused(vec![
        (json!([]), 400, 100),
        (with("messaging_product", json!("sms")), 400, 100),
        (with("to", Value::Null), 400, 100),
        (with("to", json!("+91 12345")), 400, 131_009),
        // Without its + the sender's country code comes before it: +91 91 98765 43210 is nobody.
        (with("to", json!("919876543210")), 400, 131_009),
        (with("type", json!("text")), 400, 131_047),
        (with("type", json!("sticker")), 400, 131_051),
    ])
    .await;
}

#[tokio::test]
async fn templates_that_are_not_approved_are_refused() {
    let with = |field: &str, value: Value| changed(|body| body["template"][field] = value);
    are_refused(vec![
        (changed(|body| body["template"] = Value::Null), 400, 131_008),
        (with("name", Value::Null), 400, 131_008),
        (with("language", Value::Null), 400, 131_008),
        (with("name", json!("nothing")), 404, 132_001),
        (with("language", json!({"code": "en_US"})), 404, 132_001),
    ])
    .await;
}

#[tokio::test]
async fn parameters_that_do_not_fit_the_template_are_refused() {
    let first = |field: &str, value: Value| changed(|body| parameters(body)[0][field] = value);
    let template = |field: &str, value: Value| changed(|body| body["template"][field] = value);
    let header = json!([{"type": "header", "parameters": [{"type": "text", "text": "x"}]}]);
    are_refused(vec![
        (changed(|body| drop(parameters(body).pop())), 400, 132_000),
        (template("components", json!([])), 400, 132_000),
        (template("components", header), 400, 132_000),
        (
            template("name", json!("booking_confirmed_positional")),
            400,
            132_012,
        ),
        (first("parameter_name", json!("name")), 400, 132_012),
        (first("parameter_name", json!("pnr")), 400, 132_012),
        (first("parameter_name", Value::Null), 400, 132_012),
        (first("type", json!("currency")), 400, 132_012),
        (first("text", json!("")), 400, 131_008),
        (first("text", json!("two\nlines")), 400, 132_018),
        (first("text", json!("a\ttab")), 400, 132_018),
        (first("text", json!("five     spaces")), 400, 132_018),
        (first("text", json!("x".repeat(1000))), 400, 132_005),
    ])
    .await;
}

#[tokio::test]
async fn only_the_known_token_and_number_may_send() {
    let sandbox = Running::start().await;
    let post = |path: &str| {
        let url = format!("{}/whatsapp/{path}/messages", sandbox.base);
        sandbox.http.post(url).json(&confirmed())
    };
    let good = format!("v23.0/{SENDER}");
    for (request, status, code) in [
        (post(&good), 403, 200),
        (post(&good).bearer_auth("expired"), 401, 190),
        (post("v23.0/1").bearer_auth(WHATSAPP_TOKEN), 400, 100),
        (
            post(&format!("latest/{SENDER}")).bearer_auth(WHATSAPP_TOKEN),
            400,
            2500,
        ),
    ] {
        let (given, body) = answer(request).await;
        assert_eq!((given, &body["error"]["code"]), (status, &json!(code)));
    }
    let (_, body) = answer(post("v23.0/1").bearer_auth(WHATSAPP_TOKEN)).await;
    assert_eq!(
        (&body["error"]["error_subcode"], &body["error"]["type"]),
        (&json!(33), &json!("GraphMethodException"))
    );
}
