//! What became of notifications: from the broker to the answers.

mod running;

use bus::NewRecord;
use events::NOTIFICATION_STATUS;
use serde_json::{Value, json};
use testkit::{TestBroker, eventually};

use crate::fixture::{BOOKINGS, TestApi, send};

const STORED: &str = "booking_status_records_total{outcome=\"stored\"}";
const DUPLICATE: &str = "booking_status_records_total{outcome=\"duplicate\"}";
const SKIPPED: &str = "booking_status_records_total{outcome=\"skipped\"}";

struct Fixture {
    broker: TestBroker,
    api: TestApi,
    pnr: String,
    event_id: String,
}

impl Fixture {
    /// A booking whose confirmation is at 10:00.
    async fn new() -> Self {
        let broker = TestBroker::start().await.unwrap();
        let api = TestApi::start_at(&broker).await;
        let pnr = api.create().await.pnr();
        let event_id = api.outbox().await[0].header("ce_id").to_owned();
        let fixture = Self {
            broker,
            api,
            pnr,
            event_id,
        };
        // On new brokers the topic is there only once the API made it.
        fixture.readiness_says("ok").await;
        fixture
    }

    /// A step of the SMS of the confirmation, so many seconds after 10:00.
    fn step(&self, status: &str, second: u32) -> Value {
        json!({
            "eventId": self.event_id, "eventType": "BOOKING_CONFIRMED", "bookingId": 1,
            "pnrNumber": self.pnr, "userId": 1, "channel": "SMS", "status": status, "attempt": 0,
            "provider": null, "providerMessageId": null, "reason": null,
            "occurredAt": format!("2024-01-01T04:30:{second:02}.000Z"),
        })
    }

    async fn write(&self, id: Option<&str>, value: Option<&[u8]>) {
        let id = id.map(|id| ("ce_id".to_owned(), Some(id.as_bytes().to_vec())));
        let record = NewRecord {
            topic: NOTIFICATION_STATUS,
            partition: None,
            key: Some(self.pnr.as_bytes()),
            value,
            headers: id.as_slice(),
        };
        self.broker.produce(&record).await.unwrap();
    }

    /// Writes a step as a notifier does, with an id of its own.
    async fn tell(&self, step: &Value) {
        let id = chassis::chance::token();
        self.write(Some(&id), Some(step.to_string().as_bytes()))
            .await;
    }

    async fn items(&self, of: &str) -> Vec<Value> {
        let path = format!("{BOOKINGS}/{}/{of}", self.pnr);
        let body = self.api.get(&path).await.expect(200).json();
        body["items"].as_array().unwrap().clone()
    }

    /// The steps of the timeline, once there are so many.
    async fn steps(&self, count: usize) -> Vec<Value> {
        eventually("all steps", || async {
            let items = self.items("timeline").await;
            let steps = items.into_iter();
            let steps = steps.filter(|item| item["kind"] == "NOTIFICATION");
            let steps: Vec<_> = steps.collect();
            (steps.len() >= count).then_some(steps)
        })
        .await
    }

    /// The only entry of the notifications.
    async fn notification(&self) -> Value {
        let items = self.items("notifications").await;
        assert_eq!(items.len(), 1, "{items:?}");
        items[0].clone()
    }

    /// Waits until readiness tells this of the statuses, and is ready all the while.
    async fn readiness_says(&self, detail: &str) {
        eventually(detail, || async {
            let ready = self.api.get("/readyz").await.expect(200).json();
            (ready["checks"]["notification-status"] == detail).then_some(())
        })
        .await;
    }

    /// Waits until so many records were counted; on a broker that tests share, there are those of others.
    async fn counts(&self, name: &str, records: u64) {
        let alone = self.broker.in_process_broker().is_some();
        eventually(name, || async {
            let counted = self.api.counted(name).await;
            (counted == records || (!alone && counted > records)).then_some(())
        })
        .await;
    }
}

fn words(items: &[Value]) -> Vec<&str> {
    let words = items.iter().map(|item| item["status"].as_str().unwrap());
    words.collect()
}

