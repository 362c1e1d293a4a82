//! Traces: the steps of one event's way through the programs, exported by OTLP where an endpoint is set.
//!
//! Steps are begun by hand where they belong, not taken from `tracing`'s spans: what follows an event goes on in other tasks and processes, from a header, long after the code that wrote it has returned.

mod parent;

use std::sync::OnceLock;
use std::time::Duration;

use opentelemetry::trace::{
    Link, Span as _, SpanBuilder, SpanContext, Status, TraceContextExt as _, Tracer as _,
    TracerProvider as _,
};
use opentelemetry::{Context, Key, Value};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::{ResourceDetector as _, SdkProvidedResourceDetector};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tracing::warn;
use url::Url;

pub use opentelemetry::KeyValue;
pub use opentelemetry::trace::SpanKind;
pub use parent::{InvalidTraceParent, TraceParent};

use crate::Failure;

/// How long the last steps may take to be exported when the process ends.
const LAST_EXPORT: Duration = Duration::from_secs(2);

/// Of the whole process, as its logs are.
static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// Exports until it is dropped, then what is left.
pub(crate) struct Exporting(SdkTracerProvider);

/// Starts exporting to an OTLP receiver: HTTP with protobuf, in batches, from a thread of its own. A receiver that is away costs the steps, never the work.
///
/// The SDK's own variables work as its specification has them: `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES` (but `service.namespace` and `service.version`), `OTEL_TRACES_SAMPLER` and its `_ARG`, `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_BSP_*`.
pub(crate) fn start(endpoint: &Url) -> Result<Exporting, Failure> {
    let mut address = endpoint.clone();
    if let Ok(mut path) = address.path_segments_mut() {
        path.pop_if_empty().extend(["v1", "traces"]);
    }
    let exporter = SpanExporter::builder().with_http();
    let exporter = exporter.with_endpoint(address).build();
    let exporter = exporter.map_err(Failure::broken("could not set up the export of traces"))?;
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource())
        .build();
    TRACER.get_or_init(|| provider.tracer("harkara"));
    Ok(Exporting(provider))
}

/// Who exports: the program's name, unless `OTEL_SERVICE_NAME` or else `service.name` of `OTEL_RESOURCE_ATTRIBUTES` gives another.
fn resource() -> Resource {
    let set = SdkProvidedResourceDetector
        .detect()
        .get(&Key::from("service.name"));
    // What the SDK says where neither does.
    let set = set.filter(|name| !name.as_str().starts_with("unknown_service"));
    let program = std::env::current_exe().ok();
    let program = program
        .as_deref()
        .and_then(|path| path.file_name()?.to_str());
    let program = program.map(|name| Value::from(name.to_owned()));
    let described = Resource::builder()
        .with_attribute(KeyValue::new("service.namespace", "harkara"))
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    match set.or(program) {
        Some(name) => described.with_service_name(name).build(),
        None => described.build(),
    }
}

impl Drop for Exporting {
    fn drop(&mut self) {
        if let Err(error) = self.0.shutdown_with_timeout(LAST_EXPORT) {
            warn!(error = %error, "the last steps of traces may not have been exported");
        }
    }
}

/// A step of a trace. It ends, and is exported, when it is dropped; without an endpoint it costs nothing.
#[derive(Debug)]
pub struct Span(Option<opentelemetry_sdk::trace::Span>);

impl Span {
    /// A step whose context goes on: in a trace of its own, if there is no parent. The context is told whether anything is exported or not.
    pub fn begin(
        kind: SpanKind,
        (action, target): (&str, &str),
        parent: Option<TraceParent>,
    ) -> (Self, TraceParent) {
        let Some(tracer) = TRACER.get() else {
            let context = parent.map_or_else(TraceParent::start, TraceParent::child);
            return (Self(None), context);
        };
        let parent = parent.map(SpanContext::from);
        let span = build(tracer, kind, (action, target), parent);
        let context = TraceParent::from(span.span_context());
        (Self(Some(span)), context)
    }

    /// A step that comes of an event; none, if its `header` says nothing of a trace.
    pub fn following(kind: SpanKind, (action, target): (&str, &str), header: Option<&str>) -> Self {
        let following = || {
            let tracer = TRACER.get()?;
            let parent: TraceParent = header?.parse().ok()?;
            Some(build(tracer, kind, (action, target), Some(parent.into())))
        };
        Self(following())
    }

    /// Which message it is about, and what is done with it: `create`, `send` or `process`, which name both the operation and its type.
    pub fn describe_message(&mut self, operation: &'static str, topic: &str, event_id: &str) {
        self.describe(|| {
            [
                KeyValue::new("messaging.system", "kafka"),
                KeyValue::new("messaging.operation.name", operation),
                KeyValue::new("messaging.operation.type", operation),
                KeyValue::new("messaging.destination.name", topic.to_owned()),
                KeyValue::new("messaging.message.id", event_id.to_owned()),
            ]
        });
    }

    /// Where in its topic the message is.
    pub fn describe_place(&mut self, partition: i32, offset: i64) {
        self.describe(|| {
            [
                KeyValue::new("messaging.destination.partition.id", partition.to_string()),
                KeyValue::new("messaging.kafka.offset", offset),
            ]
        });
    }

    /// Says more of it, by the names of OpenTelemetry's semantic conventions (1.44). No attribute names a person, an address or a PNR.
    pub fn describe<const N: usize>(&mut self, attributes: impl FnOnce() -> [KeyValue; N]) {
        if let Some(span) = &mut self.0 {
            span.set_attributes(attributes());
        }
    }

    /// It failed: `error.type`, of which there are few.
    pub fn fail(&mut self, error_type: impl Into<Value>) {
        if let Some(span) = &mut self.0 {
            span.set_attribute(KeyValue::new("error.type", error_type));
            span.set_status(Status::error(""));
        }
    }
}

fn build(
    tracer: &SdkTracer,
    kind: SpanKind,
    (action, target): (&str, &str),
    parent: Option<SpanContext>,
) -> opentelemetry_sdk::trace::Span {
    let mut builder = SpanBuilder::from_name(format!("{action} {target}")).with_kind(kind);
    let mut context = Context::new();
    if let Some(parent) = parent {
        // The conventions want a link to a message's producer, and let it be the parent besides.
        if builder.span_kind == Some(SpanKind::Consumer) {
            builder = builder.with_links(vec![Link::with_context(parent.clone())]);
        }
        context = context.with_remote_span_context(parent);
    }
    tracer.build_with_context(builder, &context)
}
