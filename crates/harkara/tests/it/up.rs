//! `harkara up` and what the environment says of Kafka.

use std::fs::Permissions;
use std::io::{BufRead as _, BufReader, Lines};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use bus::{IN_PROCESS_PROPERTIES, InProcessBroker, KafkaSettings, Topics};
use tempfile::TempDir;
use testkit::TestBroker;

use crate::desk::Said;

/// `harkara up …` on free ports, with this environment alone.
fn command(folder: &Path, arguments: &[&str], settings: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_harkara"));
    command
        .args(["up", "--any-port", "--data-dir"])
        .arg(folder)
        .args(arguments)
        .env_clear()
        .envs(settings.iter().copied())
        .stdin(Stdio::null());
    command
}

/// A system that runs until it is dropped.
struct Running(Child, Lines<BufReader<ChildStdout>>);

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self(child, out.lines())
    }

    /// The next line that begins so.
    fn line(&mut self, start: &str) -> String {
        let mut lines = self.1.by_ref().map(Result::unwrap);
        lines.find(|line| line.starts_with(start)).unwrap()
    }

    /// Where it says that its broker is.
    fn broker(&mut self, kind: &str) -> String {
        let line = self.line("Kafka");
        let address = line.strip_prefix(kind).unwrap();
        address.trim().to_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// What it says if it ends by itself.
async fn said(command: Command) -> Said {
    let mut command = command;
    let output = tokio::task::spawn_blocking(move || command.output());
    output.await.unwrap().unwrap().into()
}

async fn partitions(servers: String, topic: &str) -> Option<usize> {
    let topics = Topics::new(&KafkaSettings::local(servers), "test").unwrap();
    let known = topics.describe().await.unwrap();
    let topic = known.into_iter().find(|known| known.name == topic)?;
    Some(topic.partitions)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_broker_in_memory_has_three_partitions_or_as_many_as_are_set() {
    let folder = TempDir::new().unwrap();
    // What is meant for a broker elsewhere would keep this one from starting.
    let elsewhere = [
        ("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1"),
        ("KAFKA_PROPERTIES", "security.protocol=ssl"),
        ("KAFKA_REPLICATION_FACTOR", "3"),
        ("KAFKA_MIN_INSYNC_REPLICAS", "2"),
        ("KAFKA_PARTITIONS", "5"),
    ];
    for (arguments, settings, wanted) in [
        (&[][..], &elsewhere[..1], 3),
        (&["--broker", "memory"], &elsewhere[..], 5),
    ] {
        let mut up = Running::start(command(folder.path(), arguments, settings));
        let servers = up.broker("Kafka, in memory ");
        for topic in events::topics() {
            let found = partitions(servers.clone(), &topic).await;
            assert_eq!(found, Some(wanted), "{topic}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_runs_is_named_by_a_flag() {
    let folder = TempDir::new().unwrap();
    // Its notifiers tell whatever is on the broker: none that tests share.
    let broker = InProcessBroker::start().unwrap();
    for topic in events::topics() {
        broker.create_topic(&topic, 3).unwrap();
    }
    let servers = broker.bootstrap_servers();
    let properties = ("KAFKA_PROPERTIES", IN_PROCESS_PROPERTIES);
    let settings = [("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1"), properties];
    let mut up = Running::start(command(folder.path(), &["--kafka", servers], &settings));
    assert_eq!(up.broker("Kafka "), servers);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_setting_is_told_before_anything_starts() {
    let folder = TempDir::new().unwrap();
    for (name, bad) in [
        ("MAX_ATTEMPTS", "0"),
        ("INBOX_RETENTION", "1h"),
        ("SMTP_URL", "nonsense"),
    ] {
        let said = said(command(folder.path(), &[], &[(name, bad)])).await;
        assert_eq!(said.status, Some(64), "{name}: {}", said.err);
        assert!(said.err.contains(&format!("{name}: ")), "{}", said.err);
        assert_eq!(folder.path().read_dir().unwrap().count(), 0, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_s_settings_count_on_a_broker_that_runs() {
    let folder = TempDir::new().unwrap();
    for (name, bad) in [
        ("KAFKA_PROPERTIES", "no.such.property=1"),
        ("KAFKA_MIN_INSYNC_REPLICAS", "4"),
        ("KAFKA_PARTITIONS", "none"),
    ] {
        let there = ["--kafka", "127.0.0.1:1"];
        let said = said(command(folder.path(), &there, &[(name, bad)])).await;
        assert_eq!(said.status, Some(64), "{name}: {}", said.err);
        assert!(said.err.contains(&format!("{name}: ")), "{}", said.err);
    }
    // The in-process broker makes no topics when asked.
    let Some(broker) = TestBroker::start_own().await.unwrap() else {
        println!("not run: it takes an Apache Kafka of its own; give TEST_KAFKA");
        return;
    };
    let servers = broker.settings().kafka_bootstrap_servers.clone();
    let there = ["--kafka", &servers];
    let _up = Running::start(command(folder.path(), &there, &[("KAFKA_PARTITIONS", "5")]));
    testkit::eventually("topic of five partitions", async || {
        let found = partitions(servers.clone(), events::NOTIFICATION_STATUS).await?;
        assert_eq!(found, 5);
        Some(())
    })
    .await;
}

#[test]
fn java_and_maven_are_told_of_where_they_are_found() {
    let folder = TempDir::new().unwrap();
    let java = "echo ' java.home = /opt/jdk' >&2; echo ' java.specification.version = 99' >&2";
    for (name, script) in [("java", java), ("mvn", "exit 0")] {
        let path = folder.path().join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    }
    let path = [("PATH", folder.path().to_str().unwrap())];
    let mut up = Running::start(command(folder.path(), &[], &path));
    up.line("Ctrl-C stops.");
    assert!(up.line("Java 99 and Maven").contains("--broker apache"));
}
