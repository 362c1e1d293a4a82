//! The inbox page in a real browser.

use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::spawn_blocking;

use crate::browser::{Browser, is_installed};
use crate::running::{Running, confirmed, mail};

const MARKUP: &str = "PNR:2412345678 <img src=x onerror=\"document.title='owned'\"><b>bold</b>";

/// HTML that tries what hostile mail tries, with `{remote}` for an address elsewhere.
const HOSTILE: &str = r#"<h1 id="mark">Ticket</h1>
<script>parent.document.title = 'owned'; top.document.title = 'owned'</script>
<img src="x" onerror="parent.document.title = 'owned'">
<img src="http://{remote}/pixel.png"><link rel="stylesheet" href="http://{remote}/style.css">
<meta http-equiv="refresh" content="0;url=http://{remote}/away"><iframe src="http://{remote}/frame"></iframe>
<link rel="preconnect" href="http://{remote}/"><base href="http://{remote}/" target="_self">
<a id="link" target="_self" href="http://{remote}/link">more</a>"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_every_channel_and_runs_nothing_of_a_message() {
    if !is_installed() {
        return;
    }
    let sandbox = Running::start().await;
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let remote = elsewhere.local_addr().unwrap().to_string();
    sandbox
        .mail(mail(
            "PNR: 2412345678",
            &HOSTILE.replace("{remote}", &remote),
        ))
        .await;
    sandbox
        .sms(&[
            ("To", "+919876543210"),
            ("From", "RAILTK"),
            ("Body", MARKUP),
        ])
        .await;
    sandbox.whatsapp(&confirmed()).await;

    let url = sandbox.base.clone();
    let looking = spawn_blocking(move || look_at_three_messages(&url));
    looking.await.unwrap();
    let visitor = tokio::select! {
        biased;
        visitor = elsewhere.accept() => Some(visitor),
        () = std::future::ready(()) => None,
    };
    assert!(
        visitor.is_none(),
        "a mail makes the browser connect to nobody, not even without a request"
    );
}

fn look_at_three_messages(url: &str) {
    let mut browser = Browser::open(url);
    // The mail's frame has its height from its content once it is drawn.
    browser.until("Boolean(document.querySelector('.mail iframe')?.style.height)");
    let frame = "document.querySelector('.mail iframe').contentDocument";
    assert_eq!(
        browser.value(&format!("{frame}.getElementById('mark').textContent")),
        "Ticket"
    );
    browser.value(&format!("{frame}.getElementById('link').click()"));
    let text = browser.text();
    for expected in [
        "Ticket confirmed 🎫 PNR 2412345678",
        "asha@example.com",
        MARKUP,
        "1 segment",
        "GSM-7",
        "Your ticket is confirmed",
        "Coach B2, seat 31",
        "+91\u{a0}98765\u{a0}43210",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    assert_eq!(
        browser.value("document.querySelectorAll('.wa .bubble strong').length > 3"),
        true
    );
    assert_eq!(
        browser.value("document.querySelectorAll('.sms .bubble > *').length"),
        0
    );
    browser.until("document.title.startsWith('Inbox')");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_follows_what_happens_and_finds_a_pnr() {
    if !is_installed() {
        return;
    }
    let sandbox = Running::start().await;
    let url = sandbox.base.clone();
    let mut browser = spawn_blocking(move || {
        let mut browser = Browser::open(&url);
        browser.until("document.getElementById('live').textContent === 'Live'");
        browser.until("!document.getElementById('welcome').hidden");
        assert!(
            browser
                .text()
                .contains("curl http://127.0.0.1:8080/api/v1/bookings")
        );
        browser
    })
    .await
    .unwrap();

    for pnr in ["2412345678", "4512345678", "4512345678"] {
        let body = format!("PNR:{pnr}");
        sandbox
            .sms(&[("To", "+919876543210"), ("From", "RAILTK"), ("Body", &body)])
            .await;
    }
    let ledger = sandbox.ledger.clone();
    let looking = spawn_blocking(move || {
        let cards = |count: usize| format!("document.querySelectorAll('.sms').length === {count}");
        browser.until(&cards(3));
        let newest = browser.value("document.querySelector('.sms .bubble').textContent");
        assert_eq!(newest, json!("PNR:4512345678"));
        assert!(browser.text().contains("told twice"));
        browser.value("document.querySelector('.sms:last-child button.chip').click()");
        browser.until(&cards(1));
        assert_eq!(browser.value("location.search"), json!("?pnr=2412345678"));
        browser.value("const field = document.getElementById('pnr'); field.value = ''; field.dispatchEvent(new Event('input'))");
        browser.until(&cards(3));
        ledger.clear().unwrap();
        browser.until("!document.getElementById('welcome').hidden");
    });
    looking.await.unwrap();
    sandbox.stop().await;
}
