//! Every refusal, and how it is told.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::fixture::{Answer, BOOKINGS, SAMPLE, TestApi, send};

#[tokio::test]
async fn problem_bodies() {
    let api = TestApi::start().await;
    let taken = "/api/v1/bookings/2412345678";
    let put = |body: &'static str| {
        let request = api.request(Method::PUT, &format!("{taken}/payment-status"));
        request
            .header("content-type", "application/json")
            .body(body)
    };
    let bad_fields = SAMPLE
        .replace("30", "-1")
        .replace("MALE", "M")
        .replace("userId", "user/Id");
    let two_keys = api.post(BOOKINGS, SAMPLE).header("idempotency-key", "a");
    let requests = [
        ("no route", api.request(Method::GET, "/api/v2")),
        ("wrong method", api.request(Method::DELETE, BOOKINGS)),
        ("unknown booking", api.request(Method::GET, taken)),
        ("bad pnr", api.request(Method::GET, "/api/v1/bookings/1")),
        (
            "bad limit",
            api.request(Method::GET, "/api/v1/bookings?limit=1000"),
        ),
        (
            "unknown parameter",
            api.request(Method::GET, "/api/v1/bookings?page=2"),
        ),
        ("not json", api.post(BOOKINGS, "{\"userId\":")),
        ("no body", api.request(Method::POST, BOOKINGS)),
        ("not an object", api.post(BOOKINGS, "[]")),
        ("bad fields", api.post(BOOKINGS, bad_fields)),
        (
            "bad payment status",
            put("{\"paymentStatus\":\"PAID\",\"x\":1}"),
        ),
        ("too large", api.post(BOOKINGS, " ".repeat(65_537))),
        (
            "empty key",
            api.post(BOOKINGS, SAMPLE).header("idempotency-key", "\"\""),
        ),
        ("two keys", two_keys.header("idempotency-key", "b")),
        (
            "form",
            api.request(Method::POST, BOOKINGS)
                .header("content-type", "application/x-www-form-urlencoded")
                .body("{}"),
        ),
    ];
    let mut told = serde_json::Map::new();
    for (name, request) in requests {
        let answer = send(request).await;
        let content_type = answer.header("content-type");
        assert_eq!(content_type, Some("application/problem+json"), "{name}");
        assert_eq!(answer.json()["status"], answer.status.as_u16(), "{name}");
        told.insert(name.to_owned(), answer.json());
    }
    insta::assert_json_snapshot!(told);
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let api = TestApi::start().await;
    let answer = send(api.request(Method::PATCH, BOOKINGS)).await;
    let answer = answer.expect_problem(405, "method-not-allowed");
    let allowed = answer.header("allow").unwrap();
    assert!(
        allowed.contains("POST") && allowed.contains("GET"),
        "{allowed}"
    );
    let answer = send(api.request(Method::POST, "/readyz")).await;
    answer.expect_problem(405, "method-not-allowed");
}

#[tokio::test]
async fn a_body_of_64_kib_is_read_and_one_byte_more_is_not() {
    let api = TestApi::start().await;
    let padded = |length: usize| format!("{SAMPLE}{}", " ".repeat(length - SAMPLE.len()));
    send(api.post(BOOKINGS, padded(65_536))).await.expect(201);
    let answer = send(api.post(BOOKINGS, padded(65_537))).await;
    answer.expect_problem(413, "body-too-large");
}

#[tokio::test]
async fn a_body_that_is_announced_too_large_is_refused_unread() {
    let api = TestApi::start().await;
    for more in ["", "Expect: 100-continue\r\n"] {
        let mut stream = TcpStream::connect(api.authority()).await.unwrap();
        let head =
            format!("POST {BOOKINGS} HTTP/1.1\r\nHost: x\r\n{more}Content-Length: 65537\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        let read = stream.read_exact(&mut answer);
        timeout(Duration::from_secs(5), read)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(&answer, b"HTTP/1.1 413");
    }
}

#[tokio::test]
async fn any_json_media_type_will_do_and_none_too() {
    let api = TestApi::start().await;
    for media_type in [
        None,
        Some("application/json; charset=utf-8"),
        Some("application/vnd.harkara+json"),
    ] {
        let request = api.request(Method::POST, BOOKINGS).body(SAMPLE);
        let request = match media_type {
            Some(media_type) => request.header("content-type", media_type),
            None => request,
        };
        send(request).await.expect(201);
    }
    let request = api.request(Method::POST, BOOKINGS).body(SAMPLE);
    let refused = send(request.header("content-type", "text/plain")).await;
    refused.expect_problem(415, "media-type");
    let request = api.request(Method::POST, BOOKINGS).body("hello");
    let refused = send(request.header("content-type", "text/plain")).await;
    refused.expect_problem(400, "not-json");
}

#[tokio::test]
async fn every_answer_has_a_request_id_the_client_s_own_if_it_is_sane() {
    let api = TestApi::start().await;
    for path in [BOOKINGS, "/nowhere", "/livez", "/docs/"] {
        let made = api.get(path).await;
        assert!(made.header("x-request-id").is_some(), "{path}");
        let request = api
            .request(Method::GET, path)
            .header("x-request-id", "trip-7");
        assert_eq!(send(request).await.header("x-request-id"), Some("trip-7"));
        let request = api.request(Method::GET, path).header("x-request-id", "a b");
        assert_ne!(send(request).await.header("x-request-id"), Some("a b"));
    }
}

#[tokio::test]
async fn no_problem_repeats_what_was_sent() {
    let api = TestApi::start().await;
    let sample: Value = serde_json::from_str(SAMPLE).unwrap();
    for name in sample.as_object().unwrap().keys() {
        let mut body = sample.clone();
        body[name] = "s3cret\u{7}".into();
        let answer: Answer = send(api.post(BOOKINGS, body.to_string())).await;
        let answer = answer.expect_problem(422, "invalid-body");
        assert!(!answer.body.contains("s3cret"), "{}", answer.body);
    }
}
