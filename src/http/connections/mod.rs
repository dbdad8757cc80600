//! Connections and the layers around every request: TLS, admission, limits on load, and the log.

mod activity;
pub(in crate::http) mod admission;
pub mod files;
pub mod listening;
pub(in crate::http) mod load;
pub(in crate::http) mod log;
pub(in crate::http) mod memory;
mod places;
pub mod serving;
pub(in crate::http) mod shares;
pub mod tls;
