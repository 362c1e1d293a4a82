//! Messages that are given up, and those that come back.

use std::time::Duration;

use bus::{NewRecord, Published, Record, Refusal, Request, Topics};
use events::{Channel, EventType};
use reqwest::Client;
use sandbox::{Effect, Rule};
use testkit::{Booked, Reader, System, TestBroker, booking_request, eventually};

use crate::client::{ForTests as _, book, cancel, request, told, warm_up};
use crate::sessions::{count_in_state, state};

/// Long enough for the verdict to be there, and for a dead letter to fail.
const AWAY: Duration = Duration::from_secs(6);

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_given_up_is_kept_until_the_dead_letter_topic_has_it() {
    let system = System::builder().start().await.unwrap();
    warm_up(&system).await;
    let invalid = Effect::Status {
        status: 400,
        code: 21211,
        retry_after_seconds: None,
    };
    // The broker is gone before the provider says no.
    system
        .faults()
        .replace(vec![
            Rule::new(Channel::Sms, Effect::Delay { ms: 3000 }),
            Rule::new(Channel::Sms, invalid),
        ])
        .unwrap();
    let pnr = book(&system, &request("user@example.com", "9876543210")).await;
    let asked = async || {
        let claimed = count_in_state(&system, "sms-notifier", "CLAIMED").await;
        (claimed == 1).then_some(())
    };
    eventually("claim", asked).await;
    system.broker().go_down().await.unwrap();
    tokio::time::sleep(AWAY).await;
    let dead = count_in_state(&system, "sms-notifier", "DEAD").await;
    assert_eq!(dead, 0, "nothing has the dead letter");
    system.broker().come_up().await.unwrap();

    let topic = Channel::Sms.dead_letter_topic(EventType::BookingConfirmed.topic());
    let mut reader = system.broker().reader([&topic]).unwrap();
    let letter = reader.find(&topic, &pnr).await.unwrap();
    assert_eq!(letter.header("dlq-class"), Some("PERMANENT"));
    let [_, rule] = system.faults().rules().try_into().unwrap();
    assert_eq!(rule.hits, 1, "the provider was not asked again");
    let booked = [Booked::confirmed(pnr)];
    let verdict = system.judge(&booked, Duration::from_mins(1)).await.unwrap();
    assert!(verdict.is_clean(), "{verdict}");
    assert_eq!(verdict.untold.get("dead"), Some(&1), "{verdict}");
}

/// A dead letter as `harkara dlq replay` hands it back, for the `count`th time.
async fn replay(system: &System, letter: &Record, count: u32) {
    let headers: Vec<_> = letter
        .headers
        .iter()
        .map(|(name, value)| match name.as_str() {
            "dlq-replay-count" => (name.clone(), Some(count.to_string().into_bytes())),
            _ => (name.clone(), value.clone()),
        })
        .collect();
    let record = NewRecord {
        topic: &Channel::Sms.replay_topic("booking-confirmed"),
        headers: &headers,
        ..letter.as_new()
    };
    system.broker().produce(&record).await.unwrap();
}

