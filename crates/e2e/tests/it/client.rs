//! What the tests ask the system.

use std::sync::Arc;

use events::Channel;
use reqwest::{Client, StatusCode};
use sandbox::Accepted;
use serde_json::{Value, json};
use testkit::{System, booking_request, eventually};

/// Makes a booking and gives its PNR.
pub(crate) async fn book(system: &System, request: &Value) -> String {
    let url = system.url("booking-api", "/api/v1/bookings").await.unwrap();
    let response = Client::new_for_tests()
        .post(url)
        .json(request)
        .send()
        .await
        .unwrap();
    let status = response.status();
    let body: Value = response.json().await.unwrap();
    assert_eq!(status, StatusCode::CREATED, "{body}");
    body["pnrNumber"].as_str().unwrap().to_owned()
}

/// A booking like no other of this test.
pub(crate) fn request(email: &str, phone: &str) -> Value {
    let mut request = booking_request(1);
    request["userEmail"] = json!(email);
    request["userPhone"] = json!(phone);
    request
}

pub(crate) async fn cancel(system: &System, pnr: &str) {
    let path = format!("/api/v1/bookings/{pnr}/cancel");
    let url = system.url("booking-api", &path).await.unwrap();
    let response = Client::new_for_tests().post(url).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}

pub(crate) async fn pay(system: &System, pnr: &str) {
    let path = format!("/api/v1/bookings/{pnr}/payment-status");
    let url = system.url("booking-api", &path).await.unwrap();
    let body = json!({"paymentStatus": "COMPLETED"});
    let response = Client::new_for_tests()
        .put(url)
        .json(&body)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}

/// Waits until the passenger has `count` messages of a channel.
pub(crate) async fn told(
    system: &System,
    channel: Channel,
    pnr: &str,
    count: usize,
) -> Vec<Arc<Accepted>> {
    eventually(&format!("{count} messages by {channel}"), async || {
        let messages = system.told(channel, pnr);
        (messages.len() >= count).then_some(messages)
    })
    .await
}

/// Waits until every channel tells of what is booked.
pub(crate) async fn warm_up(system: &System) {
    let pnr = book(system, &booking_request(1)).await;
    for channel in Channel::ALL {
        told(system, channel, &pnr, 1).await;
    }
}

/// A client for one call.
pub(crate) trait ForTests {
    fn new_for_tests() -> Self;
}

impl ForTests for Client {
    fn new_for_tests() -> Self {
        Self::builder().build().unwrap()
    }
}

/// The sum of a metric over its labels.
pub(crate) async fn metric(system: &System, program: &str, name: &str) -> usize {
    let url = system.url(program, "/metrics").await.unwrap();
    let answer = Client::new_for_tests().get(url).send().await.unwrap();
    let text = answer.text().await.unwrap();
    let values = text.lines().filter_map(|line| line.strip_prefix(name));
    values
        .filter_map(|rest| rest.rsplit(' ').next()?.parse::<usize>().ok())
        .sum()
}
