//! `GET /api/v1/bookings`.

use serde_json::Value;

use crate::fixture::{BOOKINGS, SAMPLE, TestApi, send};

async fn create_for(api: &TestApi, user: u32) -> String {
    let body = SAMPLE.replace("\"userId\": 1", &format!("\"userId\": {user}"));
    send(api.post(BOOKINGS, body)).await.expect(201).pnr()
}

async fn list(api: &TestApi, query: &str) -> (Vec<String>, Option<String>) {
    let page: Value = api
        .get(&format!("{BOOKINGS}?{query}"))
        .await
        .expect(200)
        .json();
    let items = page["items"].as_array().unwrap();
    let pnr = |item: &Value| item["pnrNumber"].as_str().unwrap().to_owned();
    let cursor = &page["nextCursor"];
    assert!(cursor.is_null() || cursor.is_string(), "{cursor}");
    (
        items.iter().map(pnr).collect(),
        cursor.as_str().map(str::to_owned),
    )
}

#[tokio::test]
async fn an_empty_list_has_no_next_page() {
    let api = TestApi::start().await;
    let answer = api.get(BOOKINGS).await.expect(200);
    assert_eq!(answer.body, "{\"items\":[],\"nextCursor\":null}");
}

#[tokio::test]
async fn bookings_are_listed_newest_first_by_account_and_status() {
    let api = TestApi::start().await;
    let a = create_for(&api, 1).await;
    let b = create_for(&api, 2).await;
    let c = create_for(&api, 1).await;
    send(api.cancel(&a)).await.expect(200);
    let of = |pnrs: &[&String]| pnrs.iter().map(|pnr| (*pnr).clone()).collect::<Vec<_>>();
    for (query, expected) in [
        ("", of(&[&c, &b, &a])),
        ("userId=1", of(&[&c, &a])),
        ("userId=3", of(&[])),
        ("status=CANCELLED", of(&[&a])),
        ("status=CONFIRMED", of(&[&c, &b])),
        ("status=RAC", of(&[])),
        ("userId=1&status=CONFIRMED", of(&[&c])),
    ] {
        assert_eq!(list(&api, query).await, (expected, None), "{query}");
    }
}

#[tokio::test]
async fn an_item_is_what_a_look_at_the_booking_shows() {
    let api = TestApi::start().await;
    let pnr = api.create().await.pnr();
    let item = api.get(BOOKINGS).await.json()["items"][0].clone();
    assert_eq!(item, api.get(&format!("{BOOKINGS}/{pnr}")).await.json());
}

#[tokio::test]
async fn pages_hold_every_booking_once_even_while_new_ones_are_made() {
    let api = TestApi::start().await;
    let mut expected = Vec::new();
    for _ in 0..7 {
        expected.insert(0, create_for(&api, 5).await);
    }
    let (mut seen, mut cursor) = list(&api, "userId=5&limit=3").await;
    while let Some(next) = cursor {
        create_for(&api, 5).await;
        let (page, more) = list(&api, &format!("userId=5&limit=3&cursor={next}")).await;
        assert!(!page.is_empty());
        seen.extend(page);
        cursor = more;
    }
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_full_last_page_has_no_next_one() {
    let api = TestApi::start().await;
    for _ in 0..2 {
        api.create().await;
    }
    assert_eq!(list(&api, "limit=2").await.1, None);
    assert!(list(&api, "limit=1").await.1.is_some());
}
