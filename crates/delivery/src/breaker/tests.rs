mod probing;
mod promises;

use super::*;

const FAILED: Answer<'_> = Answer::Failed("connection refused");
const REFUSED: Answer<'_> = Answer::Misconfigured("the token has expired");

const SETTINGS: BreakerSettings = BreakerSettings {
    failures: 10,
    open: seconds(5),
    concurrency: 8,
};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn opened(period: u64, why: &str) -> Change {
    Change::Opened {
        period: seconds(period),
        why: why.to_owned(),
    }
}

/// A circuit and the time.
struct Scene {
    breaker: Breaker,
    start: Instant,
    now: Instant,
}

impl Scene {
    fn closed() -> Self {
        Self::of(SETTINGS)
    }

    fn of(settings: BreakerSettings) -> Self {
        let now = Instant::now();
        Self {
            breaker: Breaker::new(settings),
            start: now,
            now,
        }
    }

    fn open() -> Self {
        let mut scene = Self::closed();
        scene.records(10, FAILED);
        assert_eq!(scene.breaker.state(), BreakerState::Open);
        scene
    }

    /// The probe is out, five seconds after the start.
    fn half_open() -> Self {
        let mut scene = Self::open();
        scene.pass(5);
        assert_eq!(scene.breaker.probing(scene.now), Some(Change::HalfOpened));
        scene
    }

    fn ramp() -> Self {
        let mut scene = Self::half_open();
        assert_eq!(scene.record(Answer::Healthy), Some(Change::Ramping));
        scene
    }

    fn pass(&mut self, time: u64) {
        self.now += seconds(time);
    }

    fn record(&mut self, answer: Answer<'_>) -> Option<Change> {
        self.breaker.record(self.now, answer)
    }

    /// The last change of so many equal answers.
    fn records(&mut self, times: usize, answer: Answer<'_>) -> Option<Change> {
        (0..times).filter_map(|_| self.record(answer)).last()
    }

    fn probes(&mut self, answer: Answer<'_>) -> Option<Change> {
        assert_eq!(self.allowance(0), Allowance::Probe);
        assert_eq!(self.breaker.probing(self.now), Some(Change::HalfOpened));
        self.record(answer)
    }

    fn allowance(&self, in_flight: usize) -> Allowance {
        self.breaker.allowance(self.now, in_flight)
    }

    fn describe(&self) -> Option<String> {
        self.breaker.describe(self.now)
    }
}

#[test]
fn closed_lets_the_whole_concurrency_through() {
    let scene = Scene::closed();
    assert_eq!(scene.allowance(0), Allowance::Sends(8));
    assert_eq!(scene.allowance(7), Allowance::Sends(1));
    assert_eq!(scene.allowance(8), Allowance::Full);
    assert_eq!(scene.allowance(9), Allowance::Full);
    assert!(scene.breaker.spends_attempts());
    assert_eq!(scene.describe(), None);
}

#[test]
fn ten_failures_in_a_row_open_it() {
    let mut scene = Scene::closed();
    assert_eq!(scene.records(9, FAILED), None);
    assert!(scene.breaker.spends_attempts());
    assert_eq!(
        scene.record(FAILED),
        Some(opened(5, "10 failures in a row: connection refused"))
    );
    assert_eq!(
        scene.allowance(0),
        Allowance::Wait(scene.start + seconds(5))
    );
    assert!(!scene.breaker.spends_attempts());
}

#[test]
fn failures_in_a_row_may_be_far_apart() {
    let mut scene = Scene::closed();
    for _ in 0..9 {
        assert_eq!(scene.record(FAILED), None);
        scene.pass(3600);
    }
    assert!(scene.record(FAILED).is_some());
}

#[test]
fn a_healthy_answer_ends_the_row() {
    let mut scene = Scene::closed();
    scene.records(9, FAILED);
    scene.record(Answer::Healthy);
    assert_eq!(scene.records(9, FAILED), None);
}

#[test]
fn a_neutral_answer_neither_ends_the_row_nor_adds_to_it() {
    let mut scene = Scene::closed();
    scene.records(9, FAILED);
    assert_eq!(scene.records(30, Answer::Neutral), None);
    assert!(scene.record(FAILED).is_some());
}

#[test]
fn half_of_twenty_answers_open_it() {
    let mut scene = Scene::closed();
    for _ in 0..9 {
        scene.record(Answer::Healthy);
        assert_eq!(scene.record(FAILED), None);
    }
    scene.record(Answer::Healthy);
    assert_eq!(
        scene.record(FAILED),
        Some(opened(5, "10 of 20 answers failed: connection refused"))
    );
}

