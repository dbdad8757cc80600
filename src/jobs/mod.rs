//! Work that runs beside the requests until it is cancelled.

pub mod usage_log;
