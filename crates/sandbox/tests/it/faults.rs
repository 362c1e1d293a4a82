//! Misbehaviour on demand.

use std::time::{Duration, Instant};

use events::Channel;
use lettre::AsyncTransport;
use reqwest::header::RETRY_AFTER;
use sandbox::{Effect, Rule, SmtpStage};
use serde_json::json;

use crate::running::{ACCOUNT, Running, SMS_TOKEN, confirmed, mail};

const TEXT: [(&str, &str); 3] = [
    ("To", "+919876543210"),
    ("From", "RAILTK"),
    ("Body", "hello"),
];

fn smtp(reply: &str, stage: SmtpStage) -> Rule {
    let reply = reply.to_owned();
    Rule::new(Channel::Email, Effect::SmtpCode { reply, stage })
}

#[tokio::test]
async fn a_mail_refused_once_is_accepted_the_second_time() {
    let sandbox = Running::start().await;
    let mailer = sandbox.mailer();
    for stage in [SmtpStage::Rcpt, SmtpStage::Data] {
        sandbox
            .faults
            .replace(vec![smtp("451 4.3.0 try again later", stage).times(1)])
            .unwrap();
        let refused = mailer.send(mail("one", "<p>one</p>")).await.unwrap_err();
        assert!(refused.is_transient());
        assert_eq!(refused.status().unwrap().to_string(), "451");
        mailer.send(mail("one", "<p>one</p>")).await.unwrap();
    }
    assert_eq!(sandbox.all().len(), 2);
    let (_, stats) = sandbox.get("/api/stats").await;
    assert_eq!(
        stats["channels"]["email"],
        json!({"requests": 4, "refused": 2, "accepted": 2, "shown": 2})
    );
}

#[tokio::test]
async fn a_rejected_recipient_leaves_the_others_alone() {
    let sandbox = Running::start().await;
    let rule = smtp("550 5.1.1 no such user", SmtpStage::Rcpt).recipient("asha@example.com");
    sandbox.faults.replace(vec![rule]).unwrap();
    let refused = sandbox.mailer().send(mail("one", "")).await.unwrap_err();
    assert!(refused.is_permanent());
    let other = crate::running::envelope().to("ravi@example.com".parse().unwrap());
    assert!(
        sandbox
            .mailer()
            .send(other.body("two".to_owned()).unwrap())
            .await
            .is_err()
    );
    assert!(
        sandbox.all().is_empty(),
        "lettre gives up the mail with one of its recipients"
    );
}

#[tokio::test]
async fn a_reply_of_421_closes_the_connection() {
    let sandbox = Running::start().await;
    sandbox
        .faults
        .replace(vec![
            smtp("421 4.7.0 too many connections", SmtpStage::Data).times(1),
        ])
        .unwrap();
    let mailer = sandbox.mailer();
    assert!(mailer.send(mail("one", "")).await.is_err());
    mailer.send(mail("one", "")).await.unwrap();
    assert_eq!(sandbox.all().len(), 1);
}

#[tokio::test]
async fn an_accepted_mail_whose_answer_is_dropped_is_in_the_ledger_once() {
    let sandbox = Running::start().await;
    sandbox
        .faults
        .replace(vec![Rule::new(Channel::Email, Effect::AcceptThenDrop)])
        .unwrap();
    let lost = sandbox.mailer().send(mail("one", "")).await.unwrap_err();
    assert!(
        !lost.is_permanent() && !lost.is_transient(),
        "no reply: {lost}"
    );
    assert!(!sandbox.only().answered);
}

#[tokio::test]
async fn an_accepted_text_or_chat_message_whose_answer_is_dropped_is_in_the_ledger_once() {
    let sandbox = Running::start().await;
    let drops =
        [Channel::Sms, Channel::Whatsapp].map(|channel| Rule::new(channel, Effect::AcceptThenDrop));
    sandbox.faults.replace(drops.to_vec()).unwrap();
    let sms = format!(
        "{}/twilio/2010-04-01/Accounts/{ACCOUNT}/Messages.json",
        sandbox.base
    );
    let sms = sandbox
        .http
        .post(sms)
        .basic_auth(ACCOUNT, Some(SMS_TOKEN))
        .form(&TEXT);
    let lost = sms.send().await.unwrap_err();
    assert!(lost.is_request(), "{lost:?}");
    assert!(!sandbox.only().answered);
    let whatsapp = format!(
        "{}/whatsapp/v23.0/{}/messages",
        sandbox.base,
        crate::running::SENDER
    );
    let whatsapp = sandbox
        .http
        .post(whatsapp)
        .bearer_auth(crate::running::WHATSAPP_TOKEN);
    whatsapp.json(&confirmed()).send().await.unwrap_err();
    assert_eq!(sandbox.all().len(), 2);
    assert!(sandbox.all().iter().all(|message| !message.answered));
    sandbox.faults.replace(vec![]).unwrap();
    assert_eq!(sandbox.sms(&TEXT).await.0, 201);
}

