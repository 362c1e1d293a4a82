#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
//! The e-mail channel against a relay that answers what each test tells it to.

mod connections;
mod relay;
mod trust;

use std::sync::Arc;
use std::time::Duration;

use chassis::SystemClock;
use clap::Parser;
use delivery::{Channel, Delivery, FailureClass, LookedUp, Receipt, Scope, SendError};
use email_notifier::EmailSettings;
use events::BookingEvent;
use relay::{ONE_AT_A_TIME, Relay, Script};
use sandbox::{Effect, Filter, Rule};
use testkit::StandIn;

#[derive(Parser)]
struct Example {
    #[command(flatten)]
    email: EmailSettings,
}

fn channel(url: &str, timeout: Duration) -> impl Channel + use<> {
    let example = Example::parse_from(["example", "--smtp-url", url]);
    email_notifier::channel(&example.email, timeout, 4, Arc::new(SystemClock)).unwrap()
}

fn channel_to(relay: &Relay) -> impl Channel + use<> {
    let url = format!("smtp://{}", relay.address);
    channel(&url, Duration::from_millis(500))
}

async fn send(channel: &impl Channel) -> Result<Receipt, SendError> {
    send_to(channel, "user@example.com").await
}

async fn send_to(channel: &impl Channel, address: &str) -> Result<Receipt, SendError> {
    let sample = include_bytes!("../../../../crates/events/golden/specification-sample.json");
    let mut event = BookingEvent::decode(sample).unwrap();
    event.user_email = Some(address.to_owned());
    let letter = channel.render(&event).unwrap();
    channel.send(&letter, &delivery(&event)).await
}

fn delivery(event: &BookingEvent) -> Delivery {
    Delivery {
        provider: "smtp",
        event_id: event.event_id.clone(),
        topic: "booking-confirmed".into(),
        attempt: 1,
    }
}

async fn failure(script: Script) -> SendError {
    let relay = Relay::start(script).await;
    send(&channel_to(&relay)).await.unwrap_err()
}

#[tokio::test]
async fn a_reply_of_several_lines_is_read_to_its_code() {
    let script = vec![("MAIL", "450-4.7.1 slow\r\n450 4.7.1 down")];
    let expected = FailureClass::RateLimited {
        after: Duration::from_mins(1),
        scope: Scope::Account,
    };
    assert_eq!(failure(script).await.class, expected);
}

#[tokio::test]
async fn silence_before_the_message_is_transient() {
    for word in ["GREETING", "EHLO", "MAIL", "RCPT", "DATA"] {
        for silence in [(word, "HANG"), (word, "CLOSE")] {
            let mut one_at_a_time = ONE_AT_A_TIME.to_vec();
            one_at_a_time.insert(0, silence);
            let class = failure(vec![silence]).await.class;
            let classes = [class, failure(one_at_a_time).await.class];
            let expected = FailureClass::Transient(Scope::Account);
            assert_eq!(classes, [expected; 2], "{silence:?}");
        }
    }
}

/// Ours, with which it is asked what it takes at once.
#[tokio::test]
async fn silence_to_the_second_ehlo_is_transient_and_a_refusal_is_none_of_ours() {
    let first = ("EHLO", "250-relay.example\r\n250 8BITMIME");
    for silence in ["HANG", "CLOSE", "421 4.3.2 not now"] {
        let class = failure(vec![first, ("EHLO", silence)]).await.class;
        let expected = FailureClass::Transient(Scope::Account);
        assert_eq!(class, expected, "{silence}");
    }
    let relay = Relay::start(vec![first, ("EHLO", "503 5.5.1 again?")]).await;
    send(&channel_to(&relay)).await.unwrap();
    assert_eq!((relay.early(), relay.count(".")), (0, 1));
}

