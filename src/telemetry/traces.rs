//! Traces to an OpenTelemetry collector, if one is configured.

use std::time::Duration;

use async_graphql::async_trait::async_trait;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use opentelemetry::{
    global,
    propagation::{Extractor, Injector},
    trace::{TraceContextExt as _, TracerProvider as _},
};
use opentelemetry_http::{Bytes, HttpClient, HttpError, hyper::HyperClient};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{SdkTracer, SdkTracerProvider},
};
use tokio::runtime::Handle;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// How long the export of a batch of spans may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// The response header that corresponds to `traceparent`: <https://w3c.github.io/trace-context/#traceresponse-header>
const RESPONSE: HeaderName = HeaderName::from_static("traceresponse");

/// Exports spans in batches to the collector at `endpoint`. The service is named by `OTEL_SERVICE_NAME` if that is set.
pub(super) fn provider(endpoint: &str) -> Result<(SdkTracerProvider, SdkTracer), ExporterBuildError> {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(OnRuntime(Handle::current(), HyperClient::with_default_connector(PATIENCE, None)))
        .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
        .build()?;
    let resource = Resource::builder().with_service_name(service_name()).build();
    let provider = SdkTracerProvider::builder().with_resource(resource).with_batch_exporter(exporter).build();
    global::set_text_map_propagator(TraceContextPropagator::new());
    let tracer = provider.tracer("coworking-analytics");
    Ok((provider, tracer))
}

#[expect(clippy::disallowed_methods, reason = "a variable of OpenTelemetry's own, which its library reads too")]
fn service_name() -> String {
    std::env::var("OTEL_SERVICE_NAME").unwrap_or_else(|_| "coworking-analytics".to_owned())
}

/// Makes a span part of the caller's trace, if the request has one.
pub fn join(span: &Span, headers: &HeaderMap) {
    let parent = global::get_text_map_propagator(|propagator| propagator.extract(&Incoming(headers)));
    if parent.span().span_context().is_valid() {
        // Fails only when spans are not exported.
        let _ = span.set_parent(parent);
    }
}

/// The id of the span's trace, for the log; `None` when spans are not exported.
#[must_use]
pub fn trace_id(span: &Span) -> Option<String> {
    let context = span.context();
    let current = context.span().span_context().clone();
    current.is_valid().then(|| current.trace_id().to_string())
}

/// Adds the trace of a request to the headers of its answer.
pub fn tell(span: &Span, headers: &mut HeaderMap) {
    let context = span.context();
    global::get_text_map_propagator(|propagator| propagator.inject_context(&context, &mut Outgoing(headers)));
}

struct Incoming<'a>(&'a HeaderMap);

impl Extractor for Incoming<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

struct Outgoing<'a>(&'a mut HeaderMap);

impl Injector for Outgoing<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let ("traceparent", Ok(value)) = (key, HeaderValue::try_from(value)) {
            self.0.insert(RESPONSE, value);
        }
    }
}

/// Sends on the runtime, since the exporter's own thread has no runtime.
#[derive(Debug)]
struct OnRuntime(Handle, HyperClient);

#[async_trait]
impl HttpClient for OnRuntime {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.1.clone();
        self.0.spawn(async move { client.send_bytes(request).await }).await?
    }
}
