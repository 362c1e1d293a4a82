//! Two providers behind one channel.

use delivery::{Channel, FailureClass, Scope};
use sandbox::{Effect, Filter, Provider, Rule};
use testkit::StandIn;

use super::{PATIENCE, TEXT, channel_with, send_by};

fn channel(stand_in: &StandIn) -> impl Channel + use<> {
    let settings = [
        format!("--sms-base-url={}", stand_in.twilio_url()),
        "--sms-failover=msg91".to_owned(),
        format!("--sms-failover-base-url={}", stand_in.msg91_url()),
    ];
    channel_with(&settings, PATIENCE)
}

#[tokio::test]
async fn each_delivery_goes_to_the_provider_it_names() {
    let stand_in = StandIn::start(None).await.unwrap();
    let channel = channel(&stand_in);
    assert_eq!(channel.providers(), ["twilio", "msg91"]);
    for (name, provider) in [("twilio", Provider::Twilio), ("msg91", Provider::Msg91)] {
        let receipt = send_by(&channel, name).await.unwrap();
        let filter = Filter {
            provider: Some(provider),
            ..Filter::default()
        };
        let messages = stand_in.ledger().messages(&filter);
        let [message] = messages.as_slice() else {
            panic!("{} messages by {name}", messages.len())
        };
        assert_eq!(message.text, TEXT);
        assert_eq!(message.provider_message_id, receipt.provider_message_id);
    }
}

#[tokio::test]
async fn msg91_works_while_twilio_does_not() {
    let stand_in = StandIn::start(None).await.unwrap();
    let channel = channel(&stand_in);
    let outage = Effect::Status {
        status: 503,
        code: 20503,
        retry_after_seconds: None,
    };
    let rule = Rule::new(events::Channel::Sms, outage).provider(Provider::Twilio);
    stand_in.faults().replace(vec![rule]).unwrap();
    let error = send_by(&channel, "twilio").await.unwrap_err();
    assert_eq!(error.class, FailureClass::Transient(Scope::Account));
    send_by(&channel, "msg91").await.unwrap();
}
