//! Settings: a flag and an environment variable of the same name for each, read once.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, Command, Parser};
use secrecy::SecretString;
use url::Url;

/// Settings that every program has.
#[derive(Args, Clone, Debug)]
pub struct ProcessSettings {
    /// Where the program's HTTP port listens: liveness, readiness and metrics, and the API of booking-api.
    #[arg(long, env = "HTTP_ADDR", value_name = "HOST:PORT")]
    pub http_addr: SocketAddr,
    /// What is logged: a level, or directives such as `info,sqlx=warn`. While the program runs, each SIGUSR1 makes its own crates log more, first `debug`, then `trace`; SIGUSR2 takes that back.
    #[arg(long, env = "LOG", value_name = "FILTER", default_value = "info")]
    pub log: String,
    /// How long a stop may take, from the signal to the exit.
    #[arg(long, env = "SHUTDOWN_TIMEOUT", value_name = "DURATION", default_value = "15s", value_parser = humantime::parse_duration)]
    pub shutdown_timeout: Duration,
    /// Where traces go: the base address of an OTLP receiver over HTTP, such as `http://collector:4318`, to which `/v1/traces` is added. Without it none are exported. With it the SDK's `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_TRACES_SAMPLER`, `OTEL_TRACES_SAMPLER_ARG` and `OTEL_EXPORTER_OTLP_HEADERS` count too.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL", value_parser = base_url)]
    pub otel_exporter_otlp_endpoint: Option<Url>,
}

impl ProcessSettings {
    /// Those of a command: any free port, should it listen at all, and no traces.
    pub fn of_command(log: &str, shutdown_timeout: Duration) -> Self {
        Self {
            http_addr: SocketAddr::from(([127, 0, 0, 1], 0)),
            log: log.to_owned(),
            shutdown_timeout,
            otel_exporter_otlp_endpoint: None,
        }
    }
}

/// Reads the program's settings from its arguments and the environment.
///
/// `defaults` gives settings of shared groups the value this program has (`("http_addr", "127.0.0.1:8081")`), so that `--help` is the whole reference.
///
/// # Errors
/// The exit status, after the line for the operator was printed: 64 for a bad setting, and with the help for a subcommand that is missing; 0 for `--help` and `--version`.
pub fn parse_settings<S: Parser>(defaults: &[(&'static str, &'static str)]) -> Result<S, ExitCode> {
    parse_settings_from::<S, _>(defaults, std::env::args_os()).map_err(|error| report(&error))
}

/// The same from a list of arguments, the program's name first.
///
/// # Errors
/// What clap has to say.
pub fn parse_settings_from<S: Parser, T: Into<OsString> + Clone>(
    defaults: &[(&'static str, &'static str)],
    arguments: impl IntoIterator<Item = T>,
) -> Result<S, clap::Error> {
    let command = defaults.iter().fold(S::command(), |command, (id, value)| {
        command.mut_arg(id, |argument| {
            argument.required(false).default_value(*value)
        })
    });
    let matches = command.clone().try_get_matches_from(arguments);
    let parsed = matches.and_then(|matches| S::from_arg_matches(&matches));
    parsed.map_err(|error| one_line(&S::command(), error))
}

/// Reads a secret: never empty, never shown.
///
/// # Errors
/// The reason, in words.
pub fn secret(text: &str) -> Result<SecretString, String> {
    if text.trim().is_empty() {
        return Err("must not be empty".to_owned());
    }
    Ok(SecretString::from(text))
}

/// Reads the address that a provider's paths are joined to: `http` or `https`, no query and no fragment; a slash at its end does not matter.
///
/// # Errors
/// The reason, in words.
pub fn base_url(text: &str) -> Result<Url, String> {
    let mut url = Url::parse(text.trim_end_matches('/'))
        .map_err(|error| format!("must be a URL such as https://api.example.com: {error}"))?;
    let bare = url.query().is_none() && url.fragment().is_none();
    if !matches!(url.scheme(), "http" | "https") || !bare {
        return Err("must begin with http:// or https:// and have no ? and no #".to_owned());
    }
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty();
    }
    Ok(url)
}

/// Whether the environment holds this variable, for a program that sets up others.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the environment"
)]
pub fn is_set(variable: &str) -> bool {
    std::env::var(variable).is_ok()
}

