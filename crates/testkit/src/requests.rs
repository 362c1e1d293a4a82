//! Bookings to make.

use serde_json::{Value, json};

/// The specification's event sample, byte for byte.
pub const fn sample_event() -> &'static str {
    include_str!("../../events/golden/specification-sample.json")
}

/// The specification's sample as a request to create a booking.
pub fn sample_request() -> Value {
    booking_request(1)
}

/// The specification's sample in seat `n`, for a phone of its own: providers limit what one recipient is sent.
pub fn booking_request(n: u64) -> Value {
    let phone = 9_876_543_209 + n % 100_000_000;
    json!({
        "userId": 1, "userEmail": "user@example.com", "userPhone": phone.to_string(), "userName": "John Doe",
        "trainId": 1, "trainNumber": "12345", "trainName": "Rajdhani Express",
        "sourceStation": "New Delhi", "destinationStation": "Mumbai Central",
        "journeyDate": "2024-01-15", "departureTime": "16:00:00", "arrivalTime": "08:30:00",
        "passengerName": "John Doe", "passengerAge": 30, "passengerGender": "MALE",
        "coachNumber": "A1", "seatNumber": n.to_string(), "coachType": "AC_FIRST_CLASS",
        "totalFare": 5000.00, "baseFare": 4500.00, "convenienceFee": 90.00, "gstAmount": 225.00,
        "quotaType": "GENERAL", "isTatkal": false, "bookingSource": "WEB",
    })
}
