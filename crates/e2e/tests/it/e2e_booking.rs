//! A booking's life, as its passenger and another team's consumer see it.

use std::collections::BTreeSet;

use events::{Channel, NOTIFICATION_STATUS};
use reqwest::Client;
use serde_json::Value;
use testkit::{System, eventually, sample_event, sample_request};

use crate::client::{ForTests as _, book, cancel, pay, told};

#[tokio::test(flavor = "multi_thread")]
async fn a_booking_is_told_on_three_channels_a_cancellation_on_two_a_payment_on_one() {
    let system = System::builder().start().await.unwrap();
    let pnr = book(&system, &sample_request()).await;
    for channel in Channel::ALL {
        told(&system, channel, &pnr, 1).await;
    }
    pay(&system, &pnr).await;
    told(&system, Channel::Email, &pnr, 2).await;
    cancel(&system, &pnr).await;
    let mails = told(&system, Channel::Email, &pnr, 3).await;
    told(&system, Channel::Sms, &pnr, 2).await;
    assert_eq!(system.told(Channel::Whatsapp, &pnr).len(), 1);

    let subject = |n: usize| mails[n].subject.clone().unwrap().to_lowercase();
    assert!(subject(0).contains("cancel"), "{}", subject(0));
    assert!(subject(1).contains("payment received"), "{}", subject(1));
    assert!(subject(2).contains("confirm"), "{}", subject(2));
    let sms = &system.told(Channel::Sms, &pnr)[0];
    assert_eq!(sms.segments.as_ref().unwrap().segments, 1);
}

/// What the API tells of the notifications of a PNR, once so many were sent.
async fn sent(system: &System, pnr: &str, count: usize) -> Vec<Value> {
    let path = format!("/api/v1/bookings/{pnr}/notifications");
    let url = system.url("booking-api", &path).await.unwrap();
    eventually("notifications that were sent", async || {
        let answer = Client::new_for_tests().get(&url).send().await.unwrap();
        let body: Value = answer.json().await.unwrap();
        let items = body["items"].as_array().unwrap();
        let sent = items.iter().filter(|item| item["status"] == "SENT").count();
        (sent == count).then(|| items.clone())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_is_told_to_the_api_and_to_others_without_an_address() {
    let system = System::builder().start().await.unwrap();
    let request = sample_request();
    let pnr = book(&system, &request).await;
    for channel in Channel::ALL {
        told(&system, channel, &pnr, 1).await;
    }
    let items = sent(&system, &pnr, 3).await;
    assert_eq!(items.len(), 3, "{items:?}");
    for item in &items {
        for name in ["provider", "providerMessageId"] {
            let known = item[name].as_str().is_some_and(|value| !value.is_empty());
            assert!(known, "no {name} in {item}");
        }
    }
    let channels = items.iter().filter_map(|item| item["channel"].as_str());
    let channels: BTreeSet<_> = channels.collect();
    assert_eq!(channels, BTreeSet::from(["EMAIL", "SMS", "WHATSAPP"]));

    let group = system.group_of("statuses");
    let topics = vec![NOTIFICATION_STATUS.to_owned()];
    let records = system.broker().read_all(&group, topics).await.unwrap();
    // On a broker that tests share, others write what is no status.
    let own = records
        .into_iter()
        .filter(|record| record.key.as_deref() == Some(pnr.as_bytes()));
    let own: Vec<_> = own.map(|record| record.value.unwrap()).collect();
    assert_eq!(own.len(), 3, "statuses with the PNR as their key");
    for value in own {
        let value = String::from_utf8(value).unwrap();
        let status: Value = serde_json::from_str(&value).unwrap();
        assert_eq!(status["pnrNumber"], pnr, "{value}");
        for secret in ["userEmail", "userPhone"] {
            let secret = request[secret].as_str().unwrap();
            assert!(!value.contains(secret), "{value}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sample_booked_over_http_is_the_sample_s_event_on_kafka() {
    let system = System::builder().start().await.unwrap();
    let pnr = book(&system, &sample_request()).await;
    let topics = ["booking-confirmed", "booking-cancelled"];
    let mut reader = system.broker().reader(topics).unwrap();
    let record = reader.find("booking-confirmed", &pnr).await.unwrap();

    let mut event: Value = serde_json::from_slice(record.value.as_deref().unwrap()).unwrap();
    let mut sample: Value = serde_json::from_str(sample_event()).unwrap();
    let names = |value: &Value| {
        value
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&event), names(&sample));
    for of_its_own in [
        "eventId",
        "bookingId",
        "pnrNumber",
        "bookingDate",
        "eventTimestamp",
    ] {
        event[of_its_own].take();
        sample[of_its_own].take();
    }
    assert_eq!(event, sample);
    let text = String::from_utf8(record.value.clone().unwrap()).unwrap();
    assert!(
        text.contains("\"totalFare\":5000.00,\"baseFare\":4500.00"),
        "{text}"
    );

    for (name, value) in [
        ("content-type", "application/json"),
        ("ce_specversion", "1.0"),
        ("ce_type", "booking.confirmed.v1"),
        ("ce_source", "/booking-api"),
        ("ce_bookingversion", "1"),
        ("ce_bookinghistory", ""),
    ] {
        assert_eq!(record.header(name), Some(value), "{name}");
    }
    let id: Value = serde_json::from_slice(record.value.as_deref().unwrap()).unwrap();
    assert_eq!(record.header("ce_id"), id["eventId"].as_str());
    assert_eq!(
        record.header("ce_subject").unwrap(),
        id["bookingId"].to_string()
    );
    assert!(record.header("ce_time").unwrap().ends_with("+05:30"));
    assert!(record.header("traceparent").unwrap().starts_with("00-"));

    pay(&system, &pnr).await;
    cancel(&system, &pnr).await;
    let record = reader.find("booking-cancelled", &pnr).await.unwrap();
    assert_eq!(record.header("ce_bookingversion"), Some("3"));
    let history = "BOOKING_CONFIRMED=1,PAYMENT_COMPLETED=2";
    assert_eq!(record.header("ce_bookinghistory"), Some(history));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_finishes_what_is_in_flight_and_says_nothing_of_anybody() {
    let mut system = System::builder().start().await.unwrap();
    let pnr = book(&system, &sample_request()).await;
    for channel in Channel::ALL {
        told(&system, channel, &pnr, 1).await;
    }
    for name in System::PROGRAMS {
        let program = system.take_program(name).unwrap();
        let log = program.log_path().to_owned();
        assert!(program.terminate().await.unwrap().success(), "{name}");
        let log = std::fs::read_to_string(log).unwrap();
        assert!(log.lines().count() > 1, "{name} logged nothing");
        for secret in [
            "user@example.com",
            "9876543210",
            "John",
            "test-sms-token",
            pnr.as_str(),
        ] {
            assert!(!log.contains(secret), "the log of {name} tells {secret}");
        }
    }
}
