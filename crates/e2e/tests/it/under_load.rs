//! A fault, while passengers book, pay and cancel.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use events::Channel;
use sandbox::Filter;
use testkit::{Load, LoadReport, Plan, System, Verdict, eventually, full_length};

/// How long everything may take to be told after the fault: the lease of a claim and some more; after the backlog of a full length, longer.
const QUIET: Duration = Duration::from_mins(3);
const FULL_QUIET: Duration = Duration::from_mins(30);

/// A system under load.
pub(crate) struct UnderLoad {
    pub(crate) system: System,
    /// Where the API is, which has another port after each start.
    api: Arc<Mutex<String>>,
    load: Load,
}

/// A system after its load.
pub(crate) struct Calm {
    pub(crate) system: System,
    report: LoadReport,
}

/// How it ended.
pub(crate) struct Ended {
    pub(crate) system: System,
    pub(crate) report: LoadReport,
    pub(crate) verdict: Verdict,
}

impl UnderLoad {
    /// Starts so many bookings a second, and waits until every channel tells of some.
    pub(crate) async fn start(system: System, rate: u32) -> Self {
        let url = system.url("booking-api", "/api/v1/bookings").await.unwrap();
        let api = Arc::new(Mutex::new(url));
        let current = Arc::clone(&api);
        let load = Load::start(rate, Plan::Lives, move || current.lock().unwrap().clone());
        let told = |channel| Filter {
            channel: Some(channel),
            limit: Some(1),
            ..Filter::default()
        };
        let flows = |channel| !system.ledger().messages(&told(channel)).is_empty();
        let all_flow = async || Channel::ALL.into_iter().all(flows).then_some(());
        eventually("message on every channel", all_flow).await;
        Self { system, api, load }
    }

    /// Lets it go on for a while.
    pub(crate) async fn go_on(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }

    /// Starts a program again that was taken out of the system.
    pub(crate) async fn start_again(&mut self, name: &str) {
        let address = self.system.start_program(name).await.unwrap();
        if name == "booking-api" {
            *self.api.lock().unwrap() = format!("http://{address}/api/v1/bookings");
        }
    }

    /// kill -9, and starts it again.
    pub(crate) async fn kill(&mut self, name: &str) {
        self.system.take_program(name).unwrap().kill().unwrap();
        self.start_again(name).await;
    }

    /// Ends the load.
    pub(crate) async fn calm(self) -> Calm {
        Calm {
            system: self.system,
            report: self.load.finish().await,
        }
    }

    /// Ends the load, and judges as [`Calm::judge`].
    pub(crate) async fn finish(self, what: &str) -> Ended {
        self.calm().await.judge(what).await
    }

    /// As [`UnderLoad::finish`], every letter is zero and nothing was given up.
    pub(crate) async fn finish_clean(self, what: &str) -> Ended {
        let ended = self.finish(what).await;
        let verdict = &ended.verdict;
        assert!(verdict.is_clean(), "{what}: {verdict}");
        assert!(verdict.gave_up_nothing(), "{what}: {verdict}");
        ended
    }
}

impl Calm {
    /// Waits until everything is told, and judges. No client saw anything but 503 and broken connections.
    pub(crate) async fn judge(self, what: &str) -> Ended {
        let report = self.report;
        let quiet = if full_length() { FULL_QUIET } else { QUIET };
        let verdict = self.system.judge(&report.booked, quiet).await.unwrap();
        println!(
            "{what}: {} bookings, {} refused tries: {verdict}",
            report.booked.len(),
            report.refusals
        );
        assert_eq!(report.surprises, Vec::<u16>::new(), "{what}");
        Ended {
            system: self.system,
            report,
            verdict,
        }
    }
}
