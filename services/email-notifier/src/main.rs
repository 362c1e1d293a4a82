//! The process: settings, then [`email_notifier::run`].

use std::process::ExitCode;

use email_notifier::Settings;
use events::Channel;

fn main() -> ExitCode {
    let settings = match chassis::parse_settings::<Settings>(delivery::defaults(Channel::Email)) {
        Ok(settings) => settings,
        Err(status) => return status,
    };
    let process = settings.notifier.process.clone();
    chassis::run_to_exit(&process, |shutdown| email_notifier::run(settings, shutdown))
}
