//! Logs: fixed sentences with structured fields, on standard error. Traces: to a collector, if there
//! is one.

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

/// Libraries that comment on every step.
const QUIET: &str = "sqlx=warn,opentelemetry=warn,hyper_util=warn";

/// The target of spans that give log lines their fields, and are no part of a trace.
pub const UNTRACED: &str = "coworking_analytics::line";

/// Logging, and exporting, until it is shut down.
#[derive(Debug)]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Starts logging and tracing; to be called once, on the runtime that exports the traces.
    ///
    /// # Errors
    /// When the exporter cannot be made.
    pub fn init(log: &LogConfig, observability: &ObservabilityConfig) -> Result<Self, ExporterBuildError> {
        // Directives that come later win, so these can still be raised.
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

    /// Sends what was not sent yet.
    pub fn shut_down(self) {
        if let Some(provider) = self.provider {
            let _ = provider.shutdown();
        }
    }
}

/// Spans of our own, down to a report's statement.
fn is_traced(metadata: &Metadata<'_>) -> bool {
    metadata.is_span()
        && *metadata.level() <= Level::DEBUG
        && metadata.target().starts_with("coworking_analytics")
        && metadata.target() != UNTRACED
}

/// An error with its causes, for the log.
pub(crate) fn error_chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
