//! The facts of a booking, in the words a passenger reads.

use chrono::NaiveDate;
use events::{
    BookingEvent, BookingStatus, CoachType, EventType, Gender, Known, Money, PaymentStatus, Quota,
};

/// A text of the event is cut to this many characters: longer than any name, short enough for a mail of 90 KB.
const TEXT_MAX: usize = 120;

/// What the templates may show. Every value is one line.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(crate) pnr: String,
    pub(crate) headline: &'static str,
    /// The headline as a sentence.
    pub(crate) news: &'static str,
    pub(crate) status: String,
    pub(crate) payment: String,
    pub(crate) user: String,
    pub(crate) passenger: String,
    pub(crate) age: u8,
    pub(crate) gender: String,
    pub(crate) train_number: String,
    pub(crate) train_name: String,
    pub(crate) from: String,
    pub(crate) to: String,
    /// `Fri, 15 Jan 2027`.
    pub(crate) date: String,
    /// `15 Jan 2027`.
    pub(crate) short_date: String,
    /// `16:00`.
    pub(crate) departure: String,
    /// `08:30`.
    pub(crate) arrival: String,
    /// The event has no arrival date: an arrival not after the departure is on another day.
    pub(crate) arrives_next_day: bool,
    pub(crate) coach: String,
    pub(crate) seat: String,
    pub(crate) class: String,
    pub(crate) quota: String,
    pub(crate) tatkal: &'static str,
    /// Lines of the fare before the total: label and amount.
    pub(crate) fare: Vec<(&'static str, String)>,
    pub(crate) total: String,
    /// `1 Jan 2024, 10:00`.
    pub(crate) booked: String,
    pub(crate) source: String,
}

impl Ticket {
    pub(crate) fn of(event: &BookingEvent) -> Self {
        let departure = event.departure_time.time();
        let arrival = event.arrival_time.time();
        let booked = event.booking_date.wall_clock();
        Self {
            pnr: event.pnr_number.to_string(),
            headline: headline(event),
            news: news(event),
            status: word(&event.booking_status, status),
            payment: word(&event.payment_status, payment),
            user: line(&event.user_name),
            passenger: line(&event.passenger_name),
            age: event.passenger_age,
            gender: word(&event.passenger_gender, gender),
            train_number: event.train_number.to_string(),
            train_name: line(&event.train_name),
            from: line(&event.source_station),
            to: line(&event.destination_station),
            date: event.journey_date.format("%a, %-d %b %Y").to_string(),
            short_date: short(event.journey_date),
            departure: departure.format("%H:%M").to_string(),
            arrival: arrival.format("%H:%M").to_string(),
            arrives_next_day: arrival <= departure,
            coach: line(&event.coach_number),
            seat: line(&event.seat_number),
            class: class(&event.coach_type),
            quota: word(&event.quota_type, quota),
            tatkal: if event.is_tatkal { "Yes" } else { "No" },
            fare: fare(event),
            total: rupees(event.total_fare),
            booked: format!("{}, {}", short(booked.date()), booked.format("%H:%M")),
            source: line(&event.booking_source),
        }
    }
}

/// A booking that was made is not always a confirmed seat.
fn headline(event: &BookingEvent) -> &'static str {
    match event.event_type {
        EventType::BookingCancelled => "Cancelled",
        EventType::PaymentCompleted => "Payment received",
        EventType::BookingConfirmed => match event.booking_status.word() {
            Some(BookingStatus::Confirmed) => "Confirmed",
            Some(BookingStatus::Rac) => "Booked, RAC",
            Some(BookingStatus::Waitlist) => "Booked, waitlisted",
            Some(BookingStatus::Cancelled | BookingStatus::Completed) | None => "Booked",
        },
    }
}

fn news(event: &BookingEvent) -> &'static str {
    match event.event_type {
        EventType::BookingCancelled => "Your booking is cancelled",
        EventType::PaymentCompleted => "Payment received",
        EventType::BookingConfirmed => match event.booking_status.word() {
            Some(BookingStatus::Confirmed) => "Your ticket is confirmed",
            _ => "Your booking is made",
        },
    }
}

/// What the parts leave of the total has its own line: reservation and superfast charges, a rebate, a meal.
fn fare(event: &BookingEvent) -> Vec<(&'static str, String)> {
    let parts = [
        ("Base fare", event.base_fare),
        ("Convenience fee", event.convenience_fee),
        ("GST", event.gst_amount),
    ];
    let sum: i128 = parts.iter().map(|(_, part)| i128::from(part.paise())).sum();
    let rest = i64::try_from(i128::from(event.total_fare.paise()) - sum).unwrap_or_default();
    let other = match rest {
        0 => None,
        1.. => Some(("Other charges", Money::from_paise(rest))),
        _ => Some(("Reductions", Money::from_paise(rest))),
    };
    let lines = parts.into_iter().chain(other);
    lines.map(|(label, part)| (label, rupees(part))).collect()
}

