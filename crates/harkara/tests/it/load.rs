//! `harkara load` where something is wrong.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::desk::Said;

/// `harkara load …`.
fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_harkara"));
    command.arg("load").args(arguments).env_clear();
    command
}

/// One request: of an API that books, and of a sandbox that counts what it accepted and cannot list it.
fn answer(stream: TcpStream) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut lines = stream.by_ref().lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    let mut length: usize = 0;
    for header in lines {
        let header = header?.to_ascii_lowercase();
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or_default();
        }
    }
    stream.read_exact(&mut vec![0; length])?;
    let path = request.split(' ').nth(1).unwrap_or_default();
    let (status, body) = match path.split('?').next() {
        Some("/api/v1/bookings") => ("200 OK", r#"{"pnrNumber":"2412345678"}"#),
        Some("/api/stats") => (
            "200 OK",
            r#"{"channels":{"email":{"accepted":0},"sms":{"accepted":0},"whatsapp":{"accepted":0}}}"#,
        ),
        Some(_) | None => ("500 Internal Server Error", "{}"),
    };
    let length = body.len();
    write!(
        stream.get_mut(),
        "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

/// Where both are.
fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that hangs up is no matter.
            std::thread::spawn(move || answer(stream).unwrap_or_default());
        }
    });
    url
}

#[test]
fn a_ledger_that_cannot_be_read_costs_the_messages_and_not_the_report() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("load.json");
    let url = serve();
    let mut command = command(&["--rate", "20", "--duration", "1s"]);
    command.args(["--warm-up", "0s", "--settle", "0s"]);
    command.args(["--url", &url, "--sandbox", &url, "--notifiers", &url]);
    command.arg("--json").arg(&file);
    let said: Said = command.output().unwrap().into();
    assert_eq!(said.status, Some(1), "{}{}", said.out, said.err);
    let unread = "could not read the sandbox's ledger: ";
    assert!(said.err.starts_with(unread), "{}", said.err);
    assert!(said.out.contains("bookings a second"), "{}", said.out);
    assert!(
        said.out.contains("is not known: no sandbox told"),
        "{}",
        said.out
    );
    let report: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let booked = report["requests"][0]["millis"]["count"].as_u64().unwrap();
    assert!(booked > 0, "{report}");
    assert_eq!(report["messages"], Value::Array(Vec::new()));
}

#[test]
fn a_step_is_whole_seconds() {
    for length in ["0s", "500ms", "1500ms"] {
        let mut command = command(&["--step", "10", "--step-every", length]);
        let said: Said = command.output().unwrap().into();
        assert_eq!(said.status, Some(64), "{length}: {}", said.err);
        assert!(said.err.starts_with("--step-every: "), "{}", said.err);
    }
}
