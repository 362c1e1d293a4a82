//! What is refused before Java is even looked for.

use std::net::{Ipv4Addr, TcpListener};

use broker::apache::{self, BrokerError, BrokerState, ClusterSize, Options, StopOutcome};

use crate::ports::first_free_port;

async fn never(_address: String) -> bool {
    false
}

#[tokio::test]
async fn a_taken_port_is_named_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let port = first_free_port();
    let _other = TcpListener::bind((Ipv4Addr::LOCALHOST, port + 1)).unwrap();
    let options = Options {
        size: ClusterSize::Three,
        port,
        ..Options::new(folder.path())
    };
    let error = apache::start(&options, never).await.unwrap_err();
    let line = error.to_string();
    let start = format!("port {} is taken, broker 2 cannot listen there", port + 1);
    assert!(line.starts_with(&start), "{line}");
    assert_eq!(line.lines().count(), 1);
    let one = Options::new(folder.path());
    let known = apache::status(&one).unwrap();
    assert_eq!(known.len(), 1, "the refused size was not kept");
}

#[tokio::test]
async fn a_taken_controller_port_is_named_too() {
    let folder = tempfile::tempdir().unwrap();
    let port = first_free_port();
    let _other = TcpListener::bind((Ipv4Addr::LOCALHOST, port + 100)).unwrap();
    let options = Options {
        port,
        ..Options::new(folder.path())
    };
    let error = apache::start(&options, never).await.unwrap_err();
    let taken = port + 100;
    assert!(matches!(error, BrokerError::PortTaken { number: 1, port } if port == taken));
}

#[tokio::test]
async fn what_was_never_started_is_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options::new(folder.path().join("data"));
    let status = apache::status(&options).unwrap();
    assert_eq!(status.len(), 1);
    assert!(
        status
            .iter()
            .all(|broker| broker.state == BrokerState::Stopped)
    );
    let stopped = apache::stop(&options).await.unwrap();
    assert_eq!(stopped, [(1, StopOutcome::WasNotRunning)]);
    assert!(!apache::kill_broker(&options, 1).await.unwrap());
    assert!(!options.data_dir.exists(), "asking makes no folder");
}

#[tokio::test]
async fn a_broker_outside_the_cluster_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options::new(folder.path());
    for error in [
        apache::stop_broker(&options, 2).await.unwrap_err(),
        apache::kill_broker(&options, 0).await.unwrap_err(),
        apache::start_broker(&options, 2, never).await.unwrap_err(),
    ] {
        assert!(matches!(error, BrokerError::NoSuchBroker { .. }), "{error}");
    }
    let error = apache::start_broker(&options, 1, never).await.unwrap_err();
    assert!(matches!(error, BrokerError::NeverStarted { .. }), "{error}");
}
