//! Many bookings at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::{Client, StatusCode};
use serde_json::Value;
use testkit::{Booked, System, booking_request, full_length};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

const QUIET: Duration = Duration::from_mins(5);

/// Makes `count` bookings, `clients` at a time; gives their PNRs.
async fn book_many(url: &str, count: u64, clients: usize) -> Vec<String> {
    let client = Client::builder()
        .timeout(Duration::from_mins(1))
        .build()
        .unwrap();
    let slots = Arc::new(Semaphore::new(clients));
    let mut bookings = JoinSet::new();
    for n in 1..=count {
        let (client, url) = (client.clone(), url.to_owned());
        let slot = Arc::clone(&slots).acquire_owned().await.unwrap();
        bookings.spawn(async move {
            let response = client
                .post(url)
                .json(&booking_request(n))
                .send()
                .await
                .unwrap();
            assert_eq!(response.status(), StatusCode::CREATED);
            let body: Value = response.json().await.unwrap();
            drop(slot);
            body["pnrNumber"].as_str().unwrap().to_owned()
        });
    }
    bookings.join_all().await
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_bookings_at_once_are_each_told_exactly_once() {
    let count = if full_length() { 10_000 } else { 1_000 };
    let system = System::builder().start().await.unwrap();
    let url = system.url("booking-api", "/api/v1/bookings").await.unwrap();
    let started = Instant::now();
    let pnrs = book_many(&url, count, 64).await;
    let booked = started.elapsed();
    let bookings: Vec<_> = pnrs.into_iter().map(Booked::confirmed).collect();
    let verdict = system.judge(&bookings, QUIET).await.unwrap();
    println!(
        "{count} bookings in {booked:.1?}, told in {:.1?}: {verdict}",
        started.elapsed()
    );
    assert!(verdict.is_clean(), "{verdict}");
    assert!(verdict.untold.is_empty(), "{verdict}");
}

/// Bookings a second of so many clients.
async fn rate(url: &str, count: u64, clients: usize) -> f64 {
    let started = Instant::now();
    let pnrs = book_many(url, count, clients).await;
    f64::from(u32::try_from(pnrs.len()).unwrap()) / started.elapsed().as_secs_f64()
}

#[tokio::test(flavor = "multi_thread")]
async fn bookings_that_wait_together_are_written_together() {
    let count = if full_length() { 20_000 } else { 2_000 };
    let mut system = System::builder().start_without_programs().await.unwrap();
    system.start_program("booking-api").await.unwrap();
    let url = system.url("booking-api", "/api/v1/bookings").await.unwrap();
    rate(&url, count / 10, 16).await;
    let one = rate(&url, count / 10, 1).await;
    let many = rate(&url, count, 64).await;
    println!(
        "1 client {one:.0} bookings/s, 64 clients {many:.0}: {:.1} times",
        many / one
    );

    let metrics = system.url("booking-api", "/metrics").await.unwrap();
    let text = reqwest::get(metrics).await.unwrap().text().await.unwrap();
    let batches = text
        .lines()
        .find_map(|line| line.strip_prefix("booking_write_batches_total "));
    let batches: u64 = batches.unwrap().parse().unwrap();
    assert!(
        batches < count,
        "{batches} transactions for more than {count} bookings"
    );
}
