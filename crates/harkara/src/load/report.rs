//! What was measured, as a table, as JSON, as a page.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use chassis::Failure;
use chrono::{DateTime, SecondsFormat, Utc};
use events::EventType;
use serde::Serialize;

use crate::dlq::table::table;
use crate::load::Load;
use crate::load::driver::{Pace, Run};
use crate::load::joined::Messages;
use crate::load::second::Second;
use crate::load::stages::StageTimes;
use crate::load::tally::{Percentile, Summary, Tally};

/// The page around the JSON.
const PAGE: &str = include_str!("report.html");

/// Where the JSON goes.
const PLACE: &str = "\"REPORT\"";

/// Everything that was measured. Times are milliseconds.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    began_at: String,
    /// Cores of the machine that sent the load.
    cores: usize,
    plan: String,
    measured_seconds: f64,
    bookings_per_second: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    knee: Option<u32>,
    requests: Vec<Requests>,
    messages: Vec<Messages>,
    stages: Vec<StageTimes>,
    seconds: Vec<SecondOut>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Requests {
    /// Of the event that a success tells.
    event_type: EventType,
    millis: Summary,
    /// Answers other than 2xx by status, 0 for none at all.
    failed: BTreeMap<u16, u64>,
    percentiles: Vec<Percentile>,
}

#[derive(Debug, Serialize)]
struct SecondOut {
    due: u64,
    answered: u64,
    failed: u64,
    p50: f64,
    p99: f64,
    max: f64,
}

impl Report {
    pub(crate) fn new(
        load: &Load,
        run: &Run,
        messages: Vec<Messages>,
        stages: Vec<StageTimes>,
    ) -> Self {
        let measured = run.measured.as_secs_f64();
        let booked = run.requests.get(&EventType::BookingConfirmed);
        let booked = booked.map_or(0, |tally| tally.times.summary().count);
        let booked = f64::from(u32::try_from(booked).unwrap_or(u32::MAX));
        let whole = run.measured.as_secs().max(1);
        let whole = usize::try_from(whole).unwrap_or(usize::MAX);
        Self {
            began_at: moment(run.began),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            plan: plan(load),
            measured_seconds: measured,
            bookings_per_second: (booked / measured.max(0.001) * 10.0).round() / 10.0,
            knee: run.knee,
            requests: run.requests.iter().map(requests).collect(),
            messages,
            stages,
            seconds: run.seconds.iter().take(whole).map(second).collect(),
        }
    }

    pub(crate) fn json(&self) -> Result<String, Failure> {
        serde_json::to_string_pretty(self).map_err(Failure::broken("could not write the report"))
    }

    /// `<` in a string would end the script that holds it.
    pub(crate) fn html(&self) -> Result<String, Failure> {
        let json = serde_json::to_string(self);
        let json = json.map_err(Failure::broken("could not write the report"))?;
        Ok(PAGE.replacen(PLACE, &json.replace('<', "\\u003c"), 1))
    }
}

fn moment(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn plan(load: &Load) -> String {
    let pace = match (load.pace(), load.ramp_to, load.step) {
        (Pace::Closed { clients }, ..) => format!("closed loop of {clients} clients"),
        (Pace::Open(_), Some(to), _) => format!("open loop, {} to {to} bookings/s", load.rate),
        (Pace::Open(_), None, Some(by)) => format!(
            "open loop, {} bookings/s and {by} more each {}",
            load.rate,
            span(load.step_every)
        ),
        (Pace::Open(_), None, None) => format!("open loop, {} bookings/s", load.rate),
    };
    format!(
        "{pace} for {} after {} of warm-up; {} of 100 paid, {} cancelled",
        span(load.duration),
        span(load.warm_up),
        load.pay,
        load.cancel
    )
}

fn span(span: Duration) -> String {
    humantime::format_duration(span).to_string()
}

fn requests((event_type, tally): (&EventType, &Tally)) -> Requests {
    Requests {
        event_type: *event_type,
        millis: tally.times.summary(),
        failed: tally.failed.clone(),
        percentiles: tally.times.percentiles(),
    }
}

fn second(second: &Second) -> SecondOut {
    let times = second.booked.summary();
    SecondOut {
        due: second.due,
        answered: second.answered,
        failed: second.failed,
        p50: times.p50,
        p99: times.p99,
        max: times.max,
    }
}

/// What a request asks for.
const fn asked(event: EventType) -> &'static str {
    match event {
        EventType::BookingConfirmed => "book",
        EventType::PaymentCompleted => "pay",
        EventType::BookingCancelled => "cancel",
    }
}

fn cells<const N: usize>(numbers: [f64; N]) -> [String; N] {
    numbers.map(|number| number.to_string())
}

impl Report {
    fn requests_table(&self) -> String {
        let row = |one: &Requests| {
            let times = one.millis;
            let [p50, p90, p99, p999, max] =
                cells([times.p50, times.p90, times.p99, times.p999, times.max]);
            let failed: u64 = one.failed.values().sum();
            let name = asked(one.event_type).to_owned();
            [
                name,
                times.count.to_string(),
                failed.to_string(),
                p50,
                p90,
                p99,
                p999,
                max,
            ]
        };
        let rows: Vec<_> = self.requests.iter().map(row).collect();
        let head = [
            "request, ms",
            "2xx",
            "failed",
            "p50",
            "p90",
            "p99",
            "p99.9",
            "max",
        ];
        table(head, &rows)
    }

    fn messages_table(&self) -> String {
        let row = |one: &Messages| {
            let [p50, p99, max] = cells([one.millis.p50, one.millis.p99, one.millis.max]);
            let name = format!("{} of {}", one.channel, one.event_type);
            let counts = [
                one.due,
                one.accepted,
                one.superseded,
                one.missing,
                one.again,
            ];
            let [due, accepted, superseded, missing, again] = counts.map(|count| count.to_string());
            [
                name, due, accepted, superseded, missing, again, p50, p99, max,
            ]
        };
        let rows: Vec<_> = self.messages.iter().map(row).collect();
        let head = [
            "due to acceptance, ms",
            "due",
            "accepted",
            "superseded",
            "missing",
            "twice",
            "p50",
            "p99",
            "max",
        ];
        table(head, &rows)
    }

    fn stages_table(&self) -> String {
        let row = |one: &StageTimes| {
            let [p50, p99] = cells([one.p50, one.p99]);
            [
                one.stage.to_owned(),
                one.program.clone(),
                one.count.to_string(),
                p50,
                p99,
            ]
        };
        let rows: Vec<_> = self.stages.iter().map(row).collect();
        table(
            ["stage by its metric, ms", "program", "count", "p50", "p99"],
            &rows,
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.plan)?;
        writeln!(
            f,
            "{} bookings a second over {:.1} s",
            self.bookings_per_second, self.measured_seconds
        )?;
        if let Some(knee) = self.knee {
            writeln!(
                f,
                "the knee: {knee} bookings/s were answered in their time, the next step was not"
            )?;
        }
        write!(f, "\n{}", self.requests_table())?;
        if self.messages.is_empty() {
            writeln!(
                f,
                "\nwhen messages were accepted is not known: no sandbox told"
            )?;
        } else {
            write!(f, "\n{}", self.messages_table())?;
        }
        if !self.stages.is_empty() {
            write!(f, "\n{}", self.stages_table())?;
        }
        Ok(())
    }
}