fn rupees(amount: Money) -> String {
    let text = amount.grouped();
    match text.strip_prefix('-') {
        Some(amount) => format!("−₹{amount}"),
        None => format!("₹{text}"),
    }
}

fn short(date: NaiveDate) -> String {
    date.format("%-d %b %Y").to_string()
}

fn word<T: Copy>(word: &Known<T>, say: fn(T) -> &'static str) -> String {
    match word {
        Known::Word(word) => say(*word).to_owned(),
        Known::Other(text) => line(text),
    }
}

const fn status(status: BookingStatus) -> &'static str {
    match status {
        BookingStatus::Confirmed => "Confirmed",
        BookingStatus::Cancelled => "Cancelled",
        BookingStatus::Rac => "RAC",
        BookingStatus::Waitlist => "Waitlisted",
        BookingStatus::Completed => "Completed",
    }
}

const fn payment(payment: PaymentStatus) -> &'static str {
    match payment {
        PaymentStatus::Pending => "Pending",
        PaymentStatus::Completed => "Paid",
        PaymentStatus::Failed => "Failed",
        PaymentStatus::Refunded => "Refunded",
        PaymentStatus::PartiallyRefunded => "Partly refunded",
    }
}

const fn gender(gender: Gender) -> &'static str {
    match gender {
        Gender::Male => "Male",
        Gender::Female => "Female",
        Gender::Other => "Other",
    }
}

/// Quotas with the codes that tickets print.
const fn quota(quota: Quota) -> &'static str {
    match quota {
        Quota::General => "General (GN)",
        Quota::Ladies => "Ladies (LD)",
        Quota::SeniorCitizen => "Senior citizen (SS)",
        Quota::Handicapped => "Divyangjan (HP)",
        Quota::Tatkal => "Tatkal (TQ)",
        Quota::PremiumTatkal => "Premium Tatkal (PT)",
    }
}

fn class(class: &Known<CoachType>) -> String {
    match class {
        Known::Word(word) => format!("{} ({})", word.name(), word.code()),
        Known::Other(text) => line(text),
    }
}

/// One line: no line breaks and controls, none of the marks that turn the writing direction of what follows.
fn line(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let spaced = |c: char| if c.is_control() { ' ' } else { c };
    let clean: String = text.chars().filter(|c| !turns(*c)).map(spaced).collect();
    let line = clean.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() {
        return "–".to_owned();
    }
    if line.chars().count() <= TEXT_MAX {
        return line;
    }
    let kept: String = line.chars().take(TEXT_MAX - 1).collect();
    kept.trim_end().to_owned() + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> BookingEvent {
        let sample = include_bytes!("../../../crates/events/golden/specification-sample.json");
        BookingEvent::decode(sample).unwrap()
    }

    #[test]
    fn what_the_parts_leave_of_the_total_is_shown() {
        let mut event = event();
        let last = |event: &BookingEvent| fare(event).pop().unwrap();
        assert_eq!(last(&event), ("Other charges", "₹185.00".into()));
        event.total_fare = Money::from_paise(481_500);
        assert_eq!(last(&event), ("GST", "₹225.00".into()));
        event.total_fare = Money::from_paise(480_000);
        assert_eq!(last(&event), ("Reductions", "−₹15.00".into()));
        event.total_fare = Money::from_paise(i64::MIN);
        event.base_fare = Money::from_paise(i64::MAX);
        assert_eq!(fare(&event).len(), 3);
    }

    #[test]
    fn an_arrival_not_after_the_departure_is_on_the_next_day() {
        let mut event = event();
        for (departure, arrival, next_day) in [
            ("16:00", "08:30", true),
            ("16:00", "16:00", true),
            ("16:00", "16:01", false),
        ] {
            event.departure_time = departure.parse().unwrap();
            event.arrival_time = arrival.parse().unwrap();
            assert_eq!(Ticket::of(&event).arrives_next_day, next_day);
        }
    }

    #[test]
    fn a_waitlisted_booking_is_not_called_confirmed() {
        let mut event = event();
        assert_eq!(headline(&event), "Confirmed");
        for (status, expected) in [
            (Known::Word(BookingStatus::Rac), "Booked, RAC"),
            (Known::Word(BookingStatus::Waitlist), "Booked, waitlisted"),
            (Known::Other("HELD".into()), "Booked"),
        ] {
            event.booking_status = status;
            assert_eq!(headline(&event), expected);
        }
    }

    #[test]
    fn a_text_of_the_event_is_one_short_line() {
        assert_eq!(line("A\r\nBcc: x\t\u{202e}y"), "A Bcc: x y");
        assert_eq!(line(" \n"), "–");
        assert_eq!(line(&"न".repeat(200)).chars().count(), TEXT_MAX);
    }
}
