//! `harkara up`: the whole system in one process, as a newcomer runs it.

use std::fs::File;
use std::process::{Command, Stdio};

use reqwest::{Client, StatusCode};
use tempfile::TempDir;
use testkit::{eventually, program_path, sample_request};

use crate::client::ForTests as _;

#[tokio::test(flavor = "multi_thread")]
async fn up_tells_a_booking_on_three_channels_and_says_so_when_it_stops() {
    let folder = TempDir::new().unwrap();
    let screen = folder.path().join("screen");
    let mut up = Command::new(program_path("harkara").unwrap())
        .args(["up", "--any-port", "--data-dir"])
        .arg(folder.path())
        .env_clear()
        // Each program has its own: one group for three notifiers would tell it on one channel.
        .envs([("CONSUMER_GROUP", "one"), ("TOPICS", "payment-completed")])
        .stdin(Stdio::null())
        .stdout(File::create(&screen).unwrap())
        .spawn()
        .unwrap();
    let shown = || std::fs::read_to_string(&screen).unwrap();
    let api = eventually("address of booking-api", async || {
        let screen = shown();
        let line = screen
            .lines()
            .find(|line| line.starts_with("booking-api"))?;
        Some(line.split_whitespace().nth(1)?.to_owned()).filter(|_| screen.contains("Ctrl-C"))
    })
    .await;
    let url = format!("{api}/api/v1/bookings");
    let response = Client::new_for_tests()
        .post(url)
        .json(&sample_request())
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::CREATED);
    eventually("line for each message", async || {
        (shown().matches("BOOKING_CONFIRMED").count() == 3).then_some(())
    })
    .await;
    let id = up.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &id])
            .status()
            .unwrap()
            .success()
    );
    assert!(up.wait().unwrap().success());
    let last = shown().lines().last().unwrap().to_owned();
    assert!(
        last.contains("1 events told in 3 messages: 1 email, 1 sms, 1 whatsapp"),
        "{last}"
    );
}
