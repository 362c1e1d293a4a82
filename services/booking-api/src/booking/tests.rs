use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use events::{BookingStatus, EventType, PaymentStatus};
use proptest::prelude::*;

use super::{Booking, Change, Command, Moment, NewBooking, Outcome, Refusal};
use crate::details::Details;

fn noon() -> DateTime<Utc> {
    "2026-11-23T12:00:00Z".parse().unwrap()
}

fn at(now: DateTime<Utc>) -> Moment {
    let event_id = "an-event".parse().unwrap();
    Moment { now, event_id }
}

fn later() -> Moment {
    at(noon() + TimeDelta::minutes(5))
}

fn details() -> Details {
    serde_json::from_str(include_str!("../../golden/create-request.json")).unwrap()
}

fn confirmed() -> Change {
    let pnr = "2412345678".parse().unwrap();
    NewBooking::confirmed(pnr, Arc::new(details()), at(noon())).numbered(7)
}

fn cancel() -> Command {
    Command::Cancel {
        reason: Some("ill".to_owned()),
    }
}

fn changed(booking: &Booking, command: &Command) -> Change {
    match booking.apply(command, later()).unwrap() {
        Outcome::Changed(change) => change,
        Outcome::Unchanged(_) => panic!("nothing changed"),
    }
}

fn with_payment(payment_status: PaymentStatus) -> Booking {
    Booking {
        payment_status,
        ..confirmed().booking
    }
}

#[test]
fn a_new_booking_is_confirmed_unpaid_and_announced() {
    let Change { booking, event } = confirmed();
    assert_eq!((booking.id, booking.version), (7, 1));
    assert_eq!(booking.status, BookingStatus::Confirmed);
    assert_eq!(booking.payment_status, PaymentStatus::Pending);
    let event = event.unwrap();
    assert_eq!(event.event_type, EventType::BookingConfirmed);
    assert!(event.earlier.entries().is_empty());
}

#[test]
fn each_event_names_those_before_it() {
    let paid = changed(
        &confirmed().booking,
        &Command::SetPaymentStatus(PaymentStatus::Completed),
    );
    let event = paid.event.unwrap();
    assert_eq!(event.event_type, EventType::PaymentCompleted);
    assert_eq!(event.earlier.to_string(), "BOOKING_CONFIRMED=1");

    let cancelled = changed(&paid.booking, &cancel());
    let event = cancelled.event.unwrap();
    assert_eq!(event.event_type, EventType::BookingCancelled);
    assert_eq!(
        event.earlier.to_string(),
        "BOOKING_CONFIRMED=1,PAYMENT_COMPLETED=2"
    );
    assert_eq!(cancelled.booking.version, 3);
    assert_eq!(cancelled.booking.updated_at, later().now);
    assert_eq!(cancelled.booking.created_at, noon());
    assert_eq!(cancelled.booking.cancel_reason.as_deref(), Some("ill"));
}

#[test]
fn a_change_nobody_is_told_of_still_counts_as_a_version() {
    let failed = changed(
        &confirmed().booking,
        &Command::SetPaymentStatus(PaymentStatus::Failed),
    );
    assert_eq!((failed.booking.version, &failed.event), (2, &None));
    let paid = changed(
        &failed.booking,
        &Command::SetPaymentStatus(PaymentStatus::Completed),
    );
    assert_eq!(
        paid.booking.history.to_string(),
        "BOOKING_CONFIRMED=1,PAYMENT_COMPLETED=3"
    );
}

#[test]
fn a_booking_is_cancelled_once() {
    let cancelled = changed(&confirmed().booking, &cancel()).booking;
    assert_eq!(
        cancelled.apply(&cancel(), later()),
        Err(Refusal::AlreadyCancelled)
    );
}

#[test]
fn a_journey_that_is_over_cannot_be_cancelled() {
    let over = Booking {
        status: BookingStatus::Completed,
        ..confirmed().booking
    };
    assert_eq!(over.apply(&cancel(), later()), Err(Refusal::JourneyOver));
}

#[test]
fn a_payment_moves_only_along_its_arrows() {
    use PaymentStatus::{Completed, Failed, PartiallyRefunded, Pending, Refunded};
    let allowed = [
        (Pending, Completed),
        (Pending, Failed),
        (Failed, Pending),
        (Failed, Completed),
        (Completed, Refunded),
        (Completed, PartiallyRefunded),
        (PartiallyRefunded, Refunded),
    ];
    for from in PaymentStatus::ALL {
        for to in PaymentStatus::ALL {
            let outcome = with_payment(*from).apply(&Command::SetPaymentStatus(*to), later());
            if from == to {
                assert_eq!(outcome, Ok(Outcome::Unchanged(with_payment(*from))));
            } else if allowed.contains(&(*from, *to)) {
                assert!(matches!(outcome, Ok(Outcome::Changed(_))), "{from} → {to}");
            } else {
                let (from, to) = (*from, *to);
                assert_eq!(outcome, Err(Refusal::PaymentTransition { from, to }));
            }
        }
    }
}

#[test]
fn a_cancelled_booking_can_be_refunded_but_not_paid() {
    let cancelled = changed(&confirmed().booking, &cancel()).booking;
    let to = PaymentStatus::Completed;
    assert_eq!(
        cancelled.apply(&Command::SetPaymentStatus(to), later()),
        Err(Refusal::PaymentAfterCancellation { to })
    );
    let paid = Booking {
        payment_status: PaymentStatus::Completed,
        ..cancelled
    };
    let refunded = changed(&paid, &Command::SetPaymentStatus(PaymentStatus::Refunded));
    assert_eq!(refunded.event, None);
    assert_eq!(refunded.booking.status, BookingStatus::Cancelled);
}

fn any_command() -> impl Strategy<Value = Command> {
    prop_oneof![
        proptest::option::of("[a-z]{1,9}").prop_map(|reason| Command::Cancel { reason }),
        proptest::sample::select(PaymentStatus::ALL).prop_map(Command::SetPaymentStatus),
    ]
}

proptest! {
    /// Versions grow by one, events are never forgotten, and what is cancelled stays so.
    #[test]
    fn no_sequence_of_commands_breaks_the_life_of_a_booking(
        commands in proptest::collection::vec(any_command(), 0..24),
    ) {
        let mut booking = confirmed().booking;
        for command in commands {
            let Ok(Outcome::Changed(change)) = booking.apply(&command, later()) else {
                continue;
            };
            prop_assert_eq!(change.booking.version, booking.version + 1);
            let told = change.booking.history.entries();
            prop_assert!(told.starts_with(booking.history.entries()));
            if let Some(event) = &change.event {
                prop_assert_eq!(&event.earlier, &booking.history);
                prop_assert_eq!(told.last(), Some(&(event.event_type, change.booking.version)));
            } else {
                prop_assert_eq!(&change.booking.history, &booking.history);
            }
            let was_cancelled = booking.status == BookingStatus::Cancelled;
            prop_assert!(!was_cancelled || change.booking.status == BookingStatus::Cancelled);
            booking = change.booking;
        }
        let cancellations = booking.history.entries().iter();
        let cancellations = cancellations.filter(|(event, _)| *event == EventType::BookingCancelled);
        prop_assert!(cancellations.count() <= 1);
    }
}
