//! What is logged, and in which format.

use tracing_subscriber::EnvFilter;

use super::Environment;

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// For people, with colours on a terminal.
    Text,
    /// One JSON object per line, for log aggregators.
    Json,
    /// Sentences only, for people who run a command. Cannot be configured.
    Plain,
}

/// What is logged, and in which format.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// `LOG_FORMAT`, for the service's log: `text`, `json`, or `auto` (text on a terminal, JSON otherwise). Default
    /// `auto`. Other commands print sentences; so does a service that cannot start, unless this is `json`.
    pub format: LogFormat,
    /// `LOG_LEVEL`: a level (`error`, `warn`, `info`, `debug`, `trace`) or directives such as
    /// `info,coworking_analytics=debug`. Default `info`.
    pub level: String,
}

impl LogConfig {
    pub(super) fn read(environment: &Environment) -> Self {
        let format = environment.read("LOG_FORMAT", LogFormat::Auto, "auto, text or json", |value| match value {
            "auto" => Some(LogFormat::Auto),
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
