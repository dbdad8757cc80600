//! Routes for operators: probes, metrics, and the state of a replica.

pub mod metrics;
pub(in crate::http) mod probes;
pub(in crate::http) mod status;
