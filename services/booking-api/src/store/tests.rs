use chrono::DateTime;
use events::{Channel, EventType, Step};
use testkit::TestDatabase;

use super::*;
use crate::notification::NotificationStep;

fn step(record_id: &str, offset: i64) -> NewStep {
    NewStep {
        record_id: record_id.to_owned(),
        pnr: "2412345678".parse().unwrap(),
        step: NotificationStep {
            event_id: "e".parse().unwrap(),
            event_type: EventType::BookingConfirmed,
            channel: Channel::Whatsapp,
            step: Step::Retrying,
            attempt: u32::MAX,
            provider: Some("meta".to_owned()),
            provider_message_id: None,
            reason: Some("\"₹\" 'quoted' \\u0000".to_owned()),
            occurred_at: DateTime::from_timestamp_micros(1_704_083_400_123_000).unwrap(),
            partition: 2,
            offset,
        },
    }
}

async fn open(database: &TestDatabase) -> Store {
    Store::open(&database.settings()).await.unwrap()
}

#[tokio::test]
async fn a_step_is_read_as_it_was_kept() {
    let database = TestDatabase::new().unwrap();
    let store = open(&database).await;
    let new = step("a", i64::MAX);
    store.keep_steps(std::slice::from_ref(&new)).await.unwrap();
    assert_eq!(store.steps_of(&new.pnr).await.unwrap(), [new.step]);
}

#[tokio::test]
async fn a_record_is_kept_once_within_a_batch_and_across_batches() {
    let database = TestDatabase::new().unwrap();
    let store = open(&database).await;
    let first = [step("a", 1), step("b", 2), step("a", 3)];
    assert_eq!(store.keep_steps(&first).await.unwrap(), 2);
    let second = [step("b", 4), step("c", 5)];
    assert_eq!(store.keep_steps(&second).await.unwrap(), 1);
    assert_eq!(store.keep_steps(&[]).await.unwrap(), 0);
    let kept = store.steps_of(&first[0].pnr).await.unwrap();
    let offsets: Vec<_> = kept.iter().map(|step| step.offset).collect();
    assert_eq!(offsets, [1, 2, 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_with_the_same_records_keep_each_once_and_never_wait_for_each_other() {
    let database = TestDatabase::new().unwrap();
    let (one, other) = (open(&database).await, open(&database).await);
    for round in 0..10_i64 {
        let batch: Vec<_> = (0..200).map(|n| step(&format!("{round}-{n}"), n)).collect();
        let reversed: Vec<_> = batch.iter().rev().cloned().collect();
        let (a, b) = tokio::join!(one.keep_steps(&batch), other.keep_steps(&reversed));
        assert_eq!(a.unwrap() + b.unwrap(), 200);
    }
}
