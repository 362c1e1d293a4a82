//! A real Apache Kafka. Needs Java, Maven and a network, so it runs only when `TEST_KAFKA` is set.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use broker::apache::{
    self, BrokerError, BrokerState, ClusterSize, Options, OwnedCluster, StopOutcome,
};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::sync::Mutex;

use crate::ports::first_free_port;

/// One cluster at a time, for the sake of small machines.
static TURN: Mutex<()> = Mutex::const_new(());

#[expect(
    clippy::disallowed_methods,
    reason = "whether the machine has Java and a network is known outside"
)]
fn is_wanted() -> bool {
    let wanted = std::env::var("TEST_KAFKA").is_ok_and(|value| !value.is_empty());
    if !wanted {
        println!(
            "skipped: set TEST_KAFKA=1 to start a real Apache Kafka (Java 17, Maven, network)"
        );
    }
    wanted
}

/// Runs a step and prints how long it took.
async fn timed<T>(step: &str, work: impl Future<Output = T>) -> T {
    let begin = Instant::now();
    let done = work.await;
    println!("{step}: {:.1} s", begin.elapsed().as_secs_f64());
    done
}

/// A cluster in a folder of its own, killed at the end whatever happens.
struct Trial {
    options: Options,
    cluster: OwnedCluster,
    _folder: TempDir,
}

impl Trial {
    async fn start(size: ClusterSize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = Options {
            size,
            port: first_free_port(),
            ..Options::new(folder.path())
        };
        let cluster = timed("first start", apache::start(&options, ready(&options))).await;
        Self {
            cluster: cluster.unwrap().into_owned(),
            options,
            _folder: folder,
        }
    }

    fn tool(&self, name: &str, words: &[&str]) -> Command {
        let mut command = Command::new(self.cluster.cluster().bin_dir().join(name));
        let bootstrap = self.cluster.cluster().bootstrap();
        command.args(["--bootstrap-server", &bootstrap]).args(words);
        command
    }

    /// Runs a tool that must succeed without a warning, and gives its answer.
    async fn run(&self, name: &str, words: &[&str]) -> String {
        let output = self.tool(name, words).output().await.unwrap();
        let (answer, warnings) = (text(output.stdout), text(output.stderr));
        assert!(
            output.status.success(),
            "{name} {words:?}: {answer}{warnings}"
        );
        answer
    }

    async fn produce(&self, topic: &str, records: &str) {
        let mut command = self.tool("kafka-console-producer.sh", &["--topic", topic]);
        command.args(["--property", "parse.key=true"]);
        // Longer than it takes to notice that a broker is gone (broker.session.timeout.ms, 9 s).
        command.args(["--request-timeout-ms", "30000"]);
        let mut producer = command.stdin(Stdio::piped()).spawn().unwrap();
        let mut input = producer.stdin.take().unwrap();
        input.write_all(records.as_bytes()).await.unwrap();
        drop(input);
        assert!(producer.wait().await.unwrap().success());
    }

    async fn consume(&self, topic: &str, records: usize) -> String {
        let records = records.to_string();
        let words = [
            "--topic",
            topic,
            "--from-beginning",
            "--timeout-ms",
            "30000",
            "--max-messages",
            &records,
        ];
        self.run("kafka-console-consumer.sh", &words).await
    }