#[tokio::test]
async fn statuses_codes_and_retry_after_are_as_told() {
    let sandbox = Running::start().await;
    let rules = json!({"rules": [
        {"channel": "sms", "times": 1, "effect": {"type": "status", "status": 429, "code": 20429, "retryAfterSeconds": 7}},
        {"channel": "whatsapp", "effect": {"type": "status", "status": 400, "code": 131_056}},
    ]});
    assert_eq!(sandbox.put_faults(&rules).await.0, 200);
    let url = format!(
        "{}/twilio/2010-04-01/Accounts/{ACCOUNT}/Messages.json",
        sandbox.base
    );
    let sms = sandbox
        .http
        .post(url)
        .basic_auth(ACCOUNT, Some(SMS_TOKEN))
        .form(&TEXT);
    let limited = sms.send().await.unwrap();
    assert_eq!(
        (limited.status().as_u16(), &limited.headers()[RETRY_AFTER]),
        (429, &"7".parse().unwrap())
    );
    assert_eq!(sandbox.sms(&TEXT).await.0, 201);
    let (status, body) = sandbox.whatsapp(&confirmed()).await;
    assert_eq!((status, &body["error"]["code"]), (400, &json!(131_056)));
    let (_, faults) = sandbox.get("/api/faults").await;
    assert_eq!(
        (&faults["rules"][0]["hits"], &faults["rules"][1]["hits"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(
        sandbox.put_faults(&faults).await.0,
        200,
        "what was read can be put back"
    );
}

#[tokio::test]
async fn a_delay_only_delays() {
    let sandbox = Running::start().await;
    let delays =
        [Channel::Sms, Channel::Email].map(|channel| Rule::new(channel, Effect::Delay { ms: 300 }));
    sandbox.faults.replace(delays.to_vec()).unwrap();
    let started = Instant::now();
    assert_eq!(sandbox.sms(&TEXT).await.0, 201);
    sandbox.mail(mail("one", "")).await;
    assert!(started.elapsed() >= Duration::from_millis(600));
    assert_eq!(sandbox.all().len(), 2);
}

#[tokio::test]
async fn a_hang_says_nothing_then_closes_and_accepts_nothing() {
    let sandbox = Running::start().await;
    let hangs = [Channel::Sms, Channel::Email]
        .map(|channel| Rule::new(channel, Effect::Hang { seconds: 1 }));
    sandbox.faults.replace(hangs.to_vec()).unwrap();
    let url = format!(
        "{}/twilio/2010-04-01/Accounts/{ACCOUNT}/Messages.json",
        sandbox.base
    );
    let sms = sandbox
        .http
        .post(url)
        .basic_auth(ACCOUNT, Some(SMS_TOKEN))
        .form(&TEXT);
    let impatient = sms.try_clone().unwrap().timeout(Duration::from_millis(100));
    assert!(impatient.send().await.unwrap_err().is_timeout());
    let started = Instant::now();
    assert!(!sms.send().await.unwrap_err().is_timeout());
    let lost = sandbox.mailer().send(mail("one", "")).await.unwrap_err();
    assert!(!lost.is_permanent() && !lost.is_transient());
    assert!(started.elapsed() >= Duration::from_secs(2));
    assert!(sandbox.all().is_empty());
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_hang() {
    let sandbox = Running::start().await;
    let hangs = [Channel::Sms, Channel::Email]
        .map(|channel| Rule::new(channel, Effect::Hang { seconds: 600 }));
    sandbox.faults.replace(hangs.to_vec()).unwrap();
    let url = format!(
        "{}/twilio/2010-04-01/Accounts/{ACCOUNT}/Messages.json",
        sandbox.base
    );
    let sms = sandbox
        .http
        .post(url)
        .basic_auth(ACCOUNT, Some(SMS_TOKEN))
        .form(&TEXT);
    let sms = tokio::spawn(sms.send());
    let mailer = sandbox.mailer();
    let mail = tokio::spawn(async move { mailer.send(mail("one", "")).await });
    let deadline = Instant::now() + Duration::from_secs(5);
    while sandbox.faults.rules().iter().any(|rule| rule.hits == 0) {
        assert!(Instant::now() < deadline, "the hangs begin");
        tokio::task::yield_now().await;
    }
    sandbox.stop().await;
    assert!(sms.await.unwrap().is_err() && mail.await.unwrap().is_err());
}

#[tokio::test]
async fn bad_rules_are_refused_by_field() {
    let sandbox = Running::start().await;
    let drop = json!({"type": "acceptThenDrop"});
    for (document, pointer) in [
        (
            json!({"rules": [{"channel": "fax", "effect": drop}]}),
            "/rules/0/channel",
        ),
        (
            json!({"rules": [{"channel": "sms", "effect": drop, "rate": 2}]}),
            "/rules/0/rate",
        ),
        (
            json!({"rules": [{"channel": "sms", "effect": drop, "times": -1}]}),
            "/rules/0/times",
        ),
        (
            json!({"rules": [{"channel": "sms", "effect": drop, "colour": 1}]}),
            "/rules/0/colour",
        ),
        (
            json!({"rules": [{"channel": "sms", "effect": {"type": "delay"}}]}),
            "/rules/0/effect",
        ),
        (json!({"rules": [{"channel": "sms"}]}), "/rules/0"),
        (
            json!({"rules": [{"channel": "sms", "effect": {"type": "status", "status": 99, "code": 1}}]}),
            "/rules/0/effect/status",
        ),
        (json!([]), ""),
    ] {
        let (status, problem) = sandbox.put_faults(&document).await;
        assert_eq!(
            (status, &problem["errors"][0]["pointer"]),
            (422, &json!(pointer)),
            "{problem}"
        );
        assert!(!problem["errors"][0]["detail"].as_str().unwrap().is_empty());
    }
    let (_, faults) = sandbox.get("/api/faults").await;
    assert_eq!(faults, json!({"rules": []}));
}
