//! Work that runs beside the requests until it is cancelled.

pub mod fold_metrics;
pub mod usage_log;
