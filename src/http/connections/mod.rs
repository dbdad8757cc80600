//! Connections and the layers around every request: TLS, admission, limits on load, and the log.

pub(in crate::http) mod admission;
pub(in crate::http) mod load;
pub(in crate::http) mod log;
pub(in crate::http) mod memory;
pub mod serving;
pub mod tls;
