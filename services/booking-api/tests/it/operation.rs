//! What operators and programs see.

use std::collections::BTreeMap;

use booking_api::Settings;
use chassis::parse_settings_from;
use serde_json::{Value, json};
use testkit::eventually;

use crate::fixture::{BOOKINGS, SAMPLE, TestApi, send, send_held};

#[tokio::test]
async fn openapi_document() {
    let api = TestApi::start().await;
    let document = api.get("/openapi.json").await.expect(200).json();
    insta::assert_json_snapshot!(document);
}

#[tokio::test]
async fn every_reference_of_the_document_leads_somewhere() {
    let api = TestApi::start().await;
    let document = api.get("/openapi.json").await.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let references = references(&document);
    assert!(references.len() > 10);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[tokio::test]
async fn the_document_tells_the_bounds_of_every_parameter_and_each_replay() {
    let api = TestApi::start().await;
    let document = api.get("/openapi.json").await.json();
    let schemas = |path: &str| {
        let parameters = document.pointer(path).unwrap()["parameters"].as_array();
        let parameters = parameters.unwrap().iter();
        let named = parameters.map(|one| (one["name"].as_str().unwrap(), &one["schema"]));
        named.collect::<BTreeMap<_, _>>()
    };
    let list = schemas("/paths/~1api~1v1~1bookings/get");
    let expected = json!({"type": "integer", "minimum": 1, "maximum": 200, "default": 50});
    assert_eq!(list["limit"], &expected);
    let statuses = list["status"]["enum"].as_array().unwrap();
    assert!(statuses.contains(&json!("CANCELLED")), "{statuses:?}");
    assert_eq!(list["cursor"]["minLength"], 1);
    assert_eq!(list["userId"]["minimum"], 1);

    for (path, success) in [
        ("/paths/~1api~1v1~1bookings/post", "201"),
        ("/paths/~1api~1v1~1bookings~1{pnr}~1cancel/post", "200"),
        (
            "/paths/~1api~1v1~1bookings~1{pnr}~1payment-status/put",
            "200",
        ),
    ] {
        let key = schemas(path)["Idempotency-Key"];
        let expected = json!({"type": "string", "minLength": 1, "maxLength": 255});
        assert_eq!(key, &expected, "{path}");
        let headers = &document.pointer(path).unwrap()["responses"][success]["headers"];
        assert!(headers.get("Idempotent-Replayed").is_some(), "{path}");
    }
}

fn references(value: &Value) -> Vec<&str> {
    let own = value.get("$ref").and_then(Value::as_str);
    let inner: Vec<&Value> = match value {
        Value::Object(fields) => fields.values().collect(),
        Value::Array(items) => items.iter().collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    own.into_iter()
        .chain(inner.into_iter().flat_map(references))
        .collect()
}

#[tokio::test]
async fn the_documented_example_can_be_booked() {
    let api = TestApi::start().await;
    let document = api.get("/openapi.json").await.json();
    let example = document["components"]["schemas"]["BookingIn"]["examples"].to_string();
    let example: Value = serde_json::from_str(&example).unwrap();
    let example = example.get(0).unwrap_or(&example);
    let created = send(api.post(BOOKINGS, example.to_string()))
        .await
        .expect(201);
    let documented = &document["components"]["schemas"]["Booking"]["properties"];
    for name in created.json().as_object().unwrap().keys() {
        assert!(documented.get(name).is_some(), "{name} is not documented");
    }
}

#[tokio::test]
async fn the_page_to_try_the_calls_takes_everything_from_this_server() {
    let api = TestApi::start().await;
    let page = api.get("/docs/").await.expect(200).body;
    let parts = page.split(['"', '\'']).filter(|part| {
        [".js", ".css", ".png"]
            .iter()
            .any(|ending| part.ends_with(ending))
    });
    let parts: Vec<_> = parts.collect();
    assert!(parts.len() >= 5, "{page}");
    for part in parts {
        assert!(!part.contains("//"), "{part} is somewhere else");
        let path = format!("/docs/{}", part.trim_start_matches("./"));
        assert!(!api.get(&path).await.expect(200).body.is_empty());
    }
    let start = api.get("/docs/swagger-initializer.js").await.expect(200);
    for told in ["/openapi.json", "\"validatorUrl\": \"none\""] {
        assert!(start.body.contains(told), "{told}: {}", start.body);
    }
}

#[tokio::test]
async fn readiness_follows_the_database_not_the_broker() {
    let api = TestApi::start().await;
    let ready = eventually("readiness", || async {
        let answer = api.get("/readyz").await;
        (answer.status == 200 && answer.body.contains("database")).then_some(answer)
    })
    .await;
    let checks = &ready.json()["checks"];
    assert_eq!(checks["database"], "ok");
    let statuses = checks["notification-status"].as_str();
    assert_eq!(statuses, Some("the topic is not there yet"));
    api.get("/livez").await.expect(200);
}

#[tokio::test]
async fn the_metrics_of_the_contract_are_there_and_name_nobody() {
    let api = TestApi::start().await;
    let pnr = api.create().await.pnr();
    api.get(&format!("{BOOKINGS}/{pnr}")).await.expect(200);
    let text = api.get("/metrics").await.expect(200).body;
    for name in [
        "http_requests_total{method=\"GET\",route=\"/api/v1/bookings/{pnr}\",status=\"200\"} 1",
        "http_requests_total{method=\"POST\",route=\"/api/v1/bookings\",status=\"201\"} 1",
        "http_request_duration_seconds_count{method=\"POST\",route=\"/api/v1/bookings\"} 1",
        "booking_event_publish_seconds_count",
        "booking_outbox_pending",
        "booking_outbox_oldest_seconds",
        "booking_write_batches_total 1",
        "booking_write_commands_total 1",
    ] {
        assert!(text.contains(name), "{name} is not in\n{text}");
    }
    assert!(!text.contains(&pnr));
}

#[tokio::test]
async fn a_stop_answers_what_is_in_flight_and_keeps_what_was_not_published() {
    let mut api = TestApi::start().await;
    let held = api.hold_writers().await;
    let waiting = send_held(api.post(BOOKINGS, SAMPLE), "k").await;
    api.shut_down();
    eventually("closed door", || async {
        let refused = api.request(reqwest::Method::GET, "/livez").send().await;
        refused.is_err().then_some(())
    })
    .await;
    drop(held);
    let created = waiting.await.unwrap().expect(201);
    let twin = api.twin().await;
    api.ended().await.unwrap();
    let rows = twin.outbox().await;
    assert_eq!((rows.len(), &rows[0].key), (1, &created.pnr()));
    let held =
        "select count(*) from outbox join outbox_relay using (owner) where published_at is null";
    eventually("outbox row that the next process holds", || async {
        (twin.count(held).await == 1).then_some(())
    })
    .await;
}

#[test]
fn the_settings_have_the_defaults_of_the_contract() {
    let settings: Settings = parse_settings_from(Settings::DEFAULTS, ["booking-api"]).unwrap();
    assert_eq!(settings.process.http_addr.to_string(), "127.0.0.1:8080");
    let url = &settings.database.database_url;
    assert_eq!(url, "sqlite://./data/booking-api.db");
    assert_eq!(settings.kafka.kafka_bootstrap_servers, "127.0.0.1:9092");
    assert_eq!(settings.consumer_group, "booking-api");
}
