//! Asking Twilio what became of a message whose answer was lost.

use delivery::{Channel, FailureClass, LookedUp, Receipt, Scope, SendError};
use events::EventType;
use sandbox::{Effect, Filter, Provider, Rule};
use testkit::{Script, StandIn, json_answer as json, provider};

use super::{PATIENCE, channel, delivery, event, send};

fn twilio(stand_in: &StandIn) -> impl Channel + use<> {
    channel(&stand_in.twilio_url(), "RAILTK", PATIENCE)
}

async fn look_up(channel: &impl Channel) -> Result<LookedUp, SendError> {
    let sms = channel.render(&event()).unwrap();
    channel.look_up(&sms, &delivery("twilio")).await
}

async fn asked(script: Script) -> (Result<LookedUp, SendError>, String) {
    let (address, request) = provider(script).await;
    let channel = channel(&format!("http://{address}"), "RAILTK", PATIENCE);
    let known = look_up(&channel).await;
    (known, request.await.unwrap())
}

/// The effect on one send, which is ambiguous; then what Twilio says of it.
async fn after(stand_in: &StandIn, effect: Effect) -> LookedUp {
    let rule = Rule::new(events::Channel::Sms, effect).provider(Provider::Twilio);
    stand_in.faults().replace(vec![rule.times(1)]).unwrap();
    let channel = twilio(stand_in);
    let error = send(&channel).await.unwrap_err();
    assert_eq!(error.class, FailureClass::Ambiguous);
    look_up(&channel).await.unwrap()
}

#[tokio::test]
async fn a_message_whose_answer_was_dropped_is_found() {
    let stand_in = StandIn::start(None).await.unwrap();
    let known = after(&stand_in, Effect::AcceptThenDrop).await;
    let [message] = &stand_in.ledger().messages(&Filter::default())[..] else {
        panic!("not one message")
    };
    let provider_message_id = message.provider_message_id.clone();
    let receipt = Receipt {
        provider_message_id,
    };
    assert_eq!(known, LookedUp::Taken(receipt));
}

#[tokio::test]
async fn a_message_that_was_never_taken_is_not_found() {
    let stand_in = StandIn::start(None).await.unwrap();
    let known = after(&stand_in, Effect::Hang { seconds: 30 }).await;
    assert_eq!(known, LookedUp::NotTaken);
}

#[tokio::test]
async fn another_message_to_the_same_number_is_not_taken_for_it() {
    let stand_in = StandIn::start(None).await.unwrap();
    let channel = twilio(&stand_in);
    let mut cancelled = event();
    cancelled.event_type = EventType::BookingCancelled;
    let sms = channel.render(&cancelled).unwrap();
    channel.send(&sms, &delivery("twilio")).await.unwrap();
    assert_eq!(look_up(&channel).await, Ok(LookedUp::NotTaken));
}

#[tokio::test]
async fn twilio_is_asked_for_the_number_since_the_day_before_the_event() {
    let empty = r#"{"messages":[],"next_page_uri":null}"#;
    let (known, request) = asked(json("200 OK", "", empty)).await;
    assert_eq!(known, Ok(LookedUp::NotTaken));
    let day = event().event_timestamp.to_utc().date_naive();
    let since = day.pred_opt().unwrap();
    let start = format!(
        "GET /2010-04-01/Accounts/AC0123456789abcdef0123456789abcdef/Messages.json?To=%2B919876543210&DateSent%3E={since}&PageSize=1000 HTTP/1.1\r\n"
    );
    assert!(request.starts_with(&start), "{request}");
    assert!(request.contains("authorization: Basic "), "{request}");
}

#[tokio::test]
async fn a_list_that_goes_on_or_hides_its_words_proves_nothing() {
    for list in [
        r#"{"messages":[{"sid":"SM1","to":"+919876543210","body":"Hi"}],"next_page_uri":"/2"}"#,
        r#"{"messages":[{"sid":"SM1","to":"+919876543210","body":""}],"next_page_uri":null}"#,
        r#"{"messages":[{"sid":"SM1","to":"+919876543210"}],"next_page_uri":null}"#,
    ] {
        let (known, _) = asked(json("200 OK", "", list)).await;
        assert_eq!(known, Ok(LookedUp::Unknown), "{list}");
    }
    let others = r#"{"messages":[{"sid":"SM1","to":"+919876500000"}],"next_page_uri":null}"#;
    let (known, _) = asked(json("200 OK", "", others)).await;
    assert_eq!(known, Ok(LookedUp::NotTaken));
}

#[tokio::test]
async fn a_trial_account_s_message_is_known_without_twilio_s_words() {
    let text = sms_notifier::preview(&event()).unwrap();
    let body = format!("Sent from your Twilio trial account - {text}");
    let listed = serde_json::json!({"sid": "SM1", "to": "+919876543210", "body": body});
    let list = serde_json::json!({"messages": [listed], "next_page_uri": null}).to_string();
    let (known, _) = asked(json("200 OK", "", &list)).await;
    let taken = |known: LookedUp| matches!(known, LookedUp::Taken(_));
    assert!(known.is_ok_and(taken));
}

#[tokio::test]
async fn a_question_without_an_answer_can_be_asked_again() {
    for script in [
        Script::Drop,
        Script::Hang,
        json("200 OK", "", "{}"),
        json("400 Bad Request", "", "{}"),
    ] {
        let error = asked(script).await.0.unwrap_err();
        assert_eq!(
            error.class,
            FailureClass::Transient(Scope::Account),
            "{}",
            error.problem
        );
    }
}
