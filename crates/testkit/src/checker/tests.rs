//! Each letter, with a story that must be judged bad.

use events::EventType::{BookingCancelled, BookingConfirmed, PaymentCompleted};

use super::*;

const PNR: &str = "2412345678";

fn place(topic: &str, offset: i64) -> Place {
    Place {
        topic: topic.to_owned(),
        partition: 0,
        offset,
    }
}

fn told(channel: Channel, event_id: &str) -> Told {
    Told {
        channel,
        event_id: event_id.to_owned(),
        pnr: PNR.to_owned(),
    }
}

fn dead(channel: Channel, event_id: &str, source: Place) -> DeadRecord {
    DeadRecord {
        channel,
        source,
        event_id: event_id.to_owned(),
    }
}

/// One booking, confirmed (`c`), paid (`p`) and cancelled (`x`), all told in order.
fn good() -> Evidence {
    let life = [
        ("c", BookingConfirmed),
        ("p", PaymentCompleted),
        ("x", BookingCancelled),
    ];
    let mut evidence = Evidence {
        booked: vec![Booked {
            pnr: PNR.to_owned(),
            events: life.map(|(_, event)| event).to_vec(),
        }],
        ..Evidence::default()
    };
    for (version, (id, event_type)) in (1..).zip(life) {
        let place = place(event_type.topic(), 0);
        evidence.events.push(BookedEvent {
            event_id: id.to_owned(),
            pnr: PNR.to_owned(),
            event_type,
            version,
        });
        evidence.records.push(SourceRecord {
            place: place.clone(),
            event_id: Some(id.to_owned()),
        });
        for channel in subscribers(event_type) {
            evidence.told.push(told(channel, id));
            evidence.rows.push(Row {
                channel,
                event_id: id.to_owned(),
                state: RowState::Sent,
                place: place.clone(),
            });
            evidence.committed.push(Committed {
                channel,
                topic: place.topic.clone(),
                partition: 0,
                next: 1,
            });
        }
    }
    evidence
}

fn forget(evidence: &mut Evidence, channel: Channel, event_id: &str) {
    let is_it = |told: &Told| told.channel == channel && told.event_id == event_id;
    evidence.told.retain(|told| !is_it(told));
}

fn set(evidence: &mut Evidence, channel: Channel, event_id: &str, state: RowState) {
    for row in &mut evidence.rows {
        if row.channel == channel && row.event_id == event_id {
            row.state = state;
        }
    }
}

#[test]
fn a_life_told_in_order_is_clean() {
    let verdict = good().judge();
    assert!(verdict.is_clean(), "{verdict}");
    assert_eq!(
        verdict.due, 6,
        "three by mail, two by text, one by WhatsApp"
    );
    assert_eq!(verdict.untold, BTreeMap::new());
}

#[test]
fn a_message_that_a_row_calls_sent_and_no_provider_has_is_lost() {
    let mut evidence = good();
    forget(&mut evidence, Channel::Sms, "x");
    let verdict = evidence.judge();
    assert_eq!(verdict.lost, [(Channel::Sms, "x".to_owned())]);
    assert!(!verdict.is_clean_but_for_copies() && !verdict.is_quiet());
}

#[test]
fn a_suppressed_or_expired_row_is_an_outcome() {
    for (state, name) in [
        (RowState::Suppressed, "suppressed"),
        (RowState::Expired, "expired"),
    ] {
        let mut evidence = good();
        forget(&mut evidence, Channel::Whatsapp, "c");
        set(&mut evidence, Channel::Whatsapp, "c", state);
        let verdict = evidence.judge();
        assert!(verdict.is_clean(), "{verdict}");
        assert_eq!(verdict.untold, BTreeMap::from([(name, 1)]));
        let given_up = state == RowState::Expired;
        assert_eq!(verdict.gave_up_nothing(), !given_up, "{verdict}");
    }
}

