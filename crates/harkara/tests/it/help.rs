//! What the command says of itself.

use std::process::Command;

use crate::desk::Said;

#[test]
fn a_command_without_its_subcommand_shows_its_help_and_is_exit_status_64() {
    for (arguments, subcommand) in [
        (&[][..], "doctor"),
        (&["dlq"], "replay"),
        (&["topics"], "tail"),
        (&["kafka"], "status"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_harkara"));
        let said: Said = command.args(arguments).env_clear().output().unwrap().into();
        assert_eq!(said.status, Some(64), "{arguments:?}: {}", said.err);
        assert_eq!(said.out, "", "{arguments:?}");
        let helps = said.err.contains("Usage: harkara") && said.err.contains(subcommand);
        assert!(helps, "{arguments:?}: {}", said.err);
    }
}