#[tokio::test]
async fn a_no_is_heard_although_the_relay_says_nothing_after_it() {
    for word in ["MAIL", "RCPT"] {
        let script = vec![(word, "550 5.1.1 no"), ("DATA", "HANG")];
        let relay = Relay::start(script).await;
        let channel = channel_to(&relay);
        let error = send(&channel).await.unwrap_err();
        assert_eq!(error.status.as_deref(), Some("550 5.1.1"), "{word}");
        send(&channel).await.unwrap();
        assert_eq!(relay.count("GREETING"), 2, "{word}");
    }
}

#[tokio::test]
async fn a_reply_of_another_kind_is_no_yes() {
    let class = |script| async { failure(script).await.class };
    let again = class(vec![(".", "354 go on")]).await;
    assert_eq!(again, FailureClass::Ambiguous);
    let unreadable = class(vec![(".", "GARBLED")]).await;
    assert_eq!(unreadable, FailureClass::Ambiguous);
    for word in ["MAIL", "RCPT"] {
        let early = class(vec![(word, "354 go on")]).await;
        assert_eq!(early, FailureClass::Transient(Scope::Account), "{word}");
    }
}

#[tokio::test]
async fn silence_after_the_message_is_ambiguous() {
    for silence in ["HANG", "CLOSE"] {
        let error = failure(vec![(".", silence)]).await;
        assert_eq!(error.class, FailureClass::Ambiguous, "{silence}");
    }
}

#[tokio::test]
async fn a_relay_that_refuses_us_is_misconfigured() {
    for script in [
        vec![("GREETING", "554 no SMTP service here")],
        vec![("MAIL", "530 5.7.0 log in first")],
        vec![("RCPT", "530 5.7.0 log in first")],
        vec![(
            ".",
            "554 Message rejected: Email address is not verified. <user@example.com>",
        )],
    ] {
        let error = failure(script).await;
        assert_eq!(error.class, FailureClass::Misconfigured(Scope::Account));
        assert!(!format!("{error:?}").contains("user@"), "{error:?}");
    }
}

#[tokio::test]
async fn a_policy_against_one_message_is_not_held_against_the_others() {
    for script in [
        vec![("RCPT", "550 5.7.1 blocked by policy")],
        vec![(".", "550 5.7.26 unauthenticated mail")],
    ] {
        let relay = Relay::start(script).await;
        let channel = channel_to(&relay);
        let error = send(&channel).await.unwrap_err();
        assert_eq!(error.class, FailureClass::Misconfigured(Scope::Recipient));
        send(&channel).await.unwrap();
    }
}

#[tokio::test]
async fn a_greylist_slows_down_its_recipient_alone() {
    let expected = FailureClass::RateLimited {
        after: Duration::from_mins(5),
        scope: Scope::Recipient,
    };
    let script = vec![("RCPT", "450 4.7.1 greylisted, try again later")];
    assert_eq!(failure(script).await.class, expected);
}

#[tokio::test]
async fn an_earlier_letter_cannot_be_looked_up() {
    let channel = channel("smtp://127.0.0.1:1", Duration::from_secs(1));
    let sample = include_bytes!("../../../../crates/events/golden/specification-sample.json");
    let event = BookingEvent::decode(sample).unwrap();
    let letter = channel.render(&event).unwrap();
    let known = channel.look_up(&letter, &delivery(&event)).await;
    assert_eq!(known, Ok(LookedUp::Unknown));
}

#[tokio::test]
async fn starttls_is_never_done_without() {
    let relay = Relay::start(vec![]).await;
    let url = format!("smtp://{}?tls=required", relay.address);
    let error = send(&channel(&url, Duration::from_secs(5)))
        .await
        .unwrap_err();
    assert_eq!(error.class, FailureClass::Misconfigured(Scope::Account));
    assert_eq!(relay.count("MAIL"), 0);
}

