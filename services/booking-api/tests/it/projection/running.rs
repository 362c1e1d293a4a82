//! The projection as it runs: what it does without its database or the broker, and what it tells of itself.

use testkit::eventually;

use super::{DUPLICATE, Fixture, STORED, words};
use crate::fixture::BOOKINGS;

#[tokio::test]
async fn a_database_that_takes_no_statuses_stops_the_intake_and_not_the_api() {
    let test = Fixture::new().await;
    test.api
        .meddle("alter table notification_step rename to away")
        .await;
    test.tell(&test.step("SENT", 1)).await;
    test.readiness_says("the database takes no statuses: they wait in Kafka")
        .await;
    let stored = test.api.counted(STORED).await;
    test.api.create().await;
    test.api
        .get(&format!("{BOOKINGS}/{}", test.pnr))
        .await
        .expect(200);
    assert_eq!(test.api.counted(STORED).await, stored);
    test.api
        .meddle("alter table away rename to notification_step")
        .await;
    assert_eq!(words(&test.steps(1).await), ["SENT"]);
}

#[tokio::test]
async fn what_was_stored_is_not_read_again_after_a_restart() {
    let mut test = Fixture::new().await;
    test.tell(&test.step("RETRYING", 1)).await;
    test.steps(1).await;
    test.api.shut_down();
    test.api.ended().await.unwrap();
    test.api = test.api.twin().await;
    test.tell(&test.step("SENT", 2)).await;
    test.steps(2).await;
    test.counts(STORED, 1).await;
    test.counts(DUPLICATE, 0).await;
}

#[tokio::test]
async fn a_broker_that_goes_and_comes_back_changes_no_answer_and_loses_no_status() {
    let test = Fixture::new().await;
    test.tell(&test.step("RETRYING", 1)).await;
    test.steps(1).await;
    test.broker.go_down().await.unwrap();
    let away = "no broker is connected: what became of notifications is not known here yet";
    test.readiness_says(away).await;
    test.api.create().await;
    assert_eq!(test.items("notifications").await.len(), 1);
    test.broker.come_up().await.unwrap();
    test.tell(&test.step("SENT", 2)).await;
    assert_eq!(words(&test.steps(2).await), ["RETRYING", "SENT"]);
    test.readiness_says("ok").await;
}

#[tokio::test]
async fn the_lag_of_each_partition_is_measured_and_names_nobody() {
    let test = Fixture::new().await;
    test.tell(&test.step("SENT", 1)).await;
    test.steps(1).await;
    let lag = "booking_status_lag{topic=\"notification-status\",partition=\"";
    let metrics = eventually("lag", || async {
        let metrics = test.api.get("/metrics").await.body;
        metrics.contains(lag).then_some(metrics)
    })
    .await;
    assert!(!metrics.contains(&test.pnr), "{metrics}");
    assert!(!metrics.contains(&test.event_id), "{metrics}");
}

#[tokio::test]
async fn the_layout_of_the_topics_is_measured() {
    let test = Fixture::new().await;
    let layout = "kafka_topic_partitions{topic=\"booking-confirmed\"} 3";
    let metrics = eventually("layout", || async {
        let metrics = test.api.get("/metrics").await.body;
        metrics.contains(layout).then_some(metrics)
    })
    .await;
    let replicas = "kafka_topic_replication_factor{topic=\"booking-confirmed\"} ";
    assert!(metrics.contains(replicas), "{metrics}");
}
