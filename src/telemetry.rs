//! Logs: fixed sentences with structured fields, on standard error.

use std::{
    io::{IsTerminal as _, stderr},
    panic,
};

use tracing::error;
use tracing_subscriber::{EnvFilter, fmt};

use crate::config::log::{LogConfig, LogFormat};

/// Libraries that comment on every step.
const QUIET: &str = "sea_orm_migration=warn,sqlx=warn";

/// Starts logging; to be called once.
pub fn init(config: &LogConfig) {
    // Directives that come later win, so these can still be raised.
    let filter = EnvFilter::builder().parse_lossy(format!("{QUIET},{}", config.level));
    let builder = fmt().with_env_filter(filter).with_writer(stderr).with_ansi(stderr().is_terminal());
    match config.format {
        LogFormat::Text => builder.with_target(false).init(),
        LogFormat::Json => builder.json().flatten_event(true).with_span_list(false).init(),
    }
    panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string);
        error!(location, cause = panic.payload_as_str(), "panic: a bug, please report it with this line");
    }));
}

/// An error with its causes, for the log.
pub(crate) fn error_chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
