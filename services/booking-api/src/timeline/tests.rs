use chrono::TimeDelta;
use events::{Channel, Step};

use super::*;

fn at(millis: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::milliseconds(millis)
}

fn told(event_type: EventType, version: i64, millis: i64) -> ToldChange {
    ToldChange {
        event_id: format!("e-{version}").parse().unwrap(),
        event_type,
        version,
        topic: event_type.topic().to_owned(),
        at: at(millis),
        published: None,
    }
}

fn step(step: Step, millis: i64) -> NotificationStep {
    NotificationStep {
        event_id: "e-1".parse().unwrap(),
        event_type: EventType::BookingConfirmed,
        channel: Channel::Sms,
        step,
        attempt: 0,
        provider: None,
        provider_message_id: None,
        reason: None,
        occurred_at: at(millis),
        partition: 0,
        offset: 0,
    }
}

fn texts(story: Story) -> Vec<String> {
    story.items().into_iter().map(|item| item.text).collect()
}

/// The sentence of a step of a confirmation at 0.
fn sentence_of(step: NotificationStep) -> String {
    let story = Story {
        told: vec![told(EventType::BookingConfirmed, 1, 0)],
        steps: vec![step],
        ..Story::default()
    };
    texts(story).pop().unwrap()
}

#[test]
fn a_send_tells_provider_message_attempts_and_time() {
    let sent = NotificationStep {
        attempt: 3,
        provider: Some("twilio".to_owned()),
        provider_message_id: Some("SM123".to_owned()),
        ..step(Step::Sent, 250_000)
    };
    assert_eq!(
        sentence_of(sent),
        "SMS for BOOKING_CONFIRMED was accepted by twilio as SM123 after 3 attempts, 4 min 10 s after the event."
    );
}

#[test]
fn a_step_of_an_event_of_others_tells_what_it_knows() {
    let unknown = Story {
        steps: vec![step(Step::Sent, 5)],
        ..Story::default()
    };
    assert_eq!(
        texts(unknown),
        ["SMS for BOOKING_CONFIRMED was accepted by the provider."]
    );
}

#[test]
fn a_step_before_its_event_tells_no_time_for_two_clocks_disagree() {
    let story = Story {
        told: vec![told(EventType::BookingConfirmed, 1, 100)],
        steps: vec![step(Step::Delivered, 99)],
        ..Story::default()
    };
    assert_eq!(
        texts(story)[0],
        "SMS for BOOKING_CONFIRMED reached the recipient."
    );
}

#[test]
fn every_step_has_a_sentence_with_its_reason() {
    let with = |word, attempt, reason: &str| {
        sentence_of(NotificationStep {
            attempt,
            reason: Some(reason.to_owned()),
            ..step(word, 2000)
        })
    };
    let sentences = [
        with(Step::Retrying, 1, "the provider's circuit is open"),
        with(Step::Retrying, 0, "the hourly limit is reached"),
        with(Step::Failed, 8, "the mailbox is full."),
        with(
            Step::Suppressed,
            0,
            "the booking was cancelled before it could be",
        ),
        with(Step::Expired, 0, " "),
        with(Step::DeadLettered, 8, "no such number"),
        with(Step::Delivered, 0, ""),
        with(Step::Read, 0, ""),
    ];
    assert_eq!(
        sentences,
        [
            "SMS for BOOKING_CONFIRMED waits to be tried again after 1 attempt: the provider's circuit is open.",
            "SMS for BOOKING_CONFIRMED waits to be sent: the hourly limit is reached.",
            "SMS for BOOKING_CONFIRMED failed for good after 8 attempts and is about to be set aside: the mailbox is full.",
            "SMS for BOOKING_CONFIRMED was not sent: the booking was cancelled before it could be.",
            "SMS for BOOKING_CONFIRMED was not sent because it was too old.",
            "SMS for BOOKING_CONFIRMED was given up after 8 attempts and set aside for an operator, who can have it sent again: no such number.",
            "SMS for BOOKING_CONFIRMED reached the recipient 2 s after the event.",
            "SMS for BOOKING_CONFIRMED was opened by the recipient 2 s after the event.",
        ]
    );
}

#[test]
fn changes_and_publications_are_told_oldest_first() {
    let mut booked = told(EventType::BookingConfirmed, 1, 0);
    booked.published = Some(Place {
        partition: 2,
        offset: 41,
        at: at(3),
    });
    let story = Story {
        told: vec![booked, told(EventType::BookingCancelled, 3, 7000)],
        quiet: vec![QuietChange {
            version: 2,
            payment_status: PaymentStatus::Failed,
            at: at(5000),
        }],
        steps: vec![step(Step::Sent, 6000)],
        cancel_reason: Some("change of plans".to_owned()),
    };
    assert_eq!(
        texts(story),
        [
            "The seat was booked and confirmed.",
            "BOOKING_CONFIRMED was published to topic booking-confirmed (partition 2, offset 41) 3 ms after the change.",
            "The payment failed.",
            "SMS for BOOKING_CONFIRMED was accepted by the provider 6 s after the event.",
            "The booking was cancelled: change of plans.",
            "BOOKING_CANCELLED is not published yet: it waits until Kafka takes it on topic booking-cancelled.",
        ]
    );
}

#[test]
fn within_a_millisecond_the_change_comes_before_its_publication_and_that_before_the_message() {
    let mut booked = told(EventType::BookingConfirmed, 1, 0);
    booked.at += TimeDelta::microseconds(700);
    booked.published = Some(Place {
        partition: 0,
        offset: 0,
        at: at(0) + TimeDelta::microseconds(900),
    });
    let story = Story {
        told: vec![booked],
        steps: vec![step(Step::Sent, 0)],
        ..Story::default()
    };
    let items = story.items();
    assert!(matches!(items[0].happening, Happening::Told(..)));
    assert!(matches!(items[1].happening, Happening::Publication(_)));
    assert!(matches!(items[2].happening, Happening::Notification(..)));
}
