//! Whatever happens in whatever order, a circuit keeps its promises.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    Pass(Duration),
    Begin(usize),
    Answered(Answer<'static>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let answer = prop_oneof![
        6 => Just(FAILED),
        4 => Just(Answer::Healthy),
        1 => Just(REFUSED),
        1 => Just(Answer::Neutral),
    ];
    let step = prop_oneof![
        1 => (0_u64..20_000).prop_map(|millis| Step::Pass(Duration::from_millis(millis))),
        2 => (1_usize..5).prop_map(Step::Begin),
        4 => answer.prop_map(Step::Answered),
    ];
    prop::collection::vec(step, 0..300)
}

/// A loop of sends around a circuit, which checks its promises.
struct Sender {
    scene: Scene,
    in_flight: usize,
    /// As the change that opened it said.
    open_until: Option<Instant>,
    probed: Option<Instant>,
}

impl Sender {
    fn obey(&mut self, step: Step) {
        match step {
            Step::Pass(time) => self.scene.now += time,
            Step::Begin(wanted) => self.begin(wanted),
            Step::Answered(answer) if self.in_flight > 0 => self.answered(answer),
            Step::Answered(_) => {}
        }
        assert!(self.in_flight <= SETTINGS.concurrency);
    }

    fn begin(&mut self, wanted: usize) {
        let allowance = self.scene.allowance(self.in_flight);
        if let Some(until) = self.open_until.filter(|until| self.scene.now < *until) {
            assert_eq!(allowance, Allowance::Wait(until));
        }
        match allowance {
            Allowance::Sends(most) => self.in_flight += most.min(wanted),
            Allowance::Probe => self.probe(),
            Allowance::Full => assert!(self.in_flight > 0),
            Allowance::Wait(until) => assert_eq!(self.open_until, Some(until)),
        }
    }

    fn probe(&mut self) {
        assert_eq!(self.in_flight, 0);
        let now = self.scene.now;
        let last = self.probed.replace(now);
        assert!(last.is_none_or(|last| last + SETTINGS.open <= now));
        assert_eq!(self.scene.breaker.probing(now), Some(Change::HalfOpened));
        self.in_flight = 1;
    }

    fn answered(&mut self, answer: Answer<'_>) {
        self.in_flight -= 1;
        if let Some(Change::Opened { period, .. }) = self.scene.record(answer) {
            assert!((SETTINGS.open..=LONGEST_PERIOD).contains(&period));
            self.open_until = Some(self.scene.now + period);
        }
    }
}

proptest! {
    #[test]
    fn no_sequence_breaks_its_promises(steps in steps()) {
        let mut sender = Sender {
            scene: Scene::closed(),
            in_flight: 0,
            open_until: None,
            probed: None,
        };
        for step in steps {
            sender.obey(step);
        }
        // Answers to what is in flight, a probe, and seven of the ramp.
        for _ in 0..sender.in_flight + 8 {
            sender.obey(Step::Pass(LONGEST_PERIOD));
            sender.obey(Step::Begin(1));
            sender.obey(Step::Answered(Answer::Healthy));
        }
        prop_assert_eq!(sender.scene.breaker.state(), BreakerState::Closed);
    }
}