#[test]
fn less_than_half_of_the_answers_never_open_it() {
    let mut scene = Scene::closed();
    for _ in 0..100 {
        scene.record(Answer::Healthy);
        scene.record(Answer::Healthy);
        scene.record(Answer::Healthy);
        assert_eq!(scene.records(2, FAILED), None);
    }
}

#[test]
fn answers_older_than_ten_seconds_have_no_part_in_the_ratio() {
    let mut scene = Scene::closed();
    scene.records(100, Answer::Healthy);
    scene.pass(10);
    for _ in 0..9 {
        scene.record(Answer::Healthy);
        assert_eq!(scene.record(FAILED), None);
    }
    scene.record(Answer::Healthy);
    assert!(scene.record(FAILED).is_some());
}

#[test]
fn answers_of_the_last_nine_seconds_have_their_part_in_the_ratio() {
    let mut scene = Scene::closed();
    scene.records(100, Answer::Healthy);
    scene.pass(9);
    for _ in 0..20 {
        scene.record(Answer::Healthy);
        assert_eq!(scene.record(FAILED), None);
    }
}

#[test]
fn a_refused_account_opens_it_at_once() {
    let mut scene = Scene::closed();
    assert_eq!(
        scene.record(REFUSED),
        Some(opened(5, "our account was refused: the token has expired"))
    );
}

#[test]
fn a_new_circuit_counts_from_zero_after_an_outage() {
    let mut scene = Scene::ramp();
    assert_eq!(scene.records(6, Answer::Healthy), Some(Change::Closed));
    assert_eq!(scene.records(9, FAILED), None);
}

#[test]
fn an_operator_reads_what_is_the_matter() {
    let mut scene = Scene::open();
    let after = "after 10 failures in a row: connection refused";
    let reads = |scene: &Scene, state: &str| {
        assert_eq!(scene.describe(), Some(format!("{state} {after}")));
    };
    reads(&scene, "open for 5 s more");
    scene.now += Duration::from_millis(4001);
    reads(&scene, "open for 1 s more");
    scene.pass(1);
    reads(&scene, "open until a message probes it");
    scene.breaker.probing(scene.now);
    reads(&scene, "half-open, with a probe on its way");
    scene.record(Answer::Healthy);
    reads(&scene, "half-open, with 2 of 8 sends at once");
}

#[test]
fn the_metric_knows_three_states() {
    let gauge = |scene: Scene| scene.breaker.state().gauge();
    assert_eq!(gauge(Scene::closed()), 0);
    assert_eq!(gauge(Scene::half_open()), 1);
    assert_eq!(gauge(Scene::ramp()), 1);
    assert_eq!(gauge(Scene::open()), 2);
}

#[test]
fn a_late_message_can_tell_how_much_of_its_wait_was_outage() {
    let mut scene = Scene::closed();
    let mut moments = Vec::new();
    for _ in 0..2 {
        scene.pass(100);
        moments.push(scene.now);
        scene.record(REFUSED);
        scene.pass(5);
        scene.probes(Answer::Healthy);
        scene.records(6, Answer::Healthy);
    }
    scene.pass(100);
    scene.record(REFUSED);
    scene.pass(1);
    moments.push(scene.now);
    scene.pass(2);
    let since = |since| scene.breaker.outage_since(scene.now, since);
    assert_eq!(since(scene.start), seconds(5 + 5 + 3));
    assert_eq!(since(moments[0] + seconds(4)), seconds(1 + 5 + 3));
    assert_eq!(since(moments[1] + seconds(5)), seconds(3));
    assert_eq!(since(moments[2]), seconds(2));
    assert_eq!(since(scene.now), Duration::ZERO);
}

#[test]
fn every_outcome_has_its_answer() {
    let receipt = Receipt {
        provider_message_id: "m1".to_owned(),
    };
    assert_eq!(Answer::of(&Ok(receipt)), Answer::Healthy);
    let after = seconds(1);
    let limited = |scope| FailureClass::RateLimited { after, scope };
    for (class, answer) in [
        (FailureClass::Permanent, Answer::Healthy),
        (FailureClass::Transient(Scope::Recipient), Answer::Healthy),
        (FailureClass::Transient(Scope::Account), Answer::Failed("p")),
        (FailureClass::Ambiguous, Answer::Failed("p")),
        (
            FailureClass::Misconfigured(Scope::Recipient),
            Answer::Healthy,
        ),
        (
            FailureClass::Misconfigured(Scope::Account),
            Answer::Misconfigured("p"),
        ),
        (limited(Scope::Account), Answer::Neutral),
        (limited(Scope::Recipient), Answer::Answered),
    ] {
        let outcome = Err(SendError {
            class,
            status: None,
            problem: "p".to_owned(),
        });
        assert_eq!(Answer::of(&outcome), answer);
    }
}
