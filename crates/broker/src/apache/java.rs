//! The command lines of Kafka's Java programs.

use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use crate::apache::layout::Layout;
use crate::apache::tools::Java;
use crate::apache::{BrokerError, ClusterSize};

/// In characters: Maven names a download's address four times before it says what failed.
const LONGEST_COMPLAINT: usize = 600;

/// The main class of a broker.
pub(crate) const BROKER: &str = "kafka.Kafka";

/// Starts in half the time, for programs that are done in a second.
pub(crate) const SHORT_LIVED: [&str; 2] = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];

/// The collector's settings of Kafka's own `kafka-run-class.sh`.
const LONG_LIVED: [&str; 5] = [
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
];

fn heap(size: ClusterSize) -> [&'static str; 2] {
    match size {
        ClusterSize::One => ["-Xms256m", "-Xmx512m"],
        ClusterSize::Three => ["-Xms128m", "-Xmx384m"],
    }
}

/// A broker; what it prints is the caller's to place.
pub(crate) fn broker_command(
    java: &Path,
    layout: &Layout,
    number: u8,
    size: ClusterSize,
) -> Command {
    let mut command = Command::new(java);
    command
        .args(heap(size))
        .args(LONG_LIVED)
        .arg(log_config(&layout.broker_log_config()))
        .arg("-cp")
        .arg(layout.class_path())
        .arg(BROKER)
        .arg(layout.properties(number))
        .current_dir(layout.broker(number))
        .stdin(Stdio::null())
        .kill_on_drop(false)
        // A group of its own: an interrupt at the terminal is not for it.
        .process_group(0);
    command
}

pub(crate) fn log_config(path: &Path) -> String {
    format!("-Dlog4j2.configurationFile={}", path.display())
}

/// Formats the storage of a broker for a cluster, unless it is formatted already.
pub(crate) async fn format_storage(
    java: &Java,
    layout: &Layout,
    number: u8,
    cluster_id: &str,
) -> Result<(), BrokerError> {
    if layout.records(number).join("meta.properties").exists() {
        return Ok(());
    }
    let mut command = Command::new(&java.program);
    command
        .args(SHORT_LIVED)
        .arg(log_config(&layout.tools_log_config()))
        .arg("-cp")
        .arg(layout.class_path())
        .args(["kafka.tools.StorageTool", "format", "-t", cluster_id, "-c"])
        .arg(layout.properties(number))
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = command.output().await;
    let output = output.map_err(|source| BrokerError::Run {
        program: java.program.clone(),
        source,
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(BrokerError::Format {
        number,
        complaint: complaint(&String::from_utf8_lossy(&said)),
    })
}

/// The one line of a program's output that says what went wrong.
pub(crate) fn complaint(output: &str) -> String {
    let lines = || {
        let lines = output.lines().map(str::trim);
        lines.filter(|line| !line.is_empty())
    };
    let cause = lines().find(|line| line.contains("Exception: "));
    let error = || lines().find(|line| line.contains("ERROR"));
    let line = cause.or_else(error).or_else(|| lines().next_back());
    let line = line.unwrap_or("it said nothing");
    line.chars().take(LONGEST_COMPLAINT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_is_told_before_the_consequence() {
        let output = "2026-01-01 INFO starting\n\
            2026-01-01 ERROR Exiting Kafka due to fatal exception\n\
            org.apache.kafka.common.KafkaException: Socket server failed to bind\n\
            \tat kafka.network.Acceptor.open\n";
        let expected = "org.apache.kafka.common.KafkaException: Socket server failed to bind";
        assert_eq!(complaint(output), expected);
        assert_eq!(
            complaint("[ERROR] no network\n[ERROR] help\n"),
            "[ERROR] no network"
        );
        assert_eq!(complaint("\n"), "it said nothing");
    }
}