/// The dead letter of a PNR that came back so often before.
async fn dead_letter(reader: &mut Reader, pnr: &str, replays: &str) -> Record {
    let topic = Channel::Sms.dead_letter_topic("booking-confirmed");
    let of_this_round = |record: &Record| record.header("dlq-replay-count") == Some(replays);
    reader.find_where(&topic, pnr, of_this_round).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_that_comes_back_is_told_once_and_never_after_a_cancellation() {
    let system = System::builder().start().await.unwrap();
    warm_up(&system).await;
    let topic = Channel::Sms.dead_letter_topic("booking-confirmed");
    let mut reader = system.broker().reader([&topic]).unwrap();
    let invalid = Effect::Status {
        status: 400,
        code: 21211,
        retry_after_seconds: None,
    };
    let refuse = || {
        let rules = vec![Rule::new(Channel::Sms, invalid.clone())];
        system.faults().replace(rules).unwrap();
    };
    refuse();
    let pnr = book(&system, &booking_request(2)).await;
    let first = dead_letter(&mut reader, &pnr, "0").await;

    // Refused again: it is a dead letter of the same source, and says how often it came back.
    replay(&system, &first, 1).await;
    let again = dead_letter(&mut reader, &pnr, "1").await;
    for name in [
        "dlq-source-topic",
        "dlq-source-partition",
        "dlq-source-offset",
    ] {
        assert_eq!(again.header(name), first.header(name), "{name}");
    }

    // Taken this time; what comes back once more is known.
    system.faults().replace(vec![]).unwrap();
    replay(&system, &again, 2).await;
    told(&system, Channel::Sms, &pnr, 1).await;
    replay(&system, &again, 3).await;

    // Another one, cancelled before it comes back.
    refuse();
    let other = book(&system, &booking_request(3)).await;
    let letter = dead_letter(&mut reader, &other, "0").await;
    system.faults().replace(vec![]).unwrap();
    cancel(&system, &other).await;
    told(&system, Channel::Sms, &other, 1).await;
    replay(&system, &letter, 1).await;
    let event = letter.header("ce_id").unwrap().to_owned();
    let suppressed = async || {
        let state = state(&system, "sms-notifier", &event).await;
        (state.as_deref() == Some("SUPPRESSED")).then_some(())
    };
    eventually("suppression", suppressed).await;
    assert_eq!(system.told(Channel::Sms, &other).len(), 1);
    assert_eq!(system.told(Channel::Sms, &pnr).len(), 1);
}

/// A record that is no event, and where it is.
async fn poison(system: &System, key: &str) -> Published {
    let record = NewRecord {
        topic: "booking-confirmed",
        partition: None,
        key: Some(key.as_bytes()),
        value: Some(b"{"),
        headers: &[],
    };
    system.broker().produce(&record).await.unwrap()
}

/// Whether the group of the SMS notifier has committed past a record.
async fn is_passed(system: &System, at: Published) -> bool {
    let topics = Topics::new(system.broker().settings(), "e2e").unwrap();
    let group = system.group_of("sms-notifier");
    let positions = topics.positions(&group, vec!["booking-confirmed".to_owned()]);
    let positions = positions.await.unwrap();
    let mut own = positions
        .iter()
        .filter(|position| position.partition == at.partition);
    let next = own.next().and_then(|position| position.committed);
    next.is_some_and(|next| next > at.offset)
}

/// Whether the dead-letter topic has a record of this key.
async fn is_written(system: &System, key: &str) -> bool {
    let topics = Topics::new(system.broker().settings(), "e2e").unwrap();
    let topic = Channel::Sms.dead_letter_topic("booking-confirmed");
    let take = |keys: &mut Vec<_>, record: Record| keys.push(record.key);
    let keys = topics.scan(vec![topic], Vec::new(), take).await.unwrap();
    keys.contains(&Some(key.as_bytes().to_vec()))
}

/// How often the SMS notifier could not write a dead letter.
fn failed_writes(system: &System) -> usize {
    let log = system.program("sms-notifier").unwrap().log_lines();
    let failed = "dead letter not written, trying again";
    log.iter().filter(|line| line["message"] == failed).count()
}

/// Whether `/readyz` of the SMS notifier says that a dead letter waits.
async fn is_said_to_wait(system: &System) -> bool {
    let url = system.url("sms-notifier", "/readyz").await.unwrap();
    let answer = Client::new_for_tests().get(&url).send().await.unwrap();
    let said = answer.text().await.unwrap();
    said.contains("one waits to be written: ")
}

/// Waits until a dead letter is written; its record is not passed a moment earlier.
async fn written_then_passed(system: &System, key: &str, at: Published) {
    let written = async || {
        let passed = is_passed(system, at).await;
        let written = is_written(system, key).await;
        assert!(written || !passed, "{key} was passed and is nowhere");
        written.then_some(())
    };
    eventually("dead letter", written).await;
    let passed = async || is_passed(system, at).await.then_some(());
    eventually("commit", passed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_record_is_not_passed_while_its_dead_letter_is_refused() {
    let mut system = System::builder().start_without_programs().await.unwrap();
    if system.broker().in_process_broker().is_none() {
        println!("not run: only the in-process broker refuses on demand");
        return;
    }
    for (key, refusal) in [
        ("not authorised", Refusal::NotAuthorised),
        ("too large", Refusal::TooLarge),
    ] {
        let at = poison(&system, key).await;
        let broker = system.broker().in_process_broker().unwrap();
        broker.refuse(Request::Produce, &[refusal; 6]).unwrap();
        system.start_program("sms-notifier").await.unwrap();
        let waits = async || is_said_to_wait(&system).await.then_some(());
        eventually("word of the dead letter", waits).await;
        written_then_passed(&system, key, at).await;
        let written = async || (!is_said_to_wait(&system).await).then_some(());
        eventually("no more word of it", written).await;
        assert!(failed_writes(&system) >= 3, "{key}");
        let notifier = system.take_program("sms-notifier").unwrap();
        assert!(notifier.terminate().await.unwrap().success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_record_is_not_passed_while_there_is_no_topic_for_its_dead_letter() {
    let Some(broker) = TestBroker::start_own().await.unwrap() else {
        println!("not run: it takes an Apache Kafka of its own; give TEST_KAFKA");
        return;
    };
    let mut system = System::builder().on(broker).start().await.unwrap();
    warm_up(&system).await;
    let topic = Channel::Sms.dead_letter_topic("booking-confirmed");
    system.broker().delete_topic(&topic).unwrap();
    let at = poison(&system, "no topic").await;
    let failed = async || (failed_writes(&system) > 1).then_some(());
    eventually("dead letter that is not written", failed).await;
    assert!(!is_passed(&system, at).await, "nothing has the record");
    // At its start a notifier makes the topics that are missing.
    let notifier = system.take_program("sms-notifier").unwrap();
    assert!(notifier.terminate().await.unwrap().success());
    system.start_program("sms-notifier").await.unwrap();
    written_then_passed(&system, "no topic", at).await;
}
