//! `harkara sandbox` alone.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use tempfile::TempDir;

#[test]
fn the_ledger_is_where_either_flag_names_its_folder() {
    for flag in ["--data-dir", "--sandbox-data-dir"] {
        let folder = TempDir::new().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_harkara"));
        command.args(["sandbox", "--sms-account=AC0", "--sms-token=t"]);
        command.args(["--whatsapp-phone-number-id=1", "--whatsapp-token=t"]);
        command.args([
            "--sandbox-smtp-addr=127.0.0.1:0",
            "--sandbox-http-addr=127.0.0.1:0",
        ]);
        command.arg(flag).arg(folder.path()).env_clear();
        let mut sandbox = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(sandbox.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        assert!(line.starts_with("inbox page "), "{flag}: {line}");
        assert!(folder.path().read_dir().unwrap().next().is_some(), "{flag}");
        sandbox.kill().unwrap();
        sandbox.wait().unwrap();
    }
}
