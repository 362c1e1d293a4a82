//! Replaying dead letters, and rehearsing it.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use bus::{Header, Record};
use chrono::TimeDelta;
use events::{BookingEvent, Channel, DeadLetterClass, EventType, Stage};

use crate::desk::{Desk, LetterBuilder, now, some_pnr};

const REPLAY: &str = "booking-confirmed.sms.replay";

fn without_count(record: &Record) -> BTreeSet<Header> {
    let headers = record.headers.iter().cloned();
    headers
        .filter(|(name, _)| name != "dlq-replay-count")
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_is_the_dead_letter_with_one_replay_more_and_happens_once() {
    let desk = Desk::open().await;
    let pnr = some_pnr();
    let event = desk.event(EventType::BookingConfirmed, &pnr, "a");
    let letter = LetterBuilder::new(Channel::Sms, &event);
    let older = desk.write_letter(&letter).await;
    let newest = desk.write_letter(&letter).await;

    let said = desk.dlq(&["replay", "--pnr", pnr.as_str()]).await.well();
    assert!(
        said.contains(&format!(
            "replayed {} by {REPLAY}/1/",
            crate::desk::place(&newest)
        )),
        "{said}"
    );
    assert!(
        said.contains(&format!("{} is newer", crate::desk::place(&newest))),
        "{said}"
    );
    assert!(said.ends_with("1 of 1 dead letter replayed.\n"), "{said}");
    let replays = desk.records(REPLAY).await;
    assert_eq!(replays.len(), 1);
    let replay = &replays[0];
    assert_eq!((&replay.key, &replay.value), (&newest.key, &newest.value));
    assert_eq!(replay.partition, newest.partition);
    assert_eq!(replay.header("dlq-replay-count"), Some("1"));
    assert_eq!(without_count(replay), without_count(&newest));
    assert_eq!(replay.headers.len(), newest.headers.len());
    assert_eq!(older.header("dlq-replay-count"), Some("0"));

    let again = desk
        .dlq(&["replay", "--pnr", pnr.as_str(), "--force"])
        .await
        .well();
    assert_eq!(again, "No open dead letter fits.\n");
    let rehearsed = desk
        .dlq(&["replay", "--pnr", pnr.as_str(), "--dry-run"])
        .await
        .well();
    assert_eq!(
        rehearsed.matches("replayed already").count(),
        2,
        "{rehearsed}"
    );
    assert_eq!(desk.records(REPLAY).await.len(), 1);

    // It failed once more.
    let mut failed = letter;
    failed.story.replay_count = 1;
    desk.bury(&failed).await;
    desk.dlq(&["replay", "--pnr", pnr.as_str()]).await.well();
    let replays = desk.records(REPLAY).await;
    assert_eq!(replays.len(), 2);
    assert_eq!(replays[1].header("dlq-replay-count"), Some("2"));
}

/// One dead letter for each verdict.
struct Judged {
    fresh: BookingEvent,
    told: BookingEvent,
    stale: BookingEvent,
    old: BookingEvent,
    broken: BookingEvent,
}

impl Judged {
    async fn bury(desk: &Desk) -> Self {
        let confirmed = |name: &str| desk.event(EventType::BookingConfirmed, &some_pnr(), name);
        let judged = Self {
            fresh: confirmed("fresh"),
            told: confirmed("told"),
            stale: confirmed("stale"),
            old: confirmed("old"),
            broken: confirmed("broken"),
        };
        desk.sent(&judged.told, Channel::Sms).await;
        let pnr = &judged.stale.pnr_number;
        let cancelled = desk.event(EventType::BookingCancelled, pnr, "cancelled");
        desk.published(&cancelled).await;
        for event in [&judged.fresh, &judged.told, &judged.stale] {
            desk.bury(&LetterBuilder::new(Channel::Sms, event)).await;
        }
        let mut aged = LetterBuilder::new(Channel::Sms, &judged.old);
        let written = now() - TimeDelta::hours(25);
        aged.story.source_timestamp = Some(written.timestamp_millis());
        desk.bury(&aged).await;
        let mut undecodable = LetterBuilder::new(Channel::Sms, &judged.broken)
            .class(DeadLetterClass::Undecodable, Stage::Decode);
        undecodable.value = b"{\"pnrNumber\":".to_vec();
        desk.bury(&undecodable).await;
        judged
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rehearsal_judges_every_letter_and_sends_nothing() {
    let desk = Desk::open().await;
    let judged = Judged::bury(&desk).await;
    for (event, verdict) in [
        (&judged.fresh, "would send"),
        (&judged.told, "duplicate the event is SENT"),
        (&judged.stale, "stale the booking is cancelled"),
        (&judged.old, "expired older than 1day"),
        (&judged.broken, "still invalid the value is not JSON:"),
    ] {
        let id = event.event_id.as_str();
        let text = desk
            .dlq(&["replay", "--dry-run", "--event-id", id])
            .await
            .well();
        let words: Vec<_> = text.split_whitespace().collect();
        assert!(words.join(" ").contains(verdict), "{verdict}: {text}");
        assert!(text.ends_with("nothing was sent.\n"), "{text}");
    }
    let id = judged.old.event_id.as_str();
    let younger = ["replay", "--dry-run", "--event-id", id, "--max-age", "26h"];
    assert!(desk.dlq(&younger).await.well().contains("1 would send"));
    assert!(desk.records(REPLAY).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_goes_by_the_verdicts_and_force_overrules_all_but_what_cannot_be_told() {
    let desk = Desk::open().await;
    let judged = Judged::bury(&desk).await;
    for (event, flags, sent) in [
        (&judged.told, &[][..], 0),
        (&judged.told, &["--force"][..], 1),
        (&judged.broken, &["--force"][..], 1),
        (&judged.old, &["--force"][..], 1),
        (&judged.old, &["--max-age", "26h"][..], 2),
        (&judged.stale, &["--force"][..], 3),
        (&judged.fresh, &[][..], 4),
    ] {
        let id = event.event_id.as_str();
        let arguments = [&["replay", "--event-id", id], flags].concat();
        desk.dlq(&arguments).await.well();
        assert_eq!(desk.records(REPLAY).await.len(), sent, "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_out_does_not_use_up_the_limit() {
    let desk = Desk::open().await;
    let pnr = some_pnr();
    let confirmed = desk.event(EventType::BookingConfirmed, &pnr, "confirmed");
    let mut aged = LetterBuilder::new(Channel::Email, &confirmed).version(1);
    let written = now() - TimeDelta::hours(25);
    aged.story.source_timestamp = Some(written.timestamp_millis());
    desk.bury(&aged).await;
    for (name, version) in [("paid", 2), ("again", 3)] {
        let paid = desk.event(EventType::PaymentCompleted, &pnr, name);
        desk.bury(&LetterBuilder::new(Channel::Email, &paid).version(version))
            .await;
    }
    let arguments = ["replay", "--pnr", pnr.as_str(), "--limit", "1"];
    let said = desk.dlq(&arguments).await.well();
    assert!(
        said.starts_with("2 of 3 dead letters, by --limit."),
        "{said}"
    );
    assert!(said.contains("older than 1day, see --max-age"), "{said}");
    assert_eq!(
        desk.records("payment-completed.email.replay").await.len(),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rehearsal_shows_what_would_differ() {
    let desk = Desk::open().await;
    let pnr = some_pnr();
    let mut before = desk.event(EventType::BookingConfirmed, &pnr, "before");
    before.seat_number = "17".to_owned();
    let mut event = desk.event(EventType::BookingCancelled, &pnr, "after");
    event.seat_number = "17".to_owned();
    desk.sent(&before, Channel::Email).await;
    desk.bury(&LetterBuilder::new(Channel::Email, &event)).await;
    let arguments = ["replay", "--dry-run", "--pnr", pnr.as_str()];
    let text = desk.dlq(&arguments).await.well();
    for told in [
        "-dlq-replay-count       0",
        "+dlq-replay-count       1",
        "-topic      booking-cancelled.email.dlq",
        "+topic      booking-cancelled.email.replay",
        &format!("--- email message sent last, event {}", before.event_id),
        "+++ email message that would be sent",
        &pnr.masked(),
    ] {
        assert!(text.contains(told), "{told}: {text}");
    }
    assert!(
        !text.contains(pnr.as_str()) && !text.contains("John"),
        "{text}"
    );
    let revealed = desk
        .dlq(&[&arguments[..], &["--reveal"]].concat())
        .await
        .well();
    assert!(revealed.contains(pnr.as_str()), "{revealed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_of_a_booking_are_replayed_in_its_order() {
    let desk = Desk::open().await;
    let pnr = some_pnr();
    let types = [
        (EventType::BookingCancelled, 3),
        (EventType::PaymentCompleted, 2),
        (EventType::BookingConfirmed, 1),
    ];
    for (kind, version) in types {
        let event = desk.event(kind, &pnr, kind.as_str());
        desk.bury(&LetterBuilder::new(Channel::Email, &event).version(version))
            .await;
    }
    let said = desk.dlq(&["replay", "--pnr", pnr.as_str()]).await.well();
    let order: Vec<_> = said
        .lines()
        .filter_map(|line| line.strip_prefix("replayed "))
        .map(|line| line.split('.').next().unwrap())
        .collect();
    assert_eq!(
        order,
        [
            "booking-confirmed",
            "payment-completed",
            "booking-cancelled"
        ]
    );
}

/// Runs a replay, does something after its first letter, and returns how it ended and what it said.
async fn until_the_first(
    mut command: Command,
    then: impl FnOnce(u32) + Send + 'static,
) -> (Option<i32>, String) {
    let running = tokio::task::spawn_blocking(move || {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut said = String::new();
        while !said.lines().any(|line| line.starts_with("replayed ")) {
            assert_ne!(out.read_line(&mut said).unwrap(), 0, "{said}");
        }
        then(child.id());
        out.read_to_string(&mut said).unwrap();
        (child.wait().unwrap().code(), said)
    });
    running.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_a_replay_cleanly_between_two_letters() {
    let desk = Desk::open().await;
    let pnr = some_pnr();
    for number in 0..20 {
        let event = desk.event(EventType::BookingConfirmed, &pnr, &number.to_string());
        desk.bury(&LetterBuilder::new(Channel::Sms, &event).version(number))
            .await;
    }
    let command = desk.command(&["replay", "--pnr", pnr.as_str(), "--rate", "1"]);
    let interrupt = |id: u32| {
        let sent = Command::new("kill")
            .args(["-INT", &id.to_string()])
            .status();
        assert!(sent.unwrap().success());
    };
    let (status, said) = until_the_first(command, interrupt).await;
    assert_eq!(status, Some(0), "{said}");
    let count = |start: &str| said.lines().filter(|line| line.starts_with(start)).count();
    let (done, left) = (count("replayed "), count("not replayed "));
    assert_eq!(done + left, 20, "{said}");
    assert!(left > 0, "{said}");
    assert!(
        said.ends_with(&format!("{done} of 20 dead letters replayed.\n")),
        "{said}"
    );
    assert_eq!(desk.records(REPLAY).await.len(), done);
}

/// Three letters of a booking, the second too long for a producer of 2,500 bytes.
async fn long_in_the_middle(desk: &Desk, pnr: &events::Pnr) -> Vec<String> {
    let mut places = Vec::new();
    for number in 1..=3 {
        let mut event = desk.event(EventType::BookingConfirmed, pnr, &number.to_string());
        if number == 2 {
            event.train_name = "Express ".repeat(500);
        }
        let letter = LetterBuilder::new(Channel::Sms, &event).version(number);
        places.push(desk.bury(&letter).await);
    }
    places
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_failure_ends_a_replay_and_says_what_was_done() {
    let desk = Desk::open().await;
    let pnr = some_pnr();
    let places = long_in_the_middle(&desk, &pnr).await;
    let small = format!("message.max.bytes=2500,{}", desk.broker.properties());
    let arguments = [
        "replay",
        "--pnr",
        pnr.as_str(),
        "--kafka-properties",
        small.trim_end_matches(','),
    ];
    let said = desk.dlq(&arguments).await;
    assert_eq!(said.status, Some(1), "{}{}", said.out, said.err);
    let starts = [
        format!("replayed {} by {REPLAY}/1/", places[0]),
        format!("not replayed {}: ", places[1]),
        format!("not replayed {}", places[2]),
        "1 of 3 dead letters replayed.".to_owned(),
    ];
    let lines: Vec<_> = said.out.lines().collect();
    assert_eq!(lines.len(), starts.len(), "{}", said.out);
    for (line, start) in lines.iter().zip(&starts) {
        assert!(line.starts_with(start), "{start}: {}", said.out);
    }
    assert_eq!(desk.records(REPLAY).await.len(), 1);

    // What is left is replayed by the next one.
    desk.dlq(&["replay", "--pnr", pnr.as_str()]).await.well();
    assert_eq!(desk.records(REPLAY).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_goes_away_ends_a_replay_with_69() {
    let desk = Desk::open().await;
    if desk.broker.in_process_broker().is_none() {
        // Other tests share an outside broker.
        return;
    }
    let pnr = some_pnr();
    // One a second: it is away before the last.
    for number in 1..=20 {
        let event = desk.event(EventType::BookingConfirmed, &pnr, &number.to_string());
        desk.bury(&LetterBuilder::new(Channel::Sms, &event).version(number))
            .await;
    }
    let impatient = format!("message.timeout.ms=5000,{}", desk.broker.properties());
    let flags = ["replay", "--pnr", pnr.as_str(), "--rate", "1"];
    let command = desk.command(&[&flags[..], &["--kafka-properties", &impatient]].concat());
    let broker = desk.broker;
    let away = move |_| broker.in_process_broker().unwrap().go_down().unwrap();
    let (status, said) = until_the_first(command, away).await;
    assert_eq!(status, Some(69), "{said}");
    let starting = |word: &str| said.lines().filter(|line| line.starts_with(word)).count();
    let replayed = starting("replayed ");
    assert!((1..20).contains(&replayed), "{said}");
    assert_eq!(starting("perhaps replayed "), 1, "{said}");
    assert_eq!(starting("not replayed "), 19 - replayed, "{said}");
    let summary = format!("{replayed} of 20 dead letters replayed.");
    assert_eq!(said.lines().nth(20), Some(summary.as_str()), "{said}");
    assert_eq!(said.lines().count(), 21, "{said}");
}
