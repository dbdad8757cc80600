//! Background jobs, which run until they are cancelled.

pub mod fold_metrics;
pub mod rollup;
pub mod usage_log;
