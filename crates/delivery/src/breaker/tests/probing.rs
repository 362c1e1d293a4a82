//! From open to closed again: the wait, the probe, the ramp.

use super::*;

#[test]
fn nothing_is_sent_until_the_period_is_over() {
    let mut scene = Scene::open();
    scene.now += Duration::from_millis(4999);
    let until = scene.start + seconds(5);
    assert_eq!(scene.allowance(0), Allowance::Wait(until));
    assert_eq!(scene.breaker.probing(scene.now), None);
    assert_eq!(scene.breaker.state(), BreakerState::Open);
    scene.now = until;
    assert_eq!(scene.allowance(0), Allowance::Probe);
}

#[test]
fn late_answers_neither_close_nor_prolong_nor_reword_it() {
    let mut scene = Scene::open();
    let described = scene.describe();
    for answer in [Answer::Healthy, FAILED, REFUSED, Answer::Neutral] {
        assert_eq!(scene.records(20, answer), None);
    }
    assert_eq!(scene.describe(), described);
    scene.pass(5);
    assert_eq!(scene.records(20, FAILED), None);
    assert_eq!(scene.allowance(0), Allowance::Probe);
    assert_eq!(scene.records(20, Answer::Healthy), None);
    assert_eq!(scene.breaker.state(), BreakerState::Open);
}

#[test]
fn the_probe_waits_for_sends_begun_before() {
    let mut scene = Scene::open();
    scene.pass(5);
    assert_eq!(scene.allowance(1), Allowance::Full);
    assert_eq!(scene.allowance(0), Allowance::Probe);
}

#[test]
fn without_a_message_it_stays_ready_to_probe() {
    let mut scene = Scene::open();
    scene.pass(3600);
    assert_eq!(scene.allowance(0), Allowance::Probe);
    assert_eq!(scene.allowance(0), Allowance::Probe);
    assert_eq!(scene.breaker.state(), BreakerState::Open);
}

#[test]
fn one_probe_is_sent_at_a_time() {
    let mut scene = Scene::half_open();
    assert_eq!(scene.allowance(1), Allowance::Full);
    assert_eq!(scene.breaker.probing(scene.now), None);
    assert_eq!(scene.breaker.state(), BreakerState::HalfOpen);
    assert!(!scene.breaker.spends_attempts());
}

#[test]
fn a_lost_probe_is_sent_again() {
    let scene = Scene::half_open();
    assert_eq!(scene.allowance(0), Allowance::Probe);
}

#[test]
fn probing_is_heard_by_no_closed_or_ramping_circuit() {
    for mut scene in [Scene::closed(), Scene::ramp()] {
        let state = scene.breaker.state();
        assert_eq!(scene.breaker.probing(scene.now), None);
        assert_eq!(scene.breaker.state(), state);
    }
}

#[test]
fn failed_probes_double_the_period_up_to_a_minute() {
    let mut scene = Scene::half_open();
    let why = "a failed probe: connection refused";
    assert_eq!(scene.record(FAILED), Some(opened(10, why)));
    for (waited, next) in [(10, 20), (20, 40), (40, 60), (60, 60)] {
        scene.pass(waited - 1);
        let until = scene.now + seconds(1);
        assert_eq!(scene.allowance(0), Allowance::Wait(until));
        scene.pass(1);
        assert_eq!(scene.probes(FAILED), Some(opened(next, why)));
    }
}

#[test]
fn a_first_period_beyond_a_minute_stays_as_it_is() {
    let open = seconds(90);
    let mut scene = Scene::of(BreakerSettings { open, ..SETTINGS });
    scene.record(REFUSED);
    scene.pass(90);
    let why = "a failed probe: connection refused";
    assert_eq!(scene.probes(FAILED), Some(opened(90, why)));
}

#[test]
fn a_first_period_without_end_is_a_day() {
    let open = Duration::MAX;
    let mut scene = Scene::of(BreakerSettings { open, ..SETTINGS });
    scene.record(REFUSED);
    let until = scene.start + Duration::from_hours(24);
    assert_eq!(scene.allowance(0), Allowance::Wait(until));
}

#[test]
fn a_probe_refused_for_our_account_is_a_failed_one() {
    let mut scene = Scene::half_open();
    let why = "a failed probe: the token has expired";
    assert_eq!(scene.record(REFUSED), Some(opened(10, why)));
}

#[test]
fn a_rate_limited_probe_waits_the_same_period_again() {
    let mut scene = Scene::half_open();
    assert_eq!(
        scene.record(Answer::Neutral),
        Some(opened(5, "a probe that told nothing"))
    );
}

