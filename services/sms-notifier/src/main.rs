//! The process: settings, then [`sms_notifier::run`].

use std::process::ExitCode;

use events::Channel;
use sms_notifier::Settings;

fn main() -> ExitCode {
    let settings = match chassis::parse_settings::<Settings>(delivery::defaults(Channel::Sms)) {
        Ok(settings) => settings,
        Err(status) => return status,
    };
    let process = settings.notifier.process.clone();
    chassis::run_to_exit(&process, |shutdown| sms_notifier::run(settings, shutdown))
}
