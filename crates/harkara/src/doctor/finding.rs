//! What was found.

use std::process::ExitCode;

use chassis::Failure;
use serde::Serialize;

use crate::dlq::table::table;

/// How it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// As it should be.
    Ok,
    /// Worth knowing; nothing is wrong with it, or it could not be looked at.
    Note,
    /// The system does not do its work, or will not keep its promises.
    Wrong,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    check: &'static str,
    subject: String,
    state: State,
    found: String,
    mend: Option<String>,
}

/// Everything that was looked at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    findings: Vec<Finding>,
}

/// A report as scripts read it.
#[derive(Serialize)]
struct Told<'r> {
    ok: bool,
    findings: &'r [Finding],
}

/// What is looked at, while it is.
pub(crate) struct Entry<'r> {
    report: &'r mut Report,
    check: &'static str,
    subject: String,
}

impl Report {
    pub(crate) fn of(&mut self, check: &'static str, subject: impl Into<String>) -> Entry<'_> {
        Entry {
            report: self,
            check,
            subject: subject.into(),
        }
    }

    fn is_well(&self) -> bool {
        let mut findings = self.findings.iter();
        findings.all(|finding| finding.state != State::Wrong)
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        if self.is_well() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }

    /// For people: a table, and below it what to do.
    pub(crate) fn text(&self) -> String {
        let rows: Vec<_> = self.findings.iter().map(Finding::row).collect();
        let table = table(["CHECK", "OF", "STATE", "FOUND"], &rows);
        let mend = self.findings.iter().filter_map(|finding| {
            let Finding { check, subject, .. } = finding;
            let mend = finding.mend.as_deref()?;
            Some(format!("{check} {subject}: {mend}\n"))
        });
        let mend: String = mend.collect();
        let verdict = match (self.is_well(), mend.is_empty()) {
            (true, _) => "\nAll is well.\n".to_owned(),
            (false, true) => String::new(),
            (false, false) => "\nTo mend it:\n".to_owned(),
        };
        table + &verdict + &mend
    }

    /// For scripts: `{"ok":…,"findings":[{"check","subject","state","found","mend"},…]}`.
    pub(crate) fn json(&self) -> Result<String, Failure> {
        let told = Told {
            ok: self.is_well(),
            findings: &self.findings,
        };
        let text = serde_json::to_string(&told);
        Ok(text.map_err(Failure::broken("could not write the report"))? + "\n")
    }
}

impl Entry<'_> {
    pub(crate) fn ok(self, found: impl Into<String>) {
        self.note_down(State::Ok, found.into(), None);
    }

    pub(crate) fn note(self, found: impl Into<String>) {
        self.note_down(State::Note, found.into(), None);
    }

    pub(crate) fn wrong(self, found: impl Into<String>, mend: impl Into<String>) {
        self.note_down(State::Wrong, found.into(), Some(mend.into()));
    }

    fn note_down(self, state: State, found: String, mend: Option<String>) {
        self.report.findings.push(Finding {
            check: self.check,
            subject: self.subject,
            state,
            found,
            mend,
        });
    }
}

impl Finding {
    fn row(&self) -> [String; 4] {
        let state = match self.state {
            State::Ok => "ok",
            State::Note => "note",
            State::Wrong => "WRONG",
        };
        [
            self.check.to_owned(),
            self.subject.clone(),
            state.to_owned(),
            self.found.clone(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_said_with_how_to_mend_it() {
        let mut report = Report::default();
        report.of("broker", "a:1").ok("1 broker");
        report.of("topic", "b").note("differs");
        assert!(report.is_well());
        assert!(report.text().ends_with("\nAll is well.\n"));
        report.of("topic", "c").wrong("missing", "make it");
        assert!(!report.is_well());
        let text = report.text();
        assert!(text.contains("topic   c    WRONG  missing\n"), "{text}");
        assert!(
            text.ends_with("\nTo mend it:\ntopic c: make it\n"),
            "{text}"
        );
        let json = report.json().unwrap();
        assert!(json.starts_with("{\"ok\":false,\"findings\":[{"), "{json}");
    }
}
