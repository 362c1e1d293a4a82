//! Logs: one JSON object a line for machines, readable text at a terminal, and more of them while somebody looks.

use std::borrow::Cow;
use std::io::{IsTerminal, stderr};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::warn;
use tracing_subscriber::filter::{LevelFilter, ParseError};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, Registry, fmt};

use crate::Failure;

/// Crates that may be made to say more while the process runs: ours, which name nobody at any level. Others may log what people wrote.
const OURS: [&str; 13] = [
    "booking_api",
    "broker",
    "bus",
    "chassis",
    "database",
    "delivery",
    "email_notifier",
    "harkara",
    "inbox",
    "outbox",
    "sandbox",
    "sms_notifier",
    "whatsapp_notifier",
];

/// How much our crates say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Detail {
    AsSet,
    Debug,
    Trace,
}

impl Detail {
    const fn more(self) -> Self {
        match self {
            Self::AsSet => Self::Debug,
            Self::Debug | Self::Trace => Self::Trace,
        }
    }

    /// The filter of `LOG`, raised.
    fn filter(self, set: &str) -> Result<EnvFilter, ParseError> {
        let level = match self {
            Self::AsSet => return EnvFilter::try_new(set),
            Self::Debug => "debug",
            Self::Trace => "trace",
        };
        let raised = OURS.iter().map(|name| format!(",{name}={level}"));
        EnvFilter::try_new(set.to_owned() + &raised.collect::<String>())
    }
}

/// Turns the logs up and down while the process runs.
#[derive(Debug)]
pub(crate) struct Dial {
    set: String,
    detail: Detail,
    filter: Handle<EnvFilter, Registry>,
}

/// Starts logging to standard error.
pub(crate) fn start(set: &str) -> Result<Dial, Failure> {
    let unusable = |problem| Failure::Setting {
        variable: "LOG",
        problem,
    };
    if let Some(word) = unknown_level(set) {
        let problem = format!("{word:?} is no level; more than one is told like info,sqlx=warn");
        return Err(unusable(problem));
    }
    let detail = Detail::AsSet;
    let filter = detail.filter(set);
    let filter = filter.map_err(|error| unusable(error.to_string()))?;
    let (filter, handle) = reload::Layer::new(filter);
    // Whoever read the log may be gone: to say so would be to write there once more, and to panic.
    let lines = fmt::layer().with_writer(stderr).log_internal_errors(false);
    let lines = if stderr().is_terminal() {
        lines.boxed()
    } else {
        lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .boxed()
    };
    let logs = tracing_subscriber::registry().with(filter).with(lines);
    logs.try_init()
        .map_err(Failure::broken("could not start logging"))?;
    Ok(Dial {
        set: set.to_owned(),
        detail,
        filter: handle,
    })
}

/// A word alone that is no level: the filter would take it for a crate's name, and log that crate alone.
fn unknown_level(set: &str) -> Option<&str> {
    let mut words = set.split(',').map(str::trim);
    words.find(|word| {
        !word.is_empty() && !word.contains(['=', '[', ']']) && word.parse::<LevelFilter>().is_err()
    })
}

impl Dial {
    /// Follows SIGUSR1 and SIGUSR2 from now on, in the background.
    pub(crate) fn follow_signals(self) -> Result<(), Failure> {
        let on = |kind| signal(kind).map_err(Failure::broken("could not listen for signals"));
        let more = on(SignalKind::user_defined1())?;
        let less = on(SignalKind::user_defined2())?;
        tokio::spawn(self.follow(more, less));
        Ok(())
    }

    async fn follow(mut self, mut more: Signal, mut less: Signal) {
        loop {
            let wanted = tokio::select! {
                Some(()) = more.recv() => self.detail.more(),
                Some(()) = less.recv() => Detail::AsSet,
                else => return,
            };
            self.turn(wanted);
        }
    }

    fn turn(&mut self, wanted: Detail) {
        // Said on the side that says more.
        if wanted == Detail::AsSet {
            warn!(log = self.set, "logs as LOG has them");
        }
        let filter = wanted.filter(&self.set).map_err(|error| error.to_string());
        let turned = filter.and_then(|filter| {
            let reloaded = self.filter.reload(filter);
            reloaded.map_err(|error| error.to_string())
        });
        match turned {
            Ok(()) => self.detail = wanted,
            Err(error) => warn!(error, "logs stay as they are"),
        }
        if wanted != Detail::AsSet {
            warn!(detail = ?wanted, "our own crates log more until SIGUSR2");
        }
    }
}

/// An event's id as logs and traces tell it: a UUID as it is, and of what another producer may have made of a PNR or an address only how long it is: `20 characters`.
pub fn loggable_id(id: &str) -> Cow<'_, str> {
    if is_uuid(id) {
        Cow::Borrowed(id)
    } else {
        Cow::Owned(format!("{} characters", id.len()))
    }
}

/// As [`loggable_id`], of a record that we wrote: where it tells of an event, its id is the event's, a colon and words of ours.
pub fn loggable_record_id(id: &str) -> Cow<'_, str> {
    match id.split_once(':') {
        Some((event, _)) if is_uuid(event) => Cow::Borrowed(id),
        _ => loggable_id(id),
    }
}

/// In its usual form of 36 characters: 32 digits may be a date and a PNR.
fn is_uuid(id: &str) -> bool {
    id.len() == 36 && uuid::Uuid::try_parse(id).is_ok()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_crate_of_ours_that_runs_can_be_made_to_say_more() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let folders = ["crates", "services"].map(|folder| root.join(folder));
        let entries = folders
            .iter()
            .flat_map(|folder| std::fs::read_dir(folder).unwrap());
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        // Those that log nothing: one is pure, the others are for tests.
        let silent = ["events", "testkit", "e2e"];
        let mut names: Vec<_> = names
            .filter(|name| !silent.contains(&name.as_str()))
            .map(|name| name.replace('-', "_"))
            .collect();
        names.sort();
        assert_eq!(names, OURS);
    }

    #[test]
    fn a_misspelt_level_is_no_crate() {
        for known in [
            "info",
            "WARN",
            "off",
            "info,sqlx=warn",
            "bus[send]=trace,error",
        ] {
            assert_eq!(unknown_level(known), None, "{known}");
        }
        for unknown in ["infoo", "verbose", "info,sqlx"] {
            assert!(unknown_level(unknown).is_some(), "{unknown}");
        }
    }

    #[test]
    fn no_log_tells_a_pnr_that_an_id_is_made_of() {
        let ours = "01a21855-0435-7a97-b94a-36bed660eb3a";
        assert_eq!(loggable_id(ours), ours);
        let status = format!("{ours}:sms:596109252");
        assert_eq!(loggable_record_id(&status), status);
        assert_eq!(loggable_record_id(ours), ours);
        assert_eq!(loggable_id(&status), "50 characters");
        for (theirs, told) in [
            ("4512345678-CONFIRMED", "20 characters"),
            ("asha@example.com:sms:596109252", "30 characters"),
            ("20260115451234567800000000000001", "32 characters"),
        ] {
            assert_eq!(loggable_id(theirs), told);
            assert_eq!(loggable_record_id(theirs), told);
        }
    }

    #[test]
    fn raised_logs_keep_what_was_set_for_the_crates_of_others() {
        let raised = Detail::AsSet.more().filter("warn,hyper=error").unwrap();
        let told = raised.to_string();
        assert!(told.contains("hyper=error"), "{told}");
        assert!(told.contains("delivery=debug"), "{told}");
        assert!(told.contains("warn"), "{told}");
        assert_eq!(Detail::AsSet.more().more().more(), Detail::Trace);
    }
}
