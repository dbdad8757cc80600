//! Work that runs beside the requests until it is cancelled.

pub mod fold_metrics;
pub mod rollup;
pub mod usage_log;