#[test]
fn a_dead_row_is_an_outcome_only_with_its_dead_letter() {
    let mut evidence = good();
    forget(&mut evidence, Channel::Email, "p");
    set(&mut evidence, Channel::Email, "p", RowState::Dead);
    assert_eq!(
        evidence.judge().lost,
        [(Channel::Email, "p".to_owned())],
        "the letter is missing"
    );
    let source = place("payment-completed", 0);
    evidence
        .dead_letters
        .push(dead(Channel::Sms, "p", source.clone()));
    assert_eq!(evidence.judge().lost.len(), 1, "it is another channel's");
    evidence
        .dead_letters
        .push(dead(Channel::Email, "p", source));
    assert!(evidence.judge().is_clean());
}

#[test]
fn a_promise_to_a_client_that_the_database_does_not_hold_is_lost() {
    let mut evidence = good();
    evidence.booked.push(Booked::confirmed("2400000002"));
    assert_eq!(evidence.judge().lost.len(), 3, "one for each channel");
}

#[test]
fn an_older_event_accepted_later_is_an_inversion() {
    let mut evidence = good();
    forget(&mut evidence, Channel::Sms, "c");
    evidence.told.push(told(Channel::Sms, "c"));
    let verdict = evidence.judge();
    assert_eq!(verdict.inversions, [(Channel::Sms, "c".to_owned())]);
    assert!(verdict.is_quiet() && !verdict.is_clean_but_for_copies());
}

#[test]
fn a_copy_of_a_confirmation_after_the_payment_is_a_copy_and_an_inversion() {
    let mut evidence = good();
    evidence.told.push(told(Channel::Email, "c"));
    let verdict = evidence.judge();
    assert_eq!(verdict.inversions, [(Channel::Email, "c".to_owned())]);
    assert_eq!(verdict.extra, verdict.inversions);
}

#[test]
fn a_receipt_after_the_cancellation_is_in_order() {
    let mut evidence = good();
    forget(&mut evidence, Channel::Email, "p");
    evidence.told.push(told(Channel::Email, "p"));
    assert!(evidence.judge().is_clean());
}

#[test]
fn the_same_event_twice_on_a_channel_is_extra() {
    let mut evidence = good();
    evidence.told.push(told(Channel::Sms, "x"));
    let verdict = evidence.judge();
    assert_eq!(verdict.extra, [(Channel::Sms, "x".to_owned())]);
    assert!(verdict.is_clean_but_for_copies() && !verdict.is_clean());
}

#[test]
fn a_committed_record_in_neither_inbox_nor_dead_letters_was_skipped() {
    let mut evidence = good();
    let poison = SourceRecord {
        place: place("booking-confirmed", 1),
        event_id: None,
    };
    evidence.records.push(poison.clone());
    assert!(evidence.judge().is_clean(), "nobody committed it");
    for group in &mut evidence.committed {
        if group.topic == poison.place.topic && group.channel == Channel::Email {
            group.next = 2;
        }
    }
    let verdict = evidence.judge();
    assert_eq!(
        verdict.skipped,
        [(Channel::Email, poison.place.clone())],
        "{verdict}"
    );
    assert!(!verdict.is_clean_but_for_copies());
    evidence
        .dead_letters
        .push(dead(Channel::Email, "", poison.place));
    assert!(evidence.judge().is_clean());
}

#[test]
fn a_second_record_of_a_stored_event_may_be_committed() {
    let mut evidence = good();
    evidence.records.push(SourceRecord {
        place: place("payment-completed", 1),
        event_id: Some("p".to_owned()),
    });
    for group in &mut evidence.committed {
        group.next = 2;
    }
    assert!(evidence.judge().is_clean());
}

#[test]
fn an_open_row_and_an_unread_record_are_stuck() {
    let mut evidence = good();
    set(&mut evidence, Channel::Sms, "x", RowState::Open);
    for group in &mut evidence.committed {
        if group.channel == Channel::Whatsapp {
            group.next = 0;
        }
    }
    let verdict = evidence.judge();
    assert_eq!(verdict.stuck.len(), 2, "{verdict}");
    assert!(!verdict.is_quiet());
}

#[test]
fn a_message_of_an_event_that_never_was_is_invented() {
    let mut evidence = good();
    evidence.told.push(told(Channel::Email, "nobody's"));
    assert_eq!(evidence.judge().invented.len(), 1);
    assert!(!evidence.judge().is_clean_but_for_copies());
}
