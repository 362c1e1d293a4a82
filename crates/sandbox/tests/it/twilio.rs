//! Twilio's API.

use events::Channel;
use serde_json::{Value, json};

use crate::running::{ACCOUNT, Running, SMS_TOKEN, answer};

const GOOD: [(&str, &str); 3] = [
    ("To", "+919876543210"),
    ("From", "RAILTK"),
    ("Body", "PNR:2412345678,TRN:12951,₹2140"),
];

/// The good request with one field replaced, or left out.
fn with<'a>(name: &'a str, value: Option<&'a str>) -> Vec<(&'a str, &'a str)> {
    let others = GOOD.into_iter().filter(|(known, _)| *known != name);
    others.chain(value.map(|value| (name, value))).collect()
}

#[tokio::test]
async fn a_text_is_created_and_kept() {
    let sandbox = Running::start().await;
    let (status, body) = sandbox.sms(&GOOD).await;
    assert_eq!(status, 201);
    let kept = sandbox.only();
    assert_eq!(body["sid"], kept.provider_message_id.as_str());
    assert!(kept.provider_message_id.starts_with("SM") && kept.provider_message_id.len() == 34);
    assert_eq!(body["status"], "queued");
    assert_eq!(body["num_segments"], "1");
    assert_eq!(
        (&body["to"], &body["from"]),
        (&json!("+919876543210"), &json!("RAILTK"))
    );
    assert_eq!(body["error_code"], Value::Null);
    assert_eq!(kept.channel, Channel::Sms);
    assert_eq!(kept.event_id.as_ref().unwrap().as_str(), "evt-sms");
    assert_eq!(kept.pnr.as_ref().unwrap().as_str(), "2412345678");
    let size = kept.segments.as_ref().unwrap();
    assert_eq!(
        (size.encoding.as_str(), size.units, size.segments),
        ("UCS-2", 30, 1)
    );
}

#[tokio::test]
async fn a_messaging_service_may_stand_for_the_sender() {
    let sandbox = Running::start().await;
    let service = format!("MG{}", "a".repeat(32));
    let long = "a".repeat(161);
    let fields = [
        ("To", "+919876543210"),
        ("MessagingServiceSid", &service),
        ("Body", &long),
    ];
    let (status, body) = sandbox.sms(&fields).await;
    assert_eq!((status, &body["status"]), (201, &json!("accepted")));
    assert_eq!(body["messaging_service_sid"], service);
    assert_eq!(
        (&body["from"], &body["num_segments"]),
        (&Value::Null, &json!("2"))
    );
}

#[tokio::test]
async fn what_twilio_refuses_is_refused_with_its_code() {
    let sandbox = Running::start().await;
    let long = "a".repeat(1601);
    for (fields, code) in [
        (with("To", Some("12345")), 21211),
        (with("To", Some("9876543210")), 21211),
        (with("To", None), 21604),
        (with("From", None), 21603),
        (with("From", Some("NAME_TOO_LONG_BY_FAR")), 21212),
        (with("MessagingServiceSid", Some("MG1")), 21701),
        (with("Body", None), 21602),
        (with("Body", Some("  ")), 21602),
        (with("Body", Some(&long)), 21617),
    ] {
        let (status, body) = sandbox.sms(&fields).await;
        assert_eq!((status, &body["code"]), (400, &json!(code)));
        assert_eq!(body["status"], 400);
        assert_eq!(
            body["more_info"],
            format!("https://www.twilio.com/docs/errors/{code}")
        );
    }
    assert!(sandbox.all().is_empty());
    let (_, stats) = sandbox.get("/api/stats").await;
    assert_eq!(
        stats["channels"]["sms"],
        json!({"requests": 9, "refused": 9, "accepted": 0, "shown": 0})
    );
}

#[tokio::test]
async fn only_the_known_account_may_send() {
    let sandbox = Running::start().await;
    let url = |account: &str| {
        format!(
            "{}/twilio/2010-04-01/Accounts/{account}/Messages.json",
            sandbox.base
        )
    };
    let post = |account: &str| sandbox.http.post(url(account)).form(&GOOD);
    for request in [
        post(ACCOUNT),
        post(ACCOUNT).basic_auth(ACCOUNT, Some("wrong")),
        post(ACCOUNT).basic_auth("AC1", Some(SMS_TOKEN)),
    ] {
        let (status, body) = answer(request).await;
        assert_eq!((status, &body["code"]), (401, &json!(20003)));
    }
    let (status, body) = answer(post("AC1").basic_auth(ACCOUNT, Some(SMS_TOKEN))).await;
    assert_eq!((status, &body["code"]), (404, &json!(20404)));
}

#[tokio::test]
async fn what_was_accepted_can_be_looked_up() {
    let sandbox = Running::start().await;
    let (_, created) = sandbox.sms(&GOOD).await;
    sandbox.sms(&with("To", Some("+919876543211"))).await;
    let look = |path: &str| {
        let url = format!(
            "{}/twilio/2010-04-01/Accounts/{ACCOUNT}/{path}",
            sandbox.base
        );
        answer(sandbox.http.get(url).basic_auth(ACCOUNT, Some(SMS_TOKEN)))
    };
    let sid = created["sid"].as_str().unwrap();
    let (status, one) = look(&format!("Messages/{sid}.json")).await;
    assert_eq!(
        (status, &one["sid"], &one["status"]),
        (200, &created["sid"], &json!("delivered"))
    );
    let (_, list) = look("Messages.json?To=%2B919876543210").await;
    let list = list["messages"].as_array().unwrap();
    assert_eq!((list.len(), &list[0]["sid"]), (1, &created["sid"]));
    let (_, all) = look("Messages.json").await;
    assert_eq!(all["messages"].as_array().unwrap().len(), 2);
    let (_, page) = look("Messages.json?PageSize=1").await;
    let next = page["next_page_uri"].as_str().unwrap();
    let (_, rest) = look(next.rsplit('/').next().unwrap()).await;
    assert_eq!(rest["messages"][0]["sid"], created["sid"]);
    assert_eq!(rest["next_page_uri"], Value::Null);
    let today = sandbox.all()[0].accepted_at.date_naive();
    for (query, found) in [
        (format!("DateSent%3E={today}"), 2),
        (format!("DateSent={today}"), 2),
        (format!("DateSent%3C={}", today.pred_opt().unwrap()), 0),
        (format!("DateSent%3E={}", today.succ_opt().unwrap()), 0),
    ] {
        let (_, list) = look(&format!("Messages.json?{query}")).await;
        assert_eq!(list["messages"].as_array().unwrap().len(), found, "{query}");
    }
    let (status, body) = look("Messages/SM1.json").await;
    assert_eq!((status, &body["code"]), (404, &json!(20404)));
}