#[test]
fn the_ramp_doubles_each_round_trip() {
    let mut scene = Scene::ramp();
    assert_eq!(scene.breaker.state(), BreakerState::HalfOpen);
    assert!(scene.breaker.spends_attempts());
    for allowed in [2, 4] {
        assert_eq!(scene.allowance(0), Allowance::Sends(allowed));
        assert_eq!(scene.allowance(allowed - 1), Allowance::Sends(1));
        assert_eq!(scene.allowance(allowed), Allowance::Full);
        let changed = scene.records(allowed, Answer::Healthy);
        assert_eq!(changed, (allowed == 4).then_some(Change::Closed));
    }
    assert_eq!(scene.allowance(0), Allowance::Sends(8));
    assert!(scene.breaker.spends_attempts());
}

#[test]
fn the_ramp_overlooks_neutral_answers() {
    let mut scene = Scene::ramp();
    assert_eq!(scene.records(20, Answer::Neutral), None);
    assert_eq!(scene.allowance(0), Allowance::Sends(2));
}

#[test]
fn failures_in_a_row_in_the_ramp_open_it_for_half_the_period() {
    let mut scene = Scene::half_open();
    for (waited, opens) in [(0, 10), (10, 20)] {
        scene.pass(waited);
        if waited > 0 {
            scene.breaker.probing(scene.now);
        }
        let why = "a failed probe: connection refused";
        assert_eq!(scene.record(FAILED), Some(opened(opens, why)));
    }
    let why = "10 failures in a row after the probe: connection refused";
    for (waited, opens) in [(20, 10), (10, 5), (5, 5)] {
        scene.pass(waited);
        scene.probes(Answer::Healthy);
        scene.record(Answer::Healthy);
        assert_eq!(scene.records(9, FAILED), None);
        assert_eq!(scene.record(FAILED), Some(opened(opens, why)));
    }
}

#[test]
fn a_failure_right_after_the_probe_opens_it_for_the_same_period() {
    let mut scene = Scene::half_open();
    scene.record(FAILED);
    scene.pass(10);
    scene.probes(Answer::Healthy);
    let why = "a failure after the probe: connection refused";
    assert_eq!(scene.record(FAILED), Some(opened(10, why)));
}

#[test]
fn a_limit_of_the_recipient_answers_a_probe_and_says_nothing_otherwise() {
    let mut scene = Scene::half_open();
    assert_eq!(scene.record(Answer::Answered), Some(Change::Ramping));
    assert_eq!(scene.records(20, Answer::Answered), None);
    assert_eq!(scene.allowance(0), Allowance::Sends(2));
    let mut scene = Scene::closed();
    assert_eq!(scene.records(9, FAILED), None);
    assert_eq!(scene.record(Answer::Answered), None);
    let why = "10 failures in a row: connection refused";
    assert_eq!(scene.record(FAILED), Some(opened(5, why)));
}

#[test]
fn an_account_refused_in_the_ramp_opens_it_at_once() {
    let mut scene = Scene::ramp();
    let why = "our account was refused after the probe: the token has expired";
    assert_eq!(scene.record(REFUSED), Some(opened(5, why)));
}

#[test]
fn a_provider_that_fails_one_in_five_ends_its_ramp() {
    let concurrency = 64;
    let mut scene = Scene::of(BreakerSettings {
        concurrency,
        ..SETTINGS
    });
    scene.records(10, FAILED);
    scene.pass(5);
    scene.probes(Answer::Healthy);
    let round = |scene: &mut Scene| {
        let changed = scene.records(4, Answer::Healthy);
        scene.record(FAILED);
        changed
    };
    let ended = (0..16).find_map(|_| round(&mut scene));
    assert_eq!(ended, Some(Change::Closed));
}

#[test]
fn the_first_period_is_back_after_a_close() {
    let mut scene = Scene::half_open();
    scene.record(FAILED);
    scene.pass(10);
    scene.probes(Answer::Healthy);
    assert_eq!(scene.records(6, Answer::Healthy), Some(Change::Closed));
    let why = "our account was refused: the token has expired";
    assert_eq!(scene.record(REFUSED), Some(opened(5, why)));
}

#[test]
fn a_provider_asked_one_by_one_needs_no_ramp() {
    let concurrency = 1;
    let mut scene = Scene::of(BreakerSettings {
        concurrency,
        ..SETTINGS
    });
    scene.record(REFUSED);
    scene.pass(5);
    assert_eq!(scene.probes(Answer::Healthy), Some(Change::Closed));
}

#[test]
fn an_outage_of_ten_minutes_is_probed_twelve_times() {
    let mut scene = Scene::open();
    let back = scene.start + Duration::from_mins(10);
    let mut probes = 0;
    while scene.now < back {
        if let Allowance::Wait(until) = scene.allowance(0) {
            scene.now = until;
            continue;
        }
        scene.probes(FAILED);
        probes += 1;
    }
    // After 5, 15, 35 and 75 s, then each minute from 135 s to 555 s.
    assert_eq!(probes, 12);
    assert_eq!(scene.probes(Answer::Healthy), Some(Change::Ramping));
    assert_eq!(scene.now, scene.start + seconds(615));
}
