use super::*;

fn reply(stage: SmtpStage) -> Effect {
    let reply = "451 4.3.0 try again later".to_owned();
    Effect::SmtpCode { reply, stage }
}

fn strike(faults: &Faults, recipient: &str) -> Option<Effect> {
    faults
        .strike(Provider::Smtp, recipient, SmtpStage::Data)
        .effect
}

#[test]
fn a_rule_is_used_up_after_its_times() {
    let faults = Faults::default();
    let rule = Rule::new(Channel::Email, reply(SmtpStage::Data)).times(2);
    faults.replace(vec![rule]).unwrap();
    let struck = (0..5)
        .filter(|_| strike(&faults, "a@b.example").is_some())
        .count();
    assert_eq!(struck, 2);
    assert_eq!(faults.rules()[0].hits, 2);
}

#[test]
fn a_rule_strikes_its_recipients_and_its_stage_alone() {
    let faults = Faults::default();
    let rule = Rule::new(Channel::Email, reply(SmtpStage::Rcpt)).recipient("slow@");
    faults.replace(vec![rule]).unwrap();
    assert_eq!(strike(&faults, "slow@b.example"), None);
    let at_rcpt = |to| faults.strike(Provider::Smtp, to, SmtpStage::Rcpt).effect;
    assert_eq!(at_rcpt("fast@b.example"), None);
    assert!(at_rcpt("slow@b.example").is_some());
    let sms = faults.strike(Provider::Twilio, "slow@b.example", SmtpStage::Rcpt);
    assert_eq!(sms.effect, None);
}

#[test]
fn a_rule_for_one_provider_leaves_the_other_of_its_channel_alone() {
    let faults = Faults::default();
    let rule = Rule::new(Channel::Sms, Effect::AcceptThenDrop).provider(Provider::Twilio);
    faults.replace(vec![rule]).unwrap();
    let struck = |provider| {
        let strike = faults.strike(provider, "+919876543210", SmtpStage::Data);
        strike.effect.is_some()
    };
    assert!(struck(Provider::Twilio));
    assert!(!struck(Provider::Msg91));
}

#[test]
fn delays_add_up_before_what_decides() {
    let faults = Faults::default();
    let delay = Rule::new(Channel::Sms, Effect::Delay { ms: 20 });
    let drop = Rule::new(Channel::Sms, Effect::AcceptThenDrop);
    faults
        .replace(vec![delay.clone(), delay, drop.clone(), drop])
        .unwrap();
    let strike = faults.strike(Provider::Twilio, "+919876543210", SmtpStage::Data);
    assert_eq!(strike.delay, Duration::from_millis(40));
    assert_eq!(strike.effect, Some(Effect::AcceptThenDrop));
    assert_eq!(faults.rules()[3].hits, 0);
}

#[test]
fn a_rate_of_a_half_strikes_about_a_half() {
    let faults = Faults::default();
    let rule = Rule::new(Channel::Email, Effect::AcceptThenDrop);
    faults.replace(vec![rule.clone().rate(0.5)]).unwrap();
    let struck = (0..4000)
        .filter(|_| strike(&faults, "a@b.example").is_some())
        .count();
    // Nine standard deviations to either side.
    assert!((1715..=2285).contains(&struck), "{struck}");
    faults.replace(vec![rule.rate(0.0)]).unwrap();
    assert_eq!(strike(&faults, "a@b.example"), None);
}

#[test]
fn a_senseless_rule_changes_nothing_and_names_its_field() {
    let faults = Faults::default();
    let good = Rule::new(Channel::Sms, Effect::AcceptThenDrop);
    faults.replace(vec![good.clone()]).unwrap();
    let status = |status| Effect::Status {
        status,
        code: 20500,
        retry_after_seconds: None,
    };
    let smtp = |reply: &str| Effect::SmtpCode {
        reply: reply.to_owned(),
        stage: SmtpStage::Data,
    };
    for (bad, field) in [
        (good.clone().rate(1.5), "rate"),
        (good.clone().rate(f64::NAN), "rate"),
        (good.clone().provider(Provider::Smtp), "provider"),
        (Rule::new(Channel::Sms, status(200)), "effect/status"),
        (Rule::new(Channel::Email, status(500)), "effect/type"),
        (Rule::new(Channel::Sms, smtp("451 later")), "effect/type"),
        (Rule::new(Channel::Email, smtp("250 OK")), "effect/reply"),
        (
            Rule::new(Channel::Email, smtp("451 a\r\n250 b")),
            "effect/reply",
        ),
    ] {
        let error = faults.replace(vec![good.clone(), bad]).unwrap_err();
        assert_eq!(error.pointer, format!("/rules/1/{field}"));
        assert_eq!(faults.rules().len(), 1);
    }
}

#[test]
fn what_was_read_can_be_put_back() {
    let json = r#"{"channel":"whatsapp","provider":"whatsapp","recipient":"+91","rate":0.5,"times":3,"effect":{"type":"status","status":429,"code":130429,"retryAfterSeconds":2},"hits":1}"#;
    let rule: Rule = serde_json::from_str(json).unwrap();
    assert_eq!(serde_json::to_string(&rule).unwrap(), json);
    let short = r#"{"channel":"sms","effect":{"type":"acceptThenDrop"}}"#;
    let rule: Rule = serde_json::from_str(short).unwrap();
    assert_eq!(rule, Rule::new(Channel::Sms, Effect::AcceptThenDrop));
}
