use bus::Record;
use events::{Channel, DeadLetter, DeadLetterClass, NotificationStatus, Stage, header};

use super::*;

const HOUR: Duration = Duration::from_hours(1);

fn event(event_type: EventType, id: &str) -> BookingEvent {
    let sample = include_bytes!("../../../../events/golden/specification-sample.json");
    let mut event = BookingEvent::decode(sample).unwrap();
    event.event_type = event_type;
    event.event_id = id.parse().unwrap();
    event
}

fn terms() -> Terms {
    Terms {
        now: DateTime::from_timestamp(2_000_000_000, 0).unwrap(),
        max_age: 24 * HOUR,
    }
}

/// A dead letter whose source is an hour old.
fn entry(channel: Channel, value: &[u8], more: &[(&str, &str)]) -> Entry {
    let event = BookingEvent::decode(value).ok();
    let kind = event.as_ref().map(|event| event.event_type);
    let source = kind.unwrap_or(EventType::BookingConfirmed).topic();
    let written = terms().now - HOUR;
    let story = DeadLetter {
        source_topic: source.to_owned(),
        source_partition: 0,
        source_offset: 7,
        source_timestamp: Some(written.timestamp_millis()),
        group: channel.group().to_owned(),
        channel,
        event_id: event.map(|event| event.event_id),
        class: DeadLetterClass::Exhausted,
        stage: Stage::Send,
        error: "it failed".to_owned(),
        provider: None,
        provider_status: None,
        attempts: 8,
        first_failure_at: written,
        last_failure_at: written,
        replay_count: 0,
    };
    let more = more
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let headers = story.to_pairs().into_iter().chain(more);
    let record = Record {
        topic: channel.dead_letter_topic(source),
        value: Some(value.to_vec()),
        headers: headers
            .map(|(name, value)| (name, Some(value.into_bytes())))
            .collect(),
        ..Record::default()
    };
    Entry {
        letter: Letter::read(&record, source).unwrap(),
        state: State::Open,
        newer: None,
    }
}

fn of(channel: Channel, event: &BookingEvent) -> Entry {
    entry(channel, &event.encode().unwrap(), &[])
}

fn facts() -> Facts {
    Facts::about(["1234567890".parse().unwrap()])
}

fn status(event: &BookingEvent, channel: Channel, step: Step) -> NotificationStatus {
    NotificationStatus::new(event, channel, step, terms().now)
}

#[test]
fn what_nothing_speaks_against_would_be_sent() {
    for channel in Channel::ALL {
        let letter = of(channel, &event(EventType::BookingConfirmed, "a"));
        assert_eq!(judge(&letter, &facts(), terms()), Verdict::WouldSend);
    }
}

#[test]
fn an_event_that_its_channel_told_is_a_duplicate_and_another_channel_s_word_is_not() {
    let event = event(EventType::BookingConfirmed, "a");
    for step in [Step::Sent, Step::Delivered, Step::Read] {
        let mut facts = facts();
        facts.note_status(status(&event, Channel::Sms, step));
        let told = Verdict::Duplicate(Duplicate::Told(step));
        assert_eq!(judge(&of(Channel::Sms, &event), &facts, terms()), told);
        let other = judge(&of(Channel::Email, &event), &facts, terms());
        assert_eq!(other, Verdict::WouldSend);
    }
    let mut facts = facts();
    facts.note_status(status(&event, Channel::Sms, Step::DeadLettered));
    facts.note_status(status(&event, Channel::Sms, Step::Retrying));
    let letter = of(Channel::Sms, &event);
    assert_eq!(judge(&letter, &facts, terms()), Verdict::WouldSend);
}

#[test]
fn a_letter_that_is_replayed_or_not_the_newest_is_a_duplicate_that_nobody_can_force() {
    let event = event(EventType::BookingConfirmed, "a");
    let newer = Coordinates {
        topic: "t".to_owned(),
        partition: 0,
        offset: 9,
    };
    let replayed = Entry {
        state: State::Replayed,
        ..of(Channel::Sms, &event)
    };
    let older = Entry {
        newer: Some(newer.clone()),
        ..of(Channel::Sms, &event)
    };
    for (letter, duplicate) in [
        (replayed, Duplicate::Replayed),
        (older, Duplicate::Older(newer)),
    ] {
        let verdict = judge(&letter, &facts(), terms());
        assert_eq!(verdict, Verdict::Duplicate(duplicate));
        assert!(!verdict.allows(Insistence::Forced));
    }
}

