//! A signal ends every command, and well.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use crate::desk::Said;

/// SIGTERM.
pub(crate) fn terminate(process: &Child) {
    let pid = process.id().to_string();
    let told = Command::new("kill").args(["-TERM", &pid]).status();
    assert!(told.unwrap().success());
}

#[test]
fn what_only_looks_is_stopped_at_once() {
    for arguments in [
        &["topics", "describe"][..],
        &["topics", "apply"],
        &["doctor"],
    ] {
        // A broker that says nothing.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_harkara"));
        command.args(arguments).env_clear();
        let servers = silent.local_addr().unwrap().to_string();
        command.env("KAFKA_BOOTSTRAP_SERVERS", servers);
        let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let looking = piped.spawn().unwrap();
        let _connected = silent.accept().unwrap();
        terminate(&looking);
        let said: Said = looking.wait_with_output().unwrap().into();
        assert_eq!(
            said.well(),
            "Stopped; nothing was changed.\n",
            "{arguments:?}"
        );
    }
}
