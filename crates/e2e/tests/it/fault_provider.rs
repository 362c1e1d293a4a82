//! Providers on a bad day.

use events::Channel;
use sandbox::{Effect, Rule, SmtpStage};
use testkit::{System, eventually};

use crate::client::{book, request, told};

fn smtp(reply: &str, stage: SmtpStage) -> Effect {
    Effect::SmtpCode {
        reply: reply.to_owned(),
        stage,
    }
}

fn status(status: u16, code: u32, retry_after_seconds: Option<u64>) -> Effect {
    Effect::Status {
        status,
        code,
        retry_after_seconds,
    }
}

async fn patient_system() -> System {
    let quick = [
        ("RETRY_BASE", "100ms"),
        ("RETRY_CAP", "2s"),
        ("PROVIDER_TIMEOUT", "2s"),
    ];
    let builder = quick
        .into_iter()
        .fold(System::builder(), |builder, (name, value)| {
            builder.with(name, value)
        });
    builder.start().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_pass_is_tried_again_until_it_is_delivered() {
    let system = patient_system().await;
    let passing = [
        Rule::new(
            Channel::Email,
            smtp("451 4.3.0 try again later", SmtpStage::Data),
        )
        .times(2),
        Rule::new(Channel::Email, smtp("421 4.3.2 closing", SmtpStage::Rcpt)).times(1),
        Rule::new(Channel::Email, Effect::Hang { seconds: 4 }).times(1),
        Rule::new(Channel::Sms, status(503, 20500, None)).times(2),
        Rule::new(Channel::Sms, status(429, 20429, Some(2))).times(1),
        Rule::new(Channel::Sms, Effect::Hang { seconds: 4 }).times(1),
        Rule::new(Channel::Whatsapp, status(503, 131_016, None)).times(2),
        Rule::new(Channel::Whatsapp, status(400, 130_429, None)).times(1),
        Rule::new(Channel::Whatsapp, Effect::Hang { seconds: 4 }).times(1),
    ];
    for rule in passing {
        let channel = rule.channel;
        system.faults().replace(vec![rule.clone()]).unwrap();
        let pnr = book(&system, &request("user@example.com", "9876543210")).await;
        let messages = told(&system, channel, &pnr, 1).await;
        assert_eq!(messages.len(), 1, "{rule:?}");
        let [after] = system.faults().rules().try_into().unwrap();
        assert_eq!(Some(after.hits), rule.times, "the fault was met: {rule:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_will_never_pass_is_a_dead_letter_at_once() {
    let system = patient_system().await;
    let refusals = [
        (
            Channel::Email,
            smtp("550 5.1.1 no such user", SmtpStage::Rcpt),
            "550 5.1.1",
            "smtp",
        ),
        (Channel::Sms, status(400, 21211, None), "21211", "twilio"),
        (
            Channel::Whatsapp,
            status(400, 131_026, None),
            "131026",
            "whatsapp_cloud_api",
        ),
    ];
    let topics = Channel::ALL.map(|channel| channel.dead_letter_topic("booking-confirmed"));
    let mut dead_letters = system.broker().reader(topics).unwrap();
    for (channel, effect, code, provider) in refusals {
        system
            .faults()
            .replace(vec![Rule::new(channel, effect)])
            .unwrap();
        let pnr = book(&system, &request("user@example.com", "9876543210")).await;
        let topic = channel.dead_letter_topic("booking-confirmed");
        let letter = dead_letters.find(&topic, &pnr).await.unwrap();
        let header = |name: &str| letter.header(name).unwrap().to_owned();
        assert_eq!(header("dlq-class"), "PERMANENT");
        assert_eq!(header("dlq-stage"), "send");
        assert_eq!(header("dlq-attempts"), "1");
        assert_eq!(header("dlq-provider"), provider);
        assert!(
            header("dlq-provider-status").contains(code),
            "{}",
            header("dlq-provider-status")
        );
        assert_eq!(header("ce_id"), header("dlq-event-id"));
        assert!(!header("dlq-error").contains("user@example.com"));
        assert!(!header("dlq-error").contains("9876543210"));
        assert!(system.told(channel, &pnr).is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_that_are_used_up_are_a_dead_letter_with_their_count() {
    let system = System::builder()
        .with("RETRY_BASE", "20ms")
        .with("MAX_ATTEMPTS", "3")
        .start()
        .await
        .unwrap();
    system
        .faults()
        .replace(vec![Rule::new(Channel::Sms, status(503, 20500, None))])
        .unwrap();
    let pnr = book(&system, &request("user@example.com", "9876543210")).await;
    let topic = "booking-confirmed.sms.dlq";
    let letter = system
        .broker()
        .reader([topic])
        .unwrap()
        .find(topic, &pnr)
        .await
        .unwrap();
    assert_eq!(letter.header("dlq-class"), Some("EXHAUSTED"));
    assert_eq!(letter.header("dlq-attempts"), Some("3"));
    assert!(letter.header("dlq-first-failure-at") < letter.header("dlq-last-failure-at"));
    let [rule] = system.faults().rules().try_into().unwrap();
    assert_eq!(rule.hits, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passenger_whose_mail_always_fails_delays_nobody_else() {
    let system = System::builder()
        .with("CONCURRENCY", "2")
        .with("RETRY_CAP", "200ms")
        .start()
        .await
        .unwrap();
    let broken = Rule::new(
        Channel::Email,
        smtp("550 5.7.1 your host is not trusted", SmtpStage::Rcpt),
    )
    .recipient("broken@example.com");
    system.faults().replace(vec![broken]).unwrap();
    for _ in 0..10 {
        book(&system, &request("broken@example.com", "9876543210")).await;
    }
    // Ten failures in a row and more: the circuit is none of theirs.
    eventually("failures", async || {
        (system.faults().rules()[0].hits > 15).then_some(())
    })
    .await;
    let pnr = book(&system, &request("fine@example.com", "9876543210")).await;
    told(&system, Channel::Email, &pnr, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_refused_dead_letters_nothing() {
    let system = System::builder().start().await.unwrap();
    system
        .faults()
        .replace(vec![
            Rule::new(Channel::Whatsapp, status(401, 190, None)).times(1),
        ])
        .unwrap();
    let pnr = book(&system, &request("user@example.com", "9876543210")).await;
    told(&system, Channel::Email, &pnr, 1).await;
    // It is left alone for five seconds, then tried again without an attempt spent.
    let messages = told(&system, Channel::Whatsapp, &pnr, 1).await;
    assert_eq!(messages.len(), 1);
}
