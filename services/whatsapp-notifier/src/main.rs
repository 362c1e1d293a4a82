//! The process: settings, then [`whatsapp_notifier::run`].

use std::process::ExitCode;

use events::Channel;
use whatsapp_notifier::Settings;

fn main() -> ExitCode {
    let settings = match chassis::parse_settings::<Settings>(delivery::defaults(Channel::Whatsapp))
    {
        Ok(settings) => settings,
        Err(status) => return status,
    };
    let process = settings.notifier.process.clone();
    chassis::run_to_exit(&process, |shutdown| {
        whatsapp_notifier::run(settings, shutdown)
    })
}
