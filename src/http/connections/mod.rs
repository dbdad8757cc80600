//! Connections, and what surrounds every request on them: TLS, who is let in, how much at once, and the log.

pub(in crate::http) mod admission;
pub(in crate::http) mod load;
pub(in crate::http) mod log;
pub(in crate::http) mod memory;
pub mod serving;
pub mod tls;
