//! Connections that are kept: which serve another letter, and which are replaced.

use std::time::Duration;

use delivery::{FailureClass, Scope};

use crate::relay::{ONE_AT_A_TIME, Relay};
use crate::{channel_to, send};

#[tokio::test]
async fn letters_share_a_connection() {
    // A relay that offers PIPELINING hears RCPT and DATA before it answers; one that does not, nothing.
    for (script, early) in [(vec![], 6), (ONE_AT_A_TIME.to_vec(), 0)] {
        let relay = Relay::start(script).await;
        three_letters(&relay).await;
        assert_eq!(relay.early(), early);
    }
}

async fn three_letters(relay: &Relay) {
    let channel = channel_to(relay);
    for _ in 0..3 {
        let receipt = send(&channel).await.unwrap();
        let id = "<uuid-string.email@harkara.example>";
        assert_eq!(receipt.provider_message_id, id);
    }
    let dialogue = [
        "MAIL FROM:<tickets@harkara.example>",
        "RCPT TO:<user@example.com>",
        "DATA",
        ".",
    ];
    let heard = relay.heard();
    assert_eq!(heard.get(3..).unwrap(), [dialogue; 3].concat());
    assert_eq!(relay.count("GREETING"), 1);
}

#[tokio::test]
async fn a_refused_recipient_is_permanent_and_leaves_the_connection_usable() {
    let one_at_a_time = ONE_AT_A_TIME.to_vec();
    let pipelining = vec![("DATA", "503 5.5.1 nobody to write to")];
    for mut script in [one_at_a_time, pipelining] {
        script.push(("RCPT", "550 5.1.1 <user@example.com>: no such user"));
        let relay = Relay::start(script).await;
        let channel = channel_to(&relay);
        let error = send(&channel).await.unwrap_err();
        assert_eq!(error.class, FailureClass::Permanent);
        assert_eq!(error.status.as_deref(), Some("550 5.1.1"));
        assert!(!error.problem.contains("user@"), "{}", error.problem);
        send(&channel).await.unwrap();
        assert_eq!((relay.count("GREETING"), relay.count("RSET")), (1, 1));
    }
}

#[tokio::test]
async fn a_relay_that_waits_for_a_message_to_nobody_is_left() {
    for word in ["MAIL", "RCPT"] {
        let relay = Relay::start(vec![(word, "550 5.1.1 no")]).await;
        let channel = channel_to(&relay);
        let error = send(&channel).await.unwrap_err();
        assert_eq!(error.status.as_deref(), Some("550 5.1.1"));
        assert_eq!(relay.count("."), 0);
        send(&channel).await.unwrap();
        assert_eq!((relay.count("GREETING"), relay.count(".")), (2, 1));
    }
}

#[tokio::test]
async fn a_refused_message_leaves_the_connection_usable() {
    let relay = Relay::start(vec![(".", "451 4.3.0 try later")]).await;
    let channel = channel_to(&relay);
    assert_eq!(
        send(&channel).await.unwrap_err().class,
        FailureClass::Transient(Scope::Account)
    );
    send(&channel).await.unwrap();
    assert_eq!((relay.count("GREETING"), relay.count("RSET")), (1, 0));
}

#[tokio::test]
async fn a_relay_that_leaves_is_not_waited_for() {
    for script in [
        vec![("RCPT", "421 4.3.2 leaving"), ("DATA", "HANG")],
        vec![(".", "421 4.3.2 leaving")],
    ] {
        let what = format!("{script:?}");
        let relay = Relay::start(script).await;
        let channel = channel_to(&relay);
        let error = send(&channel).await.unwrap_err();
        assert_eq!(error.status.as_deref(), Some("421 4.3.2"), "{what}");
        send(&channel).await.unwrap();
        assert_eq!(relay.count("GREETING"), 2, "{what}");
    }
}

#[tokio::test]
async fn a_dialogue_given_up_halfway_is_never_taken_up_again() {
    let relay = Relay::start(vec![(".", "HANG")]).await;
    let channel = channel_to(&relay);
    send(&channel).await.unwrap_err();
    send(&channel).await.unwrap();
    assert_eq!(relay.count("GREETING"), 2);
}

#[tokio::test]
async fn a_kept_connection_that_the_relay_closed_is_replaced() {
    for farewell in [
        "421 4.4.2 idle for too long",
        "451 4.4.2 Timeout waiting for data from client.",
        "451 Timeout waiting for data from client.",
        "CLOSE",
    ] {
        let script = vec![("MAIL", "250 first"), ("MAIL", farewell)];
        let relay = Relay::start(script).await;
        let channel = channel_to(&relay);
        send(&channel).await.unwrap();
        send(&channel).await.unwrap();
        assert_eq!(relay.count("GREETING"), 2, "{farewell}");
        assert_eq!(relay.count("."), 2, "{farewell}");
    }
}

#[tokio::test]
async fn a_kept_connection_that_takes_no_reset_is_replaced() {
    for farewell in ["451 4.4.2 Timeout waiting for data from client.", "CLOSE"] {
        let mut script = ONE_AT_A_TIME.to_vec();
        script.extend([("RCPT", "550 5.1.1 no"), ("RSET", farewell)]);
        let relay = Relay::start(script).await;
        let channel = channel_to(&relay);
        send(&channel).await.unwrap_err();
        send(&channel).await.unwrap();
        assert_eq!(relay.count("GREETING"), 2, "{farewell}");
        assert_eq!(relay.count("."), 1, "{farewell}");
    }
}

#[tokio::test]
async fn a_refusal_on_a_new_connection_is_the_relay_s_word() {
    let refusal = ("MAIL", "451 4.3.0 not now");
    let relay = Relay::start(vec![("MAIL", "250 first"), refusal, refusal]).await;
    let channel = channel_to(&relay);
    send(&channel).await.unwrap();
    let error = send(&channel).await.unwrap_err();
    assert_eq!(error.class, FailureClass::Transient(Scope::Account));
    assert_eq!((relay.count("GREETING"), relay.count("MAIL")), (2, 3));
}

#[tokio::test]
async fn a_limit_on_a_kept_connection_is_no_farewell() {
    let limit = ("MAIL", "454 4.7.0 Throttling failure");
    let relay = Relay::start(vec![("MAIL", "250 first"), limit]).await;
    let channel = channel_to(&relay);
    send(&channel).await.unwrap();
    let error = send(&channel).await.unwrap_err();
    let expected = FailureClass::RateLimited {
        after: Duration::from_mins(1),
        scope: Scope::Account,
    };
    assert_eq!(error.class, expected);
    assert_eq!(relay.count("GREETING"), 1);
}
