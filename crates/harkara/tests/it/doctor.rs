//! `harkara doctor` on a system that is well, and on ones that are not.

use std::process::{Command, Stdio};

use serde_json::Value;
use testkit::{System, TestBroker};

use crate::desk::Said;

const PROGRAM: &str = "email-notifier";

/// `harkara doctor …` with the environment of the system's e-mail notifier.
async fn doctor(system: &System, arguments: &[&str], settings: &[(&str, &str)]) -> Said {
    let mut command = Command::new(env!("CARGO_BIN_EXE_harkara"));
    command
        .arg("doctor")
        .args(arguments)
        .env_clear()
        .envs(system.variables_of(PROGRAM).unwrap())
        .envs(settings.iter().copied())
        .stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output());
    output.await.unwrap().unwrap().into()
}

/// The findings of one check that are wrong.
fn wrong(said: &Said, check: &str) -> String {
    let report: Value = serde_json::from_str(&said.out).unwrap();
    let findings = report.pointer("/findings").unwrap().as_array().unwrap();
    let bad = findings
        .iter()
        .filter(|finding| finding["check"] == check && finding["state"] == "wrong");
    let told: Vec<_> = bad.map(ToString::to_string).collect();
    told.join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_system_that_is_well_is_exit_status_0_and_what_is_not_is_named() {
    let mut system = System::builder().start_without_programs().await.unwrap();
    let before = doctor(&system, &[PROGRAM, "--json"], &[]).await;
    assert_eq!(before.status, Some(1), "{}{}", before.out, before.err);
    let tables = wrong(&before, "database");
    assert!(tables.contains("start email-notifier"), "{tables}");

    // Each makes the topics it needs.
    for name in System::PROGRAMS {
        system.start_program(name).await.unwrap();
    }
    testkit::eventually("topics", async || {
        let said = doctor(&system, &[PROGRAM], &[]).await;
        (!said.out.contains("missing")).then_some(())
    })
    .await;
    let said = doctor(&system, &[PROGRAM], &[]).await;
    let text = said.well();
    for told in [
        "broker",
        "equal partitions",
        "sandbox greets",
        "All is well.",
    ] {
        assert!(text.contains(told), "{told}: {text}");
    }
    // A provider that is away, and one that is no mail relay.
    for url in ["smtp://127.0.0.1:1".to_owned(), system.sandbox_url()] {
        let url = url.replace("http://", "smtp://");
        let said = doctor(&system, &[PROGRAM, "--json"], &[("SMTP_URL", &url)]).await;
        assert_eq!(said.status, Some(1), "{}", said.out);
        assert!(
            wrong(&said, "provider").contains("SMTP_URL"),
            "{}",
            said.out
        );
    }
    // No mail was sent by any of this.
    let filter = sandbox::Filter::default();
    assert_eq!(system.ledger().messages(&filter).len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_http_providers_answer_and_agree_about_the_time() {
    let system = System::builder().start_without_programs().await.unwrap();
    for program in ["sms-notifier", "whatsapp-notifier"] {
        let said = doctor(&system, &[program, "--json"], &[]).await;
        assert!(
            said.out.contains("the sandbox answers, HTTP 404"),
            "{}",
            said.out
        );
        let agrees = "\"check\":\"clock\",\"subject\":\"127.0.0.1\",\"state\":\"ok\"";
        assert!(said.out.contains(agrees), "{}", said.out);
    }
    let away = [("SMS_BASE_URL", "http://127.0.0.1:1/twilio")];
    let said = doctor(&system, &["sms-notifier", "--json"], &away).await;
    assert!(
        wrong(&said, "provider").contains("SMS_BASE_URL"),
        "{}",
        said.out
    );
    let said = doctor(&system, &["sms-notifier", "--json"], &[("SMS_TOKEN", "")]).await;
    assert!(
        wrong(&said, "settings").contains("SMS_TOKEN: "),
        "{}",
        said.out
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_sms_provider_is_asked_where_there_is_one_and_named_by_its_own_setting() {
    let system = System::builder().start_without_programs().await.unwrap();
    let second = [
        ("SMS_FAILOVER_BASE_URL", "http://127.0.0.1:1/msg91"),
        ("SMS_FAILOVER_TOKEN", "t"),
        ("SMS_TEMPLATE_CONFIRMED", "f1"),
        ("SMS_TEMPLATE_CANCELLED", "f2"),
    ];
    let unused = doctor(&system, &["sms-notifier", "--json"], &second).await;
    assert_eq!(wrong(&unused, "provider"), "", "{}", unused.out);
    let used = [&second[..], &[("SMS_FAILOVER", "msg91")]].concat();
    let said = doctor(&system, &["sms-notifier", "--json"], &used).await;
    let away = wrong(&said, "provider");
    assert_eq!(away.lines().count(), 1, "{away}");
    assert!(away.contains("mend SMS_FAILOVER_BASE_URL"), "{away}");
}

#[tokio::test(flavor = "multi_thread")]
async fn uneven_topics_and_an_absent_broker_are_wrong() {
    let broker = TestBroker::start_uneven("booking-cancelled", 6).await;
    let system = System::builder().on(broker.unwrap());
    let system = system.start_without_programs().await.unwrap();
    let said = doctor(&system, &[PROGRAM, "--json"], &[]).await;
    let topics = wrong(&said, "topics");
    assert!(topics.contains("booking-cancelled has 6"), "{topics}");
    let away = [("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")];
    let said = doctor(&system, &[PROGRAM, "--json"], &away).await;
    assert_eq!(said.status, Some(1), "{}", said.out);
    let broker = wrong(&said, "broker");
    assert!(broker.contains("KAFKA_BOOTSTRAP_SERVERS"), "{broker}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_database_url_is_not_four_programs() {
    let system = System::builder().start_without_programs().await.unwrap();
    let said = doctor(&system, &[], &[]).await;
    assert_eq!(said.status, Some(64), "{}{}", said.out, said.err);
    assert!(said.err.starts_with("DATABASE_URL: "), "{}", said.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_property_that_only_consumers_mind_is_a_bad_setting() {
    let system = System::builder().start_without_programs().await.unwrap();
    // Longer than max.poll.interval.ms.
    let properties = [("KAFKA_PROPERTIES", "session.timeout.ms=60000")];
    let said = doctor(&system, &[PROGRAM], &properties).await;
    assert_eq!(said.status, Some(64), "{}{}", said.out, said.err);
    assert!(said.err.starts_with("KAFKA_PROPERTIES: "), "{}", said.err);
}
