//! `harkara kafka` without a Kafka.

use std::fs::Permissions;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::desk::Said;
use crate::stop::terminate;

/// `harkara kafka … --data-dir …`.
fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_harkara"));
    command.arg("kafka").args(arguments).env_clear();
    command.arg("--data-dir").arg(folder);
    command
}

fn any_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port().to_string()
}

#[test]
fn a_bad_setting_is_named_and_exit_status_64() {
    let folder = TempDir::new().unwrap();
    let three = folder.path().join("three/kafka");
    std::fs::create_dir_all(&three).unwrap();
    let identity = r#"{"cluster_id":"abc","size":"three","port":9092}"#;
    std::fs::write(three.join("cluster.json"), identity).unwrap();
    for (data, arguments, named) in [
        ("a:b", &["start"][..], "DATA_DIR: "),
        ("one", &["start", "--port", "65500"], "--port: "),
        ("three", &["start", "--brokers", "1"], "--brokers: "),
        ("one", &["start", "--brokers", "2"], "--brokers: "),
    ] {
        let mut command = command(&folder.path().join(data), arguments);
        let said: Said = command.output().unwrap().into();
        assert_eq!(said.status, Some(64), "{arguments:?}: {}", said.err);
        assert!(said.err.starts_with(named), "{}", said.err);
        assert_eq!(said.err.lines().count(), 1, "{}", said.err);
    }
}

#[test]
fn a_port_that_another_program_has_is_exit_status_69() {
    let folder = TempDir::new().unwrap();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port().to_string();
    let mut command = command(folder.path(), &["start", "--port", &port]);
    let said: Said = command.output().unwrap().into();
    assert_eq!(said.status, Some(69), "{}", said.err);
    assert!(said.err.starts_with("--port: "), "{}", said.err);
}

/// A Java whose broker runs and never answers, and a Maven that has nothing to do.
fn stand_ins(folder: &Path) {
    let java = format!(
        "case \"$*\" in
*-XshowSettings*) echo ' java.home = {}' >&2; echo ' java.specification.version = 99' >&2;;
*kafka.Kafka*) while :; do sleep 1; done;;
esac",
        folder.display()
    );
    let bin = folder.join("bin");
    std::fs::create_dir(&bin).unwrap();
    for (name, script) in [("java", java.as_str()), ("mvn", "exit 0")] {
        let path = bin.join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_is_interrupted_leaves_no_broker() {
    let folder = TempDir::new().unwrap();
    stand_ins(folder.path());
    let data = folder.path().join("data");
    let mut command = command(&data, &["start", "--port", &any_port()]);
    command.env(
        "PATH",
        folder.path().join("bin").display().to_string() + ":/usr/bin:/bin",
    );
    let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let starting = piped.spawn().unwrap();
    let launched = data.join("kafka/broker-1/pid");
    testkit::eventually("broker", async || launched.exists().then_some(())).await;
    let pid = std::fs::read_to_string(&launched).unwrap();
    terminate(&starting);
    let said: Said = starting.wait_with_output().unwrap().into();
    assert_eq!(
        said.well(),
        "Stopped; no broker runs that did not run before.\n"
    );
    assert!(!launched.exists());
    // One that ended and was not asked for its status has none either.
    let line = std::fs::read(Path::new("/proc").join(pid).join("cmdline"));
    assert!(line.unwrap_or_default().is_empty());
}
