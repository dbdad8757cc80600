//! What is logged, and how it looks.

use std::io::{IsTerminal as _, stderr};

use tracing_subscriber::EnvFilter;

use super::Environment;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people, with colours on a terminal.
    Text,
    /// One JSON object a line, for log aggregators.
    Json,
}

/// What is logged, and how it looks.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// `LOG_FORMAT`: `text`, `json`, or `auto` (text on a terminal, JSON otherwise). Default `auto`.
    pub format: LogFormat,
    /// `LOG_LEVEL`: a level (`error`, `warn`, `info`, `debug`, `trace`) or directives such as
    /// `info,coworking_analytics=debug`. Default `info`.
    pub level: String,
}

impl LogConfig {
    pub(super) fn read(environment: &Environment) -> Self {
        let auto = if stderr().is_terminal() { LogFormat::Text } else { LogFormat::Json };
        let format = environment.read("LOG_FORMAT", auto, "auto, text or json", |value| match value {
            "auto" => Some(auto),
            "text" => Some(LogFormat::Text),
            "json" => Some(LogFormat::Json),
            _ => None,
        });
        let expected = "error, warn, info, debug, trace, or directives such as \"info,coworking_analytics=debug\"";
        let level = environment.read("LOG_LEVEL", "info".to_owned(), expected, |value| {
            EnvFilter::builder().parse(value).is_ok().then(|| value.to_owned())
        });
        Self { format, level }
    }
}