#[test]
fn a_confirmation_is_stale_once_a_cancellation_is_known() {
    let confirmed = of(Channel::Whatsapp, &event(EventType::BookingConfirmed, "a"));
    let cancelled = event(EventType::BookingCancelled, "b");
    let mut by_topic = facts();
    by_topic.note_event(cancelled.clone(), Some(2));
    let mut by_status = facts();
    by_status.note_status(status(&cancelled, Channel::Email, Step::Retrying));
    for facts in [by_topic, by_status] {
        let verdict = judge(&confirmed, &facts, terms());
        assert_eq!(verdict, Verdict::Stale(Stale::Cancelled));
        let cancellation = of(Channel::Email, &cancelled);
        assert_eq!(judge(&cancellation, &facts, terms()), Verdict::WouldSend);
    }
}

#[test]
fn another_booking_s_cancellation_makes_nothing_stale() {
    let mut cancelled = event(EventType::BookingCancelled, "b");
    cancelled.pnr_number = "2412345678".parse().unwrap();
    let mut facts = facts();
    facts.note_event(cancelled, None);
    let confirmed = of(Channel::Sms, &event(EventType::BookingConfirmed, "a"));
    assert_eq!(judge(&confirmed, &facts, terms()), Verdict::WouldSend);
}

#[test]
fn an_event_is_stale_once_its_channel_sent_a_later_one() {
    let confirmed = event(EventType::BookingConfirmed, "a");
    let paid = event(EventType::PaymentCompleted, "b");
    let mut facts = facts();
    facts.note_event(paid.clone(), Some(2));
    facts.note_status(status(&paid, Channel::Email, Step::Sent));
    let value = confirmed.encode().unwrap();
    let letter = |channel, version| entry(channel, &value, &[(header::BOOKING_VERSION, version)]);
    let verdict = |letter: &Entry| judge(letter, &facts, terms());
    let overtaken = Verdict::Stale(Stale::Overtaken(EventType::PaymentCompleted));
    assert_eq!(verdict(&letter(Channel::Email, "1")), overtaken);
    assert_eq!(verdict(&letter(Channel::Email, "3")), Verdict::WouldSend);
    assert_eq!(verdict(&letter(Channel::Sms, "1")), Verdict::WouldSend);
}

#[test]
fn a_payment_receipt_is_never_stale() {
    let cancelled = event(EventType::BookingCancelled, "b");
    let mut facts = facts();
    facts.note_event(cancelled.clone(), Some(3));
    facts.note_status(status(&cancelled, Channel::Email, Step::Sent));
    let receipt = of(Channel::Email, &event(EventType::PaymentCompleted, "a"));
    assert_eq!(judge(&receipt, &facts, terms()), Verdict::WouldSend);
}

#[test]
fn a_record_older_than_the_limit_is_expired() {
    let letter = of(Channel::Sms, &event(EventType::BookingConfirmed, "a"));
    let within = |max_age| {
        let terms = Terms { max_age, ..terms() };
        judge(&letter, &facts(), terms)
    };
    assert_eq!(within(HOUR), Verdict::WouldSend);
    let less = Duration::from_millis(3_599_999);
    assert_eq!(within(less), Verdict::Expired(less));
    assert!(
        !within(less).allows(Insistence::Forced),
        "the notifier would end it for good"
    );
}

#[test]
fn what_fails_as_before_is_still_invalid_and_nobody_can_force_it() {
    let mut unreachable = event(EventType::BookingConfirmed, "a");
    unreachable.user_phone = None;
    let good = event(EventType::BookingConfirmed, "a").encode().unwrap();
    let newer = [(header::TYPE, "booking.confirmed.v2")];
    let mut stray = of(Channel::Email, &event(EventType::PaymentCompleted, "a"));
    stray.letter.source = "booking-confirmed".to_owned();
    for (letter, why) in [
        (entry(Channel::Sms, b"{", &[]), "the value is not JSON"),
        (entry(Channel::Sms, b"{}", &[]), "field "),
        (entry(Channel::Sms, &good, &newer), "schema version 2"),
        (of(Channel::Sms, &unreachable), "userPhone must be"),
        (stray, "field eventType: a PAYMENT_COMPLETED"),
    ] {
        let verdict = judge(&letter, &facts(), terms());
        assert_eq!(verdict.as_str(), "still invalid", "{why}");
        assert!(verdict.to_string().starts_with(why), "{verdict}");
        assert!(!verdict.allows(Insistence::Forced));
    }
}
