//! The program; everything it does is in the library.

use std::process::ExitCode;

use booking_api::Settings;

fn main() -> ExitCode {
    match chassis::parse_settings::<Settings>(Settings::DEFAULTS) {
        Ok(settings) => chassis::run_to_exit(&settings.process.clone(), |shutdown| {
            booking_api::run(settings, shutdown)
        }),
        Err(status) => status,
    }
}
