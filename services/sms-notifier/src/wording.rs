//! The text of a message: IRCTC's own grammar, in one segment.
//!
//! `PNR:…,TRAIN:…,DOJ:dd-mm-yyyy,TIME:HH:MM,class,FROM TO TO,NAME,COACH SEAT,FARE:…` is what passengers know and what readers of booking messages parse (KDE Itinerary's `irctc.js`).

use deunicode::deunicode_char;
use events::sms::{self, SmsEncoding};
use events::{BookingEvent, CoachType, EventType, Known, Stage};

use delivery::Undeliverable;

/// What a shortened name keeps at least, in characters.
const NAME_MIN: usize = 4;

/// A class that is none of ours is cut to this many characters.
const CLASS_MAX: usize = 8;

/// Characters of a value at most: DLT checks a variable against 30 (AWS, "Sending SMS in India"; MSG91 takes 40).
const VALUE_MAX: usize = 30;

/// What the text is filled with, by the names of the variables of a flow.
pub(crate) type Values = [(&'static str, String); 10];

/// The values of an event's message, the names shortened so that the text is one segment, everything else whole.
pub(crate) fn values(event: &BookingEvent) -> Result<Values, Undeliverable> {
    let names = [
        &event.source_station,
        &event.destination_station,
        &event.passenger_name,
    ]
    .map(|name| plain(name));
    let fixed = length(&text(event.event_type, &named(event, Default::default())));
    let free = SmsEncoding::Gsm7.single().checked_sub(fixed);
    let free = free.filter(|free| *free >= 3 * NAME_MIN);
    let values = named(event, shorten(names, free.ok_or_else(no_room)?));
    if values.iter().any(|(_, value)| length(value) > VALUE_MAX) {
        return Err(no_room());
    }
    Ok(values)
}

/// The text of the values: the words of the template that is approved under DLT, for every provider the same.
pub(crate) fn text(event_type: EventType, values: &Values) -> String {
    let values = values.each_ref().map(|(_, value)| value);
    let [pnr, train, date, time, class, from, to, name, seat, fare] = values;
    let prefix = prefix(event_type);
    format!(
        "{prefix}PNR:{pnr},TRAIN:{train},DOJ:{date},TIME:{time},{class},{from} TO {to},{name},{seat},FARE:{fare}"
    )
}

fn named(event: &BookingEvent, [from, to, name]: [String; 3]) -> Values {
    let (coach, seat) = (plain(&event.coach_number), plain(&event.seat_number));
    let place = format!("{coach} {seat}");
    let listed = event.short_of_a_seat();
    let listed = listed.map(|list| format!("{place} {list}"));
    // A place that fills its value is told as it is rather than not at all.
    let listed = listed.filter(|seat| length(seat) <= VALUE_MAX);
    let seat = listed.unwrap_or(place);
    let time = event.departure_time.time();
    [
        ("PNR", event.pnr_number.to_string()),
        ("TRAIN", event.train_number.to_string()),
        ("DOJ", event.journey_date.format("%d-%m-%Y").to_string()),
        ("TIME", time.format("%H:%M").to_string()),
        ("CLASS", class(&event.coach_type)),
        ("FROM", from),
        ("TO", to),
        ("NAME", name),
        ("SEAT", seat),
        ("FARE", event.total_fare.to_string()),
    ]
}

const fn prefix(event: EventType) -> &'static str {
    match event {
        EventType::BookingConfirmed => "",
        EventType::PaymentCompleted => "PAID ",
        EventType::BookingCancelled => "CANCELLED ",
    }
}

fn no_room() -> Undeliverable {
    Undeliverable {
        stage: Stage::Validate,
        problem: "coachNumber and seatNumber are too long for a text message".to_owned(),
    }
}

fn class(class: &Known<CoachType>) -> String {
    match class {
        Known::Word(word) => word.code().to_owned(),
        Known::Other(text) => cut(&plain(text), CLASS_MAX),
    }
}

/// Characters; in a [`plain`] text each is one septet.
fn length(text: &str) -> usize {
    text.chars().count()
}

/// The text in characters of one septet each, without the comma that separates fields.
fn plain(text: &str) -> String {
    let spelled: String = text.chars().map(spelling).collect();
    let words: Vec<&str> = spelled.split_whitespace().collect();
    if words.is_empty() {
        return "-".to_owned();
    }
    words.join(" ")
}

/// Of the escaped characters, which take two septets, the brackets have relatives and the rest says nothing in a name.
fn spelling(c: char) -> String {
    match c {
        ',' | '\\' | '|' | '~' | '^' => " ".to_owned(),
        '{' | '[' => "(".to_owned(),
        '}' | ']' => ")".to_owned(),
        '€' => "EUR".to_owned(),
        c if c.is_whitespace() => " ".to_owned(),
        c if sms::is_gsm7(c) => c.to_string(),
        c => {
            let ascii = deunicode_char(c).unwrap_or_default();
            let taken =
                |c: &char| *c == ' ' || (c.is_ascii_graphic() && !",\\|~^{}[]`".contains(*c));
            ascii.chars().filter(taken).collect()
        }
    }
}

/// Makes `[from, to, passenger]` fit together: first names become initials, then the longest are cut.
fn shorten(names: [String; 3], free: usize) -> [String; 3] {
    let fits = |names: &[String; 3]| {
        let lengths = names.each_ref().map(|name| length(name));
        lengths.iter().sum::<usize>() <= free && lengths.iter().all(|length| *length <= VALUE_MAX)
    };
    if fits(&names) {
        return names;
    }
    let [from, to, passenger] = names;
    let names = [from, to, initials(&passenger)];
    if fits(&names) {
        return names;
    }
    let cap = cap(names.each_ref().map(|name| length(name)), free).min(VALUE_MAX);
    names.map(|name| cut(&name, cap))
}

/// `Venkata Ramana Subrahmanyam` → `V R Subrahmanyam`.
fn initials(name: &str) -> String {
    let Some((first, last)) = name.rsplit_once(' ') else {
        return name.to_owned();
    };
    let initials = first.split(' ').filter_map(|word| word.chars().next());
    initials.fold(String::new(), |text, c| text + &c.to_string() + " ") + last
}

/// The greatest length at which all fit: who needs less leaves the rest to the others.
fn cap(lengths: [usize; 3], free: usize) -> usize {
    let fits = |cap: &usize| lengths.iter().map(|length| length.min(cap)).sum::<usize>() <= free;
    (0..=free).rev().find(fits).unwrap_or_default()
}

/// `Chhatrapati Shivaji Maharaj Terminus` → `Chhatrapati Shivaji Mah.`.
fn cut(text: &str, cap: usize) -> String {
    if length(text) <= cap {
        return text.to_owned();
    }
    let kept: String = text.chars().take(cap.saturating_sub(1)).collect();
    kept.trim_end_matches([' ', '.']).to_owned() + "."
}

#[cfg(test)]
mod tests {
    use events::BookingStatus;
    use proptest::prelude::*;

    use super::*;

    fn write(event: &BookingEvent) -> Result<String, Undeliverable> {
        values(event).map(|values| text(event.event_type, &values))
    }

    fn event() -> BookingEvent {
        let sample = include_bytes!("../../../crates/events/golden/specification-sample.json");
        BookingEvent::decode(sample).unwrap()
    }

    #[test]
    fn the_specification_sample_reads_as_irctc_writes_it() {
        let mut event = event();
        assert_eq!(
            write(&event).unwrap(),
            "PNR:1234567890,TRAIN:12345,DOJ:15-01-2024,TIME:16:00,1A,New Delhi TO Mumbai Central,John Doe,A1 1,FARE:5000.00"
        );
        event.event_type = EventType::BookingCancelled;
        assert_eq!(
            write(&event).unwrap(),
            "CANCELLED PNR:1234567890,TRAIN:12345,DOJ:15-01-2024,TIME:16:00,1A,New Delhi TO Mumbai Central,John Doe,A1 1,FARE:5000.00"
        );
        event.event_type = EventType::PaymentCompleted;
        assert!(write(&event).unwrap().starts_with("PAID PNR:1234567890,"));
    }

    #[test]
    fn a_seat_that_is_not_confirmed_says_so() {
        let mut event = event();
        for (status, seat) in [
            (BookingStatus::Rac, ",A1 1 RAC,"),
            (BookingStatus::Waitlist, ",A1 1 WL,"),
            (BookingStatus::Completed, ",A1 1,"),
        ] {
            event.booking_status = Known::Word(status);
            let text = write(&event).unwrap();
            assert!(text.contains(seat), "{text}");
        }
    }

    #[test]
    fn hindi_is_written_in_latin_letters() {
        let mut event = event();
        event.passenger_name = "आशा राव".into();
        event.source_station = "नई दिल्ली".into();
        event.destination_station = "São José, [Ω] “Müller”".into();
        let text = write(&event).unwrap();
        assert_eq!(sms::segments(&text).encoding, SmsEncoding::Gsm7);
        insta::assert_snapshot!(text);
    }

    #[test]
    fn long_names_are_shortened_fairly() {
        let mut event = event();
        event.event_type = EventType::BookingCancelled;
        event.source_station = "Chhatrapati Shivaji Maharaj Terminus".into();
        event.destination_station = "Puri".into();
        event.passenger_name = "Venkata Ramana Murthy Subrahmanyam".into();
        let text = write(&event).unwrap();
        assert_eq!(sms::segments(&text).segments, 1);
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_seat_is_never_cut() {
        let mut event = event();
        event.seat_number = "9".repeat(80);
        let problem = write(&event).unwrap_err();
        assert_eq!(problem.stage, Stage::Validate);
        assert!(problem.problem.contains("seatNumber"));
    }

    #[test]
    fn no_value_is_longer_than_dlt_lets_a_variable_be() {
        let mut event = event();
        event.source_station = "Thiruvananthapuram Central Junction".into();
        event.destination_station = "Goa".into();
        event.passenger_name = "Li".into();
        let values = values(&event).unwrap();
        assert_eq!(values[5].1, "Thiruvananthapuram Central Ju.");
        event.seat_number = "9".repeat(28);
        assert_eq!(super::values(&event).unwrap_err().stage, Stage::Validate);
    }

    #[test]
    fn a_place_that_fills_its_value_is_told_without_its_list() {
        let mut event = event();
        event.booking_status = BookingStatus::Rac.into();
        for (coach, place) in [(24, " 1 RAC,FARE:"), (28, " 1,FARE:")] {
            event.coach_number = "A".repeat(coach);
            let text = write(&event).unwrap();
            assert!(text.contains(place), "{text}");
        }
    }

    #[test]
    fn what_needs_less_leaves_the_rest_to_the_others() {
        assert_eq!(cap([4, 36, 36], 44), 20);
        assert!(cap([10, 10, 10], 30) >= 10);
        assert_eq!(cap([50, 50, 50], 0), 0);
    }

    fn any_event() -> impl Strategy<Value = BookingEvent> {
        let names = (".{0,200}", ".{0,200}", ".{0,200}", ".{0,12}");
        // Whatever the script, a coach or a seat of three characters is at most 15 letters.
        let seat = ("[A-Z][0-9]{1,2}", "[0-9]{1,3}|WL/[0-9]{1,3}");
        (names, seat, 0..100_000_000_i64, 0..3_usize).prop_map(|(names, seat, paise, kind)| {
            let mut event = event();
            (
                event.source_station,
                event.destination_station,
                event.passenger_name,
                _,
            ) = names.clone();
            event.coach_type = Known::Other(names.3);
            (event.coach_number, event.seat_number) = seat;
            event.total_fare = events::Money::from_paise(paise);
            event.event_type = EventType::ALL[kind];
            event
        })
    }

    proptest! {
        #[test]
        fn every_booking_is_one_segment_with_its_facts_whole(event in any_event()) {
            let text = write(&event).unwrap();
            let size = sms::segments(&text);
            prop_assert_eq!((size.encoding, size.segments), (SmsEncoding::Gsm7, 1), "{}", text);
            let facts = "PNR:1234567890,TRAIN:12345,DOJ:15-01-2024,TIME:16:00,";
            prop_assert!(text.starts_with(&format!("{}{facts}", prefix(event.event_type))), "{}", text);
            let seat = format!(",{} {},FARE:{}", event.coach_number, event.seat_number, event.total_fare);
            prop_assert!(text.ends_with(&seat), "{}", text);
            prop_assert_eq!(text.split(',').count(), 9, "{}", text);
            let values = values(&event).unwrap();
            prop_assert!(values.iter().all(|(_, value)| length(value) <= VALUE_MAX), "{}", text);
        }

        #[test]
        fn no_coach_or_seat_makes_a_second_segment(coach in ".{0,80}", seat in ".{0,80}") {
            let mut event = event();
            (event.coach_number, event.seat_number) = (coach, seat);
            if let Ok(text) = write(&event) {
                prop_assert_eq!(sms::segments(&text).segments, 1, "{}", text);
            }
        }
    }
}
