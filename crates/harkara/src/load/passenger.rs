//! What a passenger does.

use std::time::Duration;

use events::EventType;
use reqwest::{Client, Method, RequestBuilder};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

/// How many of a hundred do what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Habits {
    pub(crate) pay: u8,
    pub(crate) cancel: u8,
    pub(crate) think: Duration,
}

impl Habits {
    /// What the passenger of this number does after booking.
    pub(crate) fn changes_of(&self, number: u64) -> Vec<EventType> {
        let mut changes = Vec::new();
        if number % 100 < u64::from(self.pay) {
            changes.push(EventType::PaymentCompleted);
        }
        // 37 shares no factor with 100: the shares mix instead of nesting.
        if (number * 37) % 100 < u64::from(self.cancel) {
            changes.push(EventType::BookingCancelled);
        }
        changes
    }
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// 2xx.
    Done {
        /// Of which booking.
        pnr: String,
    },
    /// Another status.
    Refused(u16),
    /// No answer.
    Unanswered,
}

/// What the answers hold that is of use here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Booking {
    pnr_number: String,
}

/// Sends requests to one API.
#[derive(Clone, Debug)]
pub(crate) struct Counter {
    pub(crate) client: Client,
    pub(crate) bookings: Url,
}

impl Counter {
    pub(crate) async fn book(&self, number: u64) -> Ended {
        let body = booking(number).to_string();
        let request = self.client.post(self.bookings.clone());
        answered(with_json(request, body)).await
    }

    pub(crate) async fn change(&self, pnr: &str, change: EventType) -> Ended {
        let (method, path, body) = match change {
            EventType::PaymentCompleted => (
                Method::PUT,
                "payment-status",
                json!({"paymentStatus": "COMPLETED"}).to_string(),
            ),
            EventType::BookingCancelled | EventType::BookingConfirmed => {
                (Method::POST, "cancel", json!({}).to_string())
            }
        };
        let url = format!("{}/{pnr}/{path}", self.bookings);
        answered(with_json(self.client.request(method, url), body)).await
    }
}

fn with_json(request: RequestBuilder, body: String) -> RequestBuilder {
    request
        .header("content-type", "application/json")
        .body(body)
}

async fn answered(request: RequestBuilder) -> Ended {
    let Ok(response) = request.send().await else {
        return Ended::Unanswered;
    };
    if !response.status().is_success() {
        return Ended::Refused(response.status().as_u16());
    }
    let body = response.bytes().await.unwrap_or_default();
    match serde_json::from_slice::<Booking>(&body) {
        Ok(booking) => Ended::Done {
            pnr: booking.pnr_number,
        },
        Err(_) => Ended::Unanswered,
    }
}

/// A ticket like any other, for a phone of its own: providers limit what one recipient is sent.
fn booking(number: u64) -> Value {
    let phone = 7_000_000_000 + number % 1_000_000_000;
    json!({
        "userId": number, "userEmail": format!("passenger{number}@example.com"), "userPhone": phone.to_string(),
        "userName": "Asha Verma", "trainId": 12951, "trainNumber": "12951", "trainName": "Mumbai Rajdhani",
        "sourceStation": "New Delhi", "destinationStation": "Mumbai Central",
        "journeyDate": "2027-01-15", "departureTime": "16:55:00", "arrivalTime": "08:35:00",
        "passengerName": "Asha Verma", "passengerAge": 34, "passengerGender": "FEMALE",
        "coachNumber": "A1", "seatNumber": (number % 72 + 1).to_string(), "coachType": "AC_2_TIER",
        "baseFare": 2870.00,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_hundred_passengers_as_many_pay_and_cancel_as_are_to() {
        let habits = Habits {
            pay: 40,
            cancel: 10,
            think: Duration::ZERO,
        };
        let all: Vec<_> = (0..1000).map(|number| habits.changes_of(number)).collect();
        let count = |event| {
            all.iter()
                .filter(|changes| changes.contains(&event))
                .count()
        };
        assert_eq!(count(EventType::PaymentCompleted), 400);
        assert_eq!(count(EventType::BookingCancelled), 100);
        let both = all.iter().filter(|changes| changes.len() == 2).count();
        assert!(
            (20..=60).contains(&both),
            "{both} of 100 cancel what they paid"
        );
    }
}
