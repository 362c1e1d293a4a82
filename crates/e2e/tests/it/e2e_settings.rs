//! Bad settings: one line, the right exit status, nothing started.

use testkit::{Program, System, TestBroker, program_path};

struct Refusal {
    program: &'static str,
    variable: (&'static str, &'static str),
    status: i32,
    line: &'static str,
}

const fn refusal(
    program: &'static str,
    variable: (&'static str, &'static str),
    status: i32,
    line: &'static str,
) -> Refusal {
    Refusal {
        program,
        variable,
        status,
        line,
    }
}

const REFUSALS: [Refusal; 19] = [
    refusal("email-notifier", ("LOG", "infoo"), 64, "LOG: "),
    refusal("email-notifier", ("SMTP_URL", "nonsense"), 64, "SMTP_URL: "),
    refusal("email-notifier", ("MAIL_FROM", "nobody"), 64, "MAIL_FROM: "),
    refusal("email-notifier", ("TOPICS", "booking-lost"), 64, "TOPICS: "),
    refusal(
        "sms-notifier",
        ("SMS_BASE_URL", "nonsense"),
        64,
        "SMS_BASE_URL: ",
    ),
    refusal("sms-notifier", ("CONCURRENCY", "0"), 64, "CONCURRENCY: "),
    refusal(
        "sms-notifier",
        ("CONSUMER_GROUP", ""),
        64,
        "CONSUMER_GROUP: ",
    ),
    refusal(
        "whatsapp-notifier",
        ("TOPICS", "booking-confirmed,booking-cancelled"),
        64,
        "WHATSAPP_TEMPLATE_CANCELLED: is required, for TOPICS has booking-cancelled",
    ),
    refusal(
        "sms-notifier",
        ("INBOX_RETENTION", "1h"),
        64,
        "INBOX_RETENTION: shorter than MAX_AGE",
    ),
    refusal(
        "whatsapp-notifier",
        ("RETRY_BASE", "soon"),
        64,
        "RETRY_BASE: ",
    ),
    refusal(
        "booking-api",
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
        64,
        "OTEL_EXPORTER_OTLP_ENDPOINT: ",
    ),
    refusal(
        "booking-api",
        ("KAFKA_BOOTSTRAP_SERVERS", "nowhere"),
        64,
        "KAFKA_BOOTSTRAP_SERVERS: ",
    ),
    refusal(
        "booking-api",
        ("KAFKA_PROPERTIES", "no.such.property=1"),
        64,
        "KAFKA_PROPERTIES: ",
    ),
    refusal(
        "sms-notifier",
        ("KAFKA_PROPERTIES", "no.such.property=1"),
        64,
        "KAFKA_PROPERTIES: ",
    ),
    // Longer than max.poll.interval.ms: only a consumer minds.
    refusal(
        "booking-api",
        ("KAFKA_PROPERTIES", "session.timeout.ms=60000"),
        64,
        "KAFKA_PROPERTIES: ",
    ),
    refusal(
        "sms-notifier",
        ("KAFKA_PROPERTIES", "session.timeout.ms=60000"),
        64,
        "KAFKA_PROPERTIES: ",
    ),
    // More replicas in sync than there are.
    refusal(
        "sms-notifier",
        ("KAFKA_MIN_INSYNC_REPLICAS", "4"),
        64,
        "KAFKA_MIN_INSYNC_REPLICAS: ",
    ),
    refusal(
        "booking-api",
        ("DATABASE_URL", "mongodb://127.0.0.1/x"),
        64,
        "DATABASE_URL: ",
    ),
    refusal(
        "booking-api",
        ("DATABASE_URL", "postgres://a:hidden@127.0.0.1:1/x"),
        69,
        "DATABASE_URL: ",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_setting_is_one_line_and_its_exit_status() {
    let system = System::builder().start_without_programs().await.unwrap();
    for refusal in REFUSALS {
        let mut variables = system.variables_of(refusal.program).unwrap();
        variables.push((refusal.variable.0.to_owned(), refusal.variable.1.to_owned()));
        let program = Program::spawn(refusal.program, &variables, system.folder()).unwrap();
        let (status, said) = program.wait().unwrap();
        let what = format!("{}={}", refusal.variable.0, refusal.variable.1);
        assert_eq!(status.code(), Some(refusal.status), "{what}: {said}");
        assert!(said.starts_with(refusal.line), "{what}: {said}");
        assert_eq!(said.lines().count(), 1, "{what}: {said}");
        assert!(!said.contains("hidden"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_program_starts_on_event_topics_of_unequal_partitions() {
    let broker = TestBroker::start_uneven("booking-cancelled", 6).await;
    let system = System::builder().on(broker.unwrap());
    let system = system.start_without_programs().await.unwrap();
    for name in System::PROGRAMS {
        let (status, said) = system.spawn(name).unwrap().wait().unwrap();
        assert_eq!(status.code(), Some(69), "{name}: {said}");
        let last = said.lines().last().unwrap();
        for told in [
            "KAFKA_BOOTSTRAP_SERVERS: ",
            "booking-confirmed has 3 partitions",
            "booking-cancelled has 6 partitions",
        ] {
            assert!(last.contains(told), "{name}: {last}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_missing_is_asked_for() {
    let system = System::builder().start_without_programs().await.unwrap();
    for (program, secret) in [
        ("sms-notifier", "SMS_TOKEN"),
        ("whatsapp-notifier", "WHATSAPP_TOKEN"),
    ] {
        let mut variables = system.variables_of(program).unwrap();
        variables.retain(|(name, _)| name != secret);
        let (status, said) = Program::spawn(program, &variables, system.folder())
            .unwrap()
            .wait()
            .unwrap();
        assert_eq!(status.code(), Some(64), "{said}");
        assert!(said.starts_with(secret), "{said}");
    }
}

#[test]
fn an_unknown_flag_is_one_line_and_help_is_the_reference() {
    for name in System::PROGRAMS.into_iter().chain(["harkara"]) {
        let run = |flag: &str| {
            std::process::Command::new(program_path(name).unwrap())
                .arg(flag)
                .output()
                .unwrap()
        };
        let refused = run("--no-such-flag");
        assert_eq!(refused.status.code(), Some(64), "{name}");
        assert_eq!(
            String::from_utf8_lossy(&refused.stderr)
                .trim_end()
                .lines()
                .count(),
            1,
            "{name}"
        );
        let help = run("--help");
        assert!(help.status.success(), "{name}");
        let text = String::from_utf8_lossy(&help.stdout).into_owned();
        assert!(
            name == "harkara" || text.contains("[env: DATABASE_URL"),
            "{name}: {text}"
        );
    }
}