#[tokio::test]
async fn a_message_that_was_sent_is_shown_with_all_that_is_known_of_it() {
    let test = Fixture::new().await;
    let mut sent = test.step("SENT", 12);
    sent["attempt"] = json!(3);
    sent["provider"] = json!("twilio");
    sent["providerMessageId"] = json!("SM123");
    test.tell(&sent).await;
    let steps = test.steps(1).await;
    assert_eq!(
        steps,
        [json!({
            "at": "2024-01-01T10:00:12.000+05:30", "kind": "NOTIFICATION", "eventId": test.event_id,
            "eventType": "BOOKING_CONFIRMED", "bookingVersion": 1, "channel": "SMS", "status": "SENT",
            "attempt": 3, "provider": "twilio", "providerMessageId": "SM123",
            "text": "SMS for BOOKING_CONFIRMED was accepted by twilio as SM123 after 3 attempts, 12 s after the event.",
        })]
    );
    assert_eq!(
        test.notification().await,
        json!({
            "eventId": test.event_id, "eventType": "BOOKING_CONFIRMED", "bookingVersion": 1,
            "channel": "SMS", "status": "SENT", "attempts": 3, "provider": "twilio",
            "providerMessageId": "SM123", "updatedAt": "2024-01-01T10:00:12.000+05:30",
        })
    );
}

#[tokio::test]
async fn every_field_of_both_answers_is_documented() {
    let test = Fixture::new().await;
    send(test.api.cancel(&test.pnr)).await.expect(200);
    let mut step = test.step("DEAD_LETTERED", 1);
    for name in ["provider", "providerMessageId", "reason"] {
        step[name] = json!("x");
    }
    test.tell(&step).await;
    test.steps(1).await;
    let document = test.api.get("/openapi.json").await.json();
    for (of, schema) in [
        ("timeline", "TimelineItem"),
        ("notifications", "Notification"),
    ] {
        let documented = &document["components"]["schemas"][schema];
        for item in test.items(of).await {
            agrees(&item, documented);
        }
    }
}

fn agrees(item: &Value, documented: &Value) {
    let fields = item.as_object().unwrap();
    for name in fields.keys() {
        let property = documented["properties"].get(name);
        assert!(property.is_some(), "{name} is not documented");
    }
    for name in documented["required"].as_array().unwrap() {
        assert!(fields.contains_key(name.as_str().unwrap()), "no {name}");
    }
}

#[tokio::test]
async fn a_publication_is_told_with_its_place() {
    let test = Fixture::new().await;
    let published = eventually("publication", || async {
        let items = test.items("timeline").await;
        let mut published = items.into_iter().filter(|item| item["offset"].is_i64());
        published.next()
    })
    .await;
    let mut reader = test.broker.reader(["booking-confirmed"]).unwrap();
    let record = reader.find("booking-confirmed", &test.pnr).await.unwrap();
    assert_eq!(published["kind"], "PUBLICATION");
    assert_eq!(published["topic"], "booking-confirmed");
    assert_eq!(published["partition"], record.partition);
    assert_eq!(published["offset"], record.offset);
    let place = format!("(partition {}, offset {})", record.partition, record.offset);
    assert!(published["text"].as_str().unwrap().contains(&place));
}

#[tokio::test]
async fn a_status_that_comes_twice_is_kept_once() {
    let test = Fixture::new().await;
    let sent = test.step("SENT", 1).to_string();
    for _ in 0..2 {
        test.write(Some(&format!("{}-1", test.event_id)), Some(sent.as_bytes()))
            .await;
    }
    test.counts(DUPLICATE, 1).await;
    assert_eq!(test.steps(1).await.len(), 1);
}

#[tokio::test]
async fn without_an_id_a_record_is_known_by_its_place() {
    let test = Fixture::new().await;
    let waits = test.step("RETRYING", 1).to_string();
    for _ in 0..2 {
        test.write(None, Some(waits.as_bytes())).await;
    }
    assert_eq!(words(&test.steps(2).await), ["RETRYING", "RETRYING"]);
    // Read once more after a crash, they are the same two.
    let test = Fixture {
        api: test.api.crash_and_read_again().await,
        ..test
    };
    test.counts(DUPLICATE, 2).await;
    test.tell(&test.step("SENT", 2)).await;
    assert_eq!(
        words(&test.steps(3).await),
        ["RETRYING", "RETRYING", "SENT"]
    );
}

