//! Logs, as fixed sentences with structured fields on standard error, and traces, to a collector if one is configured.

pub mod traces;

use std::{
    io::{IsTerminal as _, stderr},
    panic,
};

use opentelemetry_otlp::ExporterBuildError;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Level, Metadata, error};
use tracing_subscriber::{
    EnvFilter, Layer as _, filter::filter_fn, fmt, layer::SubscriberExt as _, registry, util::SubscriberInitExt as _,
};

use crate::config::{
    log::{LogConfig, LogFormat},
    observability::ObservabilityConfig,
};

/// Libraries that log every step.
const QUIET: &str = "sqlx=warn,opentelemetry=warn,hyper_util=warn";

/// The target of spans that only add fields to log lines. They are not part of a trace.
pub const UNTRACED: &str = "coworking_analytics::line";

/// Logging and the export of traces.
#[derive(Debug)]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Starts logging and tracing. Must be called only once, on the runtime that exports the traces.
    ///
    /// # Errors
    /// When the exporter cannot be created.
    pub fn init(log: &LogConfig, observability: &ObservabilityConfig) -> Result<Self, ExporterBuildError> {
        // Later directives win, so `LOG_LEVEL` can still raise the level of these libraries.
        let filter = EnvFilter::builder().parse_lossy(format!("{QUIET},{}", log.level));
        let lines = fmt::layer().with_writer(stderr).with_ansi(stderr().is_terminal());
        let lines = match log.format {
            LogFormat::Text => lines.with_target(false).boxed(),
            LogFormat::Auto if stderr().is_terminal() => lines.with_target(false).boxed(),
            LogFormat::Auto | LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).boxed(),
            LogFormat::Plain => lines.with_target(false).without_time().with_level(false).boxed(),
        };
        let exported = observability.otlp_endpoint.as_deref().map(traces::provider).transpose()?;
        let (provider, tracer) = exported.unzip();
        let spans =
            tracer.map(|tracer| tracing_opentelemetry::layer().with_tracer(tracer).with_filter(filter_fn(is_traced)));
        registry().with(lines.with_filter(filter)).with(spans).init();
        panic::set_hook(Box::new(|panic| {
            let location = panic.location().map(ToString::to_string);
            error!(location, cause = panic.payload_as_str(), "panic: a bug, please report it with this line");
        }));
        Ok(Self { provider })
    }

    /// Exports the spans that were not exported yet.
    pub fn shut_down(self) {
        if let Some(provider) = self.provider {
            let _ = provider.shutdown();
        }
    }
}

/// Spans of this crate, from requests down to statements.
fn is_traced(metadata: &Metadata<'_>) -> bool {
    metadata.is_span()
        && *metadata.level() <= Level::DEBUG
        && metadata.target().starts_with("coworking_analytics")
        && metadata.target() != UNTRACED
}

/// An error with its causes.
pub(crate) fn error_chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