#[expect(
    clippy::print_stderr,
    reason = "a bad setting is told before there is a log"
)]
fn report(error: &clap::Error) -> ExitCode {
    if error.use_stderr() && !is_help(error) {
        eprintln!("{}", without_prefix(error));
        return ExitCode::from(64);
    }
    match error.print() {
        Ok(()) if error.use_stderr() => ExitCode::from(64),
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// What clap has to say to a command without its subcommand: the help, on standard error.
fn is_help(error: &clap::Error) -> bool {
    error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
}

/// The line alone: clap puts a word before it and an empty line after it.
fn without_prefix(error: &clap::Error) -> String {
    error
        .to_string()
        .trim_start_matches("error: ")
        .trim_end()
        .to_owned()
}

/// Turns clap's paragraph into one line that begins with the variable; help stays as it is.
fn one_line(command: &Command, error: clap::Error) -> clap::Error {
    if !error.use_stderr() || is_help(&error) {
        return error;
    }
    let variable = error
        .get(ContextKind::InvalidArg)
        .map(|name| variable_of(command, name));
    let value = error
        .get(ContextKind::InvalidValue)
        .map(ToString::to_string)
        .unwrap_or_default();
    let subject = variable.unwrap_or_else(|| "settings".to_owned());
    let reason = std::error::Error::source(&error).map(ToString::to_string);
    let problem = match (error.kind(), reason) {
        (ErrorKind::MissingRequiredArgument, _) => "is required and has no default".to_owned(),
        (ErrorKind::UnknownArgument, _) => "unknown flag; see --help".to_owned(),
        (_, Some(reason)) => reason,
        (_, None) if value.is_empty() => first_line(&error),
        (_, None) => format!("{value:?} is not a valid value; see --help"),
    };
    let line = format!("{subject}: {problem}").replace('\n', " ");
    clap::Error::raw(error.kind(), line)
}

fn first_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let line = text.lines().next().unwrap_or_default();
    line.trim_start_matches("error: ").to_owned()
}

/// `--smtp-url <URL>` → `SMTP_URL`; what is no setting of ours stays as it is.
fn variable_of(command: &Command, name: &ContextValue) -> String {
    let shown = if let ContextValue::Strings(names) = name {
        names.first().cloned().unwrap_or_default()
    } else {
        name.to_string()
    };
    let flag = shown.split([' ', '=']).next().unwrap_or_default();
    // What has no flag is shown as `<PLACE>...`.
    let flag = flag.trim_start_matches('<').trim_end_matches(['>', '.']);
    let variable = flag
        .strip_prefix("--")
        .and_then(|long| environment_name(command, long));
    variable.unwrap_or(flag).to_owned()
}

/// The variable of a flag, of the command or of one below it.
fn environment_name<'a>(command: &'a Command, long: &str) -> Option<&'a str> {
    let own = command
        .get_arguments()
        .find(|argument| argument.get_long() == Some(long));
    let own = own
        .and_then(|argument| argument.get_env())
        .and_then(|env| env.to_str());
    own.or_else(|| {
        command
            .get_subcommands()
            .find_map(|below| environment_name(below, long))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Parser, Debug)]
    struct Example {
        #[command(flatten)]
        process: ProcessSettings,
        #[arg(long, env = "EXAMPLE_SECRET")]
        example_secret: String,
    }

    fn parse(arguments: &[&str]) -> Result<Example, String> {
        let arguments = ["example"].iter().chain(arguments);
        parse_settings_from(&[("http_addr", "127.0.0.1:8081")], arguments)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_program_s_own_default_fills_a_shared_setting() {
        let example = parse(&["--example-secret", "x"]).unwrap();
        assert_eq!(example.process.http_addr.port(), 8081);
        assert_eq!(example.process.shutdown_timeout, Duration::from_secs(15));
    }

    #[test]
    fn a_provider_s_address_takes_paths_with_and_without_a_slash() {
        for text in [
            "http://127.0.0.1:8025/twilio",
            "http://127.0.0.1:8025/twilio/",
        ] {
            let mut url = base_url(text).unwrap();
            url.path_segments_mut().unwrap().push("Messages.json");
            assert_eq!(url.as_str(), "http://127.0.0.1:8025/twilio/Messages.json");
        }
        for bad in [
            "api.twilio.com",
            "ftp://a.example",
            "http://a.example?x=1",
            "http://",
        ] {
            assert!(base_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_bad_setting_is_one_line_that_names_its_variable() {
        for (arguments, start) in [
            (
                vec!["--example-secret", "x", "--http-addr", "nowhere"],
                "HTTP_ADDR: ",
            ),
            (
                vec!["--example-secret", "x", "--shutdown-timeout", "soon"],
                "SHUTDOWN_TIMEOUT: ",
            ),
            (vec![], "EXAMPLE_SECRET: is required"),
            (vec!["--colour"], "--colour: unknown flag"),
        ] {
            let line = parse(&arguments).unwrap_err();
            assert!(line.contains(start), "{line}");
            assert_eq!(line.trim_end().lines().count(), 1, "{line}");
        }
    }

    #[derive(Parser, Debug)]
    enum Desk {
        /// Sells.
        Sell,
        /// Cancels.
        Cancel,
    }

    #[test]
    fn a_command_without_its_subcommand_is_told_all_of_them() {
        let error = parse_settings_from::<Desk, _>(&[], ["desk"]).unwrap_err();
        assert!(is_help(&error));
        let help = error.to_string();
        assert!(help.contains("Sells") && help.contains("Cancels"), "{help}");
    }
}