#[tokio::test]
async fn steps_that_arrive_late_are_told_in_their_place_and_change_no_state() {
    let test = Fixture::new().await;
    for (word, second) in [
        ("DELIVERED", 9),
        ("SENT", 8),
        ("RETRYING", 3),
        ("FAILED", 4),
    ] {
        test.tell(&test.step(word, second)).await;
    }
    let steps = test.steps(4).await;
    assert_eq!(words(&steps), ["RETRYING", "FAILED", "SENT", "DELIVERED"]);
    let state = test.notification().await;
    assert_eq!(state["status"], "DELIVERED");
    assert_eq!(state["updatedAt"], "2024-01-01T10:00:09.000+05:30");
}

#[tokio::test]
async fn a_dead_letter_that_is_replayed_ends_as_sent() {
    let test = Fixture::new().await;
    let mut dead = test.step("DEAD_LETTERED", 3);
    dead["reason"] = json!("no such number");
    test.tell(&dead).await;
    test.steps(1).await;
    let state = test.notification().await;
    assert_eq!(state["status"], "DEAD_LETTERED");
    assert_eq!(state["reason"], "no such number");
    test.tell(&test.step("SENT", 30)).await;
    test.steps(2).await;
    let state = test.notification().await;
    assert_eq!(state["status"], "SENT");
    assert_eq!(state.get("reason"), None);
}

#[tokio::test]
async fn notifications_stand_in_the_order_of_their_events_and_those_of_others_last() {
    let test = Fixture::new().await;
    send(test.api.cancel(&test.pnr)).await.expect(200);
    let cancelled = test.api.outbox().await[1].header("ce_id").to_owned();
    for (event_id, event, channel) in [
        ("0", "PAYMENT_COMPLETED", "EMAIL"),
        (cancelled.as_str(), "BOOKING_CANCELLED", "SMS"),
        (&test.event_id, "BOOKING_CONFIRMED", "WHATSAPP"),
        (&test.event_id, "BOOKING_CONFIRMED", "EMAIL"),
    ] {
        let mut step = test.step("SENT", 1);
        step["eventId"] = json!(event_id);
        step["eventType"] = json!(event);
        step["channel"] = json!(channel);
        test.tell(&step).await;
    }
    test.steps(4).await;
    let items = test.items("notifications").await;
    let shown = items
        .iter()
        .map(|item| json!([item["bookingVersion"], item["channel"]]));
    let expected = json!([[1, "EMAIL"], [1, "WHATSAPP"], [2, "SMS"], [null, "EMAIL"]]);
    assert_eq!(json!(shown.collect::<Vec<_>>()), expected);
    assert_eq!(items[3].get("bookingVersion"), None);
}

#[tokio::test]
async fn a_record_that_is_no_status_is_counted_and_blocks_nothing() {
    let test = Fixture::new().await;
    test.write(None, None).await;
    test.write(None, Some(b"{\"eventId\":")).await;
    test.tell(&test.step("BOUNCED", 1)).await;
    let mut odd = test.step("RETRYING", 2);
    odd["reason"] = json!("refused:\u{0} \"₹\" 'x'\n");
    test.tell(&odd).await;
    test.tell(&test.step("SENT", 3)).await;
    let steps = test.steps(2).await;
    assert_eq!(words(&steps), ["RETRYING", "SENT"]);
    assert_eq!(steps[0]["reason"], "refused:  \"₹\" 'x' ");
    test.counts(SKIPPED, 3).await;
}

#[tokio::test]
async fn statuses_of_a_pnr_nobody_booked_here_are_kept_and_not_shown() {
    let test = Fixture::new().await;
    let mut strange = test.step("SENT", 1);
    strange["pnrNumber"] = json!("1000000001");
    strange["eventId"] = json!("uuid-string");
    test.tell(&strange).await;
    test.tell(&test.step("SENT", 1)).await;
    test.steps(1).await;
    let kept = "select count(*) from notification_step where pnr = '1000000001' and event_id = 'uuid-string'";
    assert!(test.api.count(kept).await >= 1);
    for of in ["timeline", "notifications"] {
        let answer = test.api.get(&format!("{BOOKINGS}/1000000001/{of}")).await;
        answer.expect_problem(404, "booking-not-found");
    }
}
