//! `harkara load`, as an operator runs it.

use std::process::Command;

use serde_json::Value;
use testkit::{System, program_path};

/// Runs it with these arguments, and reads its report.
pub(crate) async fn load(system: &System, arguments: &str) -> Value {
    let file = system.folder().join("load.json");
    let mut command = Command::new(program_path("harkara").unwrap());
    command.arg("load").args(arguments.split(' ')).env_clear();
    command.args(["--url", &system.url("booking-api", "").await.unwrap()]);
    command.args(["--sandbox", &system.sandbox_url()]);
    command.arg("--notifiers").arg(notifiers(system).await);
    command.arg("--json").arg(&file);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = output.await.unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

async fn notifiers(system: &System) -> String {
    let mut urls = Vec::new();
    for name in ["email-notifier", "sms-notifier", "whatsapp-notifier"] {
        // One that does not run has no metrics.
        let nowhere = "http://127.0.0.1:1".to_owned();
        urls.push(match system.program(name) {
            Ok(_) => system.url(name, "").await.unwrap(),
            Err(_) => nowhere,
        });
    }
    urls.join(",")
}

/// A number of the report.
pub(crate) fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}