#[tokio::test]
async fn credentials_are_offered_as_the_relay_asks() {
    let ehlo = "250-relay.example\r\n250 AUTH PLAIN";
    let relay = Relay::start(vec![("EHLO", ehlo)]).await;
    let url = format!("smtp://user:p%40ss@{}", relay.address);
    send(&channel(&url, Duration::from_secs(5))).await.unwrap();
    // base64 of NUL user NUL p@ss.
    assert_eq!(relay.count("AUTH PLAIN AHVzZXIAcEBzcw=="), 1);
    // A relay may forget the log-in with the next EHLO.
    let heard = relay.heard();
    let last_hello = heard.iter().rposition(|line| line.starts_with("EHLO"));
    let log_in = heard.iter().position(|line| line.starts_with("AUTH"));
    assert!(last_hello < log_in, "{heard:?}");

    let script = vec![("EHLO", ehlo), ("AUTH", "535 5.7.8 wrong password")];
    let relay = Relay::start(script).await;
    let url = format!("smtp://user:wrong@{}", relay.address);
    let error = send(&channel(&url, Duration::from_secs(5)))
        .await
        .unwrap_err();
    assert_eq!(error.class, FailureClass::Misconfigured(Scope::Account));
    assert_eq!(error.status.as_deref(), Some("535 5.7.8"));
}

#[tokio::test]
async fn an_address_outside_ascii_needs_a_relay_that_carries_it() {
    let relay = Relay::start(vec![]).await;
    let error = send_to(&channel_to(&relay), "आशा@example.com").await;
    assert_eq!(error.unwrap_err().class, FailureClass::Permanent);

    let relay = Relay::start(vec![("EHLO", "250-relay.example\r\n250 SMTPUTF8")]).await;
    send_to(&channel_to(&relay), "आशा@example.com")
        .await
        .unwrap();
    assert_eq!(
        relay.count("MAIL FROM:<tickets@harkara.example> SMTPUTF8"),
        1
    );
}

#[tokio::test]
async fn a_domain_outside_ascii_needs_no_such_relay() {
    let relay = Relay::start(vec![]).await;
    send_to(&channel_to(&relay), "asha@डाक.भारत").await.unwrap();
    assert_eq!(relay.count("RCPT TO:<asha@xn--11bx1g.xn--h2brj9c>"), 1);
    assert_eq!(relay.count("."), 1);
}

#[tokio::test]
async fn a_relay_that_is_not_there_is_transient() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let channel = channel(&format!("smtp://{address}"), Duration::from_secs(5));
    assert_eq!(
        send(&channel).await.unwrap_err().class,
        FailureClass::Transient(Scope::Account)
    );
}

#[tokio::test]
async fn an_smtps_address_without_tls_behind_it_is_misconfigured() {
    let relay = Relay::start(vec![]).await;
    let url = format!("smtps://{}", relay.address);
    let error = send(&channel(&url, Duration::from_secs(5)))
        .await
        .unwrap_err();
    assert_eq!(
        error.class,
        FailureClass::Misconfigured(Scope::Account),
        "{}",
        error.problem
    );
}

#[tokio::test]
async fn the_sandbox_takes_a_letter_once_whatever_happens_to_the_answer() {
    let stand_in = StandIn::start(None).await.unwrap();
    let channel = channel(&stand_in.smtp_url(), Duration::from_secs(5));
    send(&channel).await.unwrap();
    let letters = stand_in.ledger().messages(&Filter::default());
    let [letter] = letters.as_slice() else {
        panic!("{} letters", letters.len())
    };
    assert_eq!(letter.recipient, "user@example.com");
    assert_eq!(letter.event_id.as_ref().unwrap().as_str(), "uuid-string");
    assert_eq!(letter.pnr.as_ref().unwrap().as_str(), "1234567890");
    assert!(letter.text.contains("₹5,000.00"));
    assert!(letter.html.as_ref().unwrap().contains("₹5,000.00"));

    let drop = Rule::new(events::Channel::Email, Effect::AcceptThenDrop);
    stand_in.faults().replace(vec![drop.times(1)]).unwrap();
    let error = send(&channel).await.unwrap_err();
    assert_eq!(error.class, FailureClass::Ambiguous);
    assert_eq!(stand_in.ledger().messages(&Filter::default()).len(), 2);
}