    fn states(&self) -> Vec<BrokerState> {
        let status = apache::status(&self.options).unwrap();
        status.into_iter().map(|broker| broker.state).collect()
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

/// Asks with Kafka's own tool, which gives up only after a minute: until then it waits for us.
fn ready(
    options: &Options,
) -> impl Fn(String) -> std::pin::Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync + use<> {
    let tool: PathBuf = options.data_dir.join("kafka/bin/kafka-topics.sh");
    move |address| Box::pin(lists_topics(tool.clone(), address))
}

async fn lists_topics(tool: PathBuf, address: String) -> bool {
    let mut command = Command::new(tool);
    command.args(["--bootstrap-server", &address, "--list"]);
    let output = command.kill_on_drop(true).output().await;
    output.is_ok_and(|output| output.status.success())
}

#[tokio::test(flavor = "multi_thread")]
async fn records_survive_a_stop_and_a_start() {
    if !is_wanted() {
        return;
    }
    let _turn = TURN.lock().await;
    let trial = Trial::start(ClusterSize::One).await;
    let topic = ["--create", "--topic", "seats", "--partitions", "2"];
    trial.run("kafka-topics.sh", &topic).await;
    trial.produce("seats", "a\tone\nb\ttwo\n").await;

    let again = timed(
        "start while it runs",
        apache::start(&trial.options, ready(&trial.options)),
    );
    assert!(again.await.unwrap().started().is_empty());
    let elsewhere = Options {
        port: first_free_port(),
        ..trial.options.clone()
    };
    let refused = apache::start(&elsewhere, ready(&elsewhere))
        .await
        .unwrap_err();
    assert!(
        matches!(refused, BrokerError::RunsOnOtherPort { .. }),
        "{refused}"
    );

    let stopped = timed("stop", apache::stop(&trial.options)).await.unwrap();
    assert_eq!(stopped, [(1, StopOutcome::Stopped)]);
    assert_eq!(trial.states(), [BrokerState::Stopped]);
    let back = timed(
        "second start",
        apache::start(&trial.options, ready(&trial.options)),
    );
    assert_eq!(back.await.unwrap().started(), [1]);

    let consumed = timed("consume", trial.consume("seats", 2)).await;
    let mut consumed: Vec<_> = consumed.lines().collect();
    consumed.sort_unstable();
    assert_eq!(consumed, ["one", "two"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_script_works() {
    if !is_wanted() {
        return;
    }
    let _turn = TURN.lock().await;
    let trial = Trial::start(ClusterSize::One).await;
    trial
        .run("kafka-topics.sh", &["--create", "--topic", "t"])
        .await;
    let described = trial
        .run("kafka-topics.sh", &["--describe", "--topic", "t"])
        .await;
    assert!(described.contains("PartitionCount: 3"), "{described}");
    let bootstrap = format!("bootstrap.servers={}", trial.cluster.cluster().bootstrap());
    let mut perf = Command::new(
        trial
            .cluster
            .cluster()
            .bin_dir()
            .join("kafka-producer-perf-test.sh"),
    );
    perf.args([
        "--topic",
        "t",
        "--num-records",
        "5000",
        "--record-size",
        "100",
    ]);
    perf.args(["--throughput", "-1", "--producer-props", &bootstrap]);
    let sent = text(perf.output().await.unwrap().stdout);
    assert!(sent.contains("5000 records sent"), "{sent}");
    let words = ["--topic", "t", "--messages", "5000", "--group", "g"];
    let read = trial.run("kafka-consumer-perf-test.sh", &words).await;
    assert!(read.contains(", 5000, "), "{read}");
    let groups = trial
        .run("kafka-consumer-groups.sh", &["--describe", "--group", "g"])
        .await;
    assert!(groups.contains("LOG-END-OFFSET"), "{groups}");
    let words = [
        "--describe",
        "--entity-type",
        "topics",
        "--entity-name",
        "t",
    ];
    let configs = trial.run("kafka-configs.sh", &words).await;
    assert!(configs.contains("Dynamic configs for topic t"), "{configs}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_cannot_start_says_why() {
    if !is_wanted() {
        return;
    }
    let _turn = TURN.lock().await;
    let trial = Trial::start(ClusterSize::One).await;
    apache::stop(&trial.options).await.unwrap();
    let meta = trial
        .options
        .data_dir
        .join("kafka/broker-1/data/meta.properties");
    std::fs::write(&meta, "version=1\ncluster.id=other\nnode.id=7\n").unwrap();
    let failed = timed(
        "failed start",
        apache::start(&trial.options, ready(&trial.options)),
    );
    let line = failed.await.unwrap_err().to_string();
    println!("{line}");
    assert!(
        line.starts_with("broker 1 ended while it was starting: "),
        "{line}"
    );
    assert!(line.contains("node"), "{line}");
    assert_eq!(trial.states(), [BrokerState::Stopped]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_hangs_is_killed() {
    if !is_wanted() {
        return;
    }
    let _turn = TURN.lock().await;
    let trial = Trial::start(ClusterSize::One).await;
    let (_, pid) = pids(&trial).remove(0);
    let mut freeze = Command::new("kill");
    let frozen = freeze.args(["-STOP", &pid.to_string()]).status().await;
    assert!(frozen.unwrap().success());
    let stopped = timed("stop of a frozen one", apache::stop(&trial.options)).await;
    assert_eq!(stopped.unwrap(), [(1, StopOutcome::Killed)]);
    let back = apache::start(&trial.options, ready(&trial.options));
    assert_eq!(back.await.unwrap().started(), [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn three_brokers_go_on_without_one() {
    if !is_wanted() {
        return;
    }
    let _turn = TURN.lock().await;
    let trial = Trial::start(ClusterSize::Three).await;
    let create = ["--create", "--topic", "seats", "--partitions", "3"];
    trial.run("kafka-topics.sh", &create).await;
    let describe = ["--describe", "--topic", "seats"];
    println!("{}", trial.run("kafka-topics.sh", &describe).await);

    let killed = timed("kill", apache::kill_broker(&trial.options, 2)).await;
    assert!(killed.unwrap());
    assert_eq!(trial.states().get(1), Some(&BrokerState::Ended));
    timed(
        "produce without one",
        trial.produce("seats", "a\tone\nb\ttwo\n"),
    )
    .await;
    println!("{}", trial.run("kafka-topics.sh", &describe).await);

    let back = apache::start_broker(&trial.options, 2, ready(&trial.options));
    timed("restart of the killed one", back).await.unwrap();
    timed("all in sync again", in_sync(&trial, "seats")).await;
    assert_eq!(trial.consume("seats", 2).await.lines().count(), 2);
    for (number, pid) in pids(&trial) {
        println!("broker {number}: {} MB resident", resident_mb(pid));
    }
    let one = timed("stop of one", apache::stop_broker(&trial.options, 3)).await;
    assert_ne!(one.unwrap(), StopOutcome::WasNotRunning);
    let back = apache::start_broker(&trial.options, 3, ready(&trial.options));
    timed("start of the stopped one", back).await.unwrap();
    let stopped = timed("stop of all", apache::stop(&trial.options)).await;
    println!("{:?}", stopped.unwrap());
    assert_eq!(trial.states(), [BrokerState::Stopped; 3]);
    let back = timed(
        "second start",
        apache::start(&trial.options, ready(&trial.options)),
    );
    assert_eq!(back.await.unwrap().started(), [1, 2, 3]);
    assert_eq!(trial.consume("seats", 2).await.lines().count(), 2);
}

/// Waits until no partition lacks a replica.
async fn in_sync(trial: &Trial, topic: &str) {
    let words = [
        "--describe",
        "--topic",
        topic,
        "--under-replicated-partitions",
    ];
    let deadline = Instant::now() + Duration::from_mins(1);
    while !trial.run("kafka-topics.sh", &words).await.trim().is_empty() {
        assert!(Instant::now() < deadline, "still out of sync");
    }
}

fn pids(trial: &Trial) -> Vec<(usize, u32)> {
    let states = trial.states().into_iter().zip(1..);
    let running = states.filter_map(|(state, number)| match state {
        BrokerState::Running { pid } => Some((number, pid)),
        BrokerState::Stopped | BrokerState::Ended => None,
    });
    running.collect()
}

fn resident_mb(pid: u32) -> u64 {
    let status = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status"));
    let status = status.unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    let digits: String = line.chars().filter(char::is_ascii_digit).collect();
    digits.parse::<u64>().unwrap() / 1024
}
