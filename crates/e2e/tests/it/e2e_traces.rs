//! One trace of one booking, from its request to the providers, as an OTLP receiver gets it.

use events::Channel;
use reqwest::Client;
use serde_json::Value;
use testkit::{Collector, Exported, System, eventually, sample_request};

use crate::client::{ForTests as _, told};

const CLIENT: &str = "b7ad6b7169203331";

/// Request, event, publication; and on each of three channels its record and its message.
const STEPS: usize = 3 + 3 * 2;

async fn exporting_to(collector: &Collector) -> System {
    System::builder()
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint())
        .with("OTEL_BSP_SCHEDULE_DELAY", "100")
        .start()
        .await
        .unwrap()
}

/// Books in a trace of the client's and gives the PNR.
async fn book_in(trace: &str, flags: &str, system: &System) -> String {
    let url = system.url("booking-api", "/api/v1/bookings").await.unwrap();
    let request = Client::new_for_tests().post(url).json(&sample_request());
    let request = request.header("traceparent", format!("00-{trace}-{CLIENT}-{flags}"));
    let booking: Value = request.send().await.unwrap().json().await.unwrap();
    let pnr = booking["pnrNumber"].as_str().unwrap().to_owned();
    for channel in Channel::ALL {
        told(system, channel, &pnr, 1).await;
    }
    pnr
}

async fn whole(trace: &str, collector: &Collector) -> Vec<Exported> {
    eventually("whole trace", async || {
        let spans = collector.trace(trace);
        (spans.len() == STEPS).then_some(spans)
    })
    .await
}

fn named<'a>(spans: &'a [Exported], service: &str, name: &str) -> &'a Exported {
    let found = spans
        .iter()
        .find(|span| span.service == service && span.name == name);
    found.unwrap_or_else(|| panic!("no {name} of {service} in {spans:#?}"))
}

fn print(spans: &[Exported]) {
    let start = spans.first().map_or(0, |span| span.started);
    for span in spans {
        let [after, took] = [span.started - start, span.took].map(|nanos| nanos / 1000);
        println!(
            "{after:>8} us {took:>8} us  {:?} {:18} {} ({} < {})",
            span.kind, span.service, span.name, span.span_id, span.parent_id
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_leads_from_the_request_to_three_providers() {
    let collector = Collector::start().await.unwrap();
    let system = exporting_to(&collector).await;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let pnr = book_in(trace, "01", &system).await;
    let spans = whole(trace, &collector).await;
    print(&spans);

    let request = named(&spans, "booking-api", "POST /api/v1/bookings");
    assert_eq!(request.parent_id, CLIENT);
    assert_eq!(request.attributes["http.response.status_code"], "201");
    let created = named(&spans, "booking-api", "create booking-confirmed");
    assert_eq!(created.parent_id, request.span_id);
    let published = named(&spans, "booking-api", "send booking-confirmed");
    assert_eq!(published.parent_id, created.span_id);
    let event_id = &created.attributes["messaging.message.id"];
    for (service, provider) in [
        ("email-notifier", "send smtp"),
        ("sms-notifier", "send twilio"),
        ("whatsapp-notifier", "send whatsapp_cloud_api"),
    ] {
        let taken_in = named(&spans, service, "process booking-confirmed");
        assert_eq!(taken_in.links, [created.span_id.as_str()]);
        let offset = "messaging.kafka.offset";
        assert_eq!(taken_in.attributes[offset], published.attributes[offset]);
        let group = &taken_in.attributes["messaging.consumer.group.name"];
        assert_eq!(*group, system.group_of(service));
        let sent = named(&spans, service, provider);
        for span in [taken_in, sent] {
            assert_eq!(span.parent_id, created.span_id);
            assert_eq!(span.attributes["messaging.message.id"], *event_id);
            assert!(!span.failed);
        }
    }
    let told = format!("{spans:?}");
    for private in ["user@example.com", "9876543210", "John", pnr.as_str()] {
        assert!(!told.contains(private), "{private} in {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_client_does_not_sample_is_not_exported_and_its_flag_goes_on() {
    let collector = Collector::start().await.unwrap();
    let system = exporting_to(&collector).await;
    let [unseen, seen] = [1, 2].map(|n| format!("{n:032x}"));
    let pnr = book_in(&unseen, "00", &system).await;
    let mut reader = system.broker().reader(["booking-confirmed"]).unwrap();
    let record = reader.find("booking-confirmed", &pnr).await.unwrap();
    let header = record.header("traceparent").unwrap();
    assert!(header.contains(&unseen), "{header}");
    assert!(header.ends_with("-00"), "{header}");

    // What is exported later is there.
    book_in(&seen, "01", &system).await;
    whole(&seen, &collector).await;
    assert_eq!(collector.trace(&unseen), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sdk_s_own_variables_count() {
    let collector = Collector::start().await.unwrap();
    let system = System::builder()
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint())
        .with("OTEL_BSP_SCHEDULE_DELAY", "100")
        .with("OTEL_SERVICE_NAME", "reservations")
        .with(
            "OTEL_RESOURCE_ATTRIBUTES",
            "cloud.region=west,service.name=x",
        )
        .with("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Basic%20abc")
        .with("OTEL_TRACES_SAMPLER", "traceidratio")
        .with("OTEL_TRACES_SAMPLER_ARG", "0.5")
        .start()
        .await
        .unwrap();
    // The ratio goes by the number that the second half of a trace's id is.
    let [unseen, seen] = [u128::MAX, 1].map(|id| format!("{id:032x}"));
    for trace in [&unseen, &seen] {
        book_in(trace, "01", &system).await;
    }
    for span in whole(&seen, &collector).await {
        assert_eq!(span.service, "reservations");
        assert_eq!(span.resource["cloud.region"], "west");
        assert_eq!(span.resource["service.namespace"], "harkara");
        assert_eq!(span.authorization, "Basic abc");
    }
    assert_eq!(collector.trace(&unseen), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_away_holds_up_nothing() {
    let mut system = System::builder()
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
        .with("OTEL_BSP_SCHEDULE_DELAY", "100")
        .start()
        .await
        .unwrap();
    book_in(&format!("{:032x}", 1), "01", &system).await;
    for name in System::PROGRAMS {
        let program = system.take_program(name).unwrap();
        assert!(program.terminate().await.unwrap().success(), "{name}");
    }
}
