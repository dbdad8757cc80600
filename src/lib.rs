//! A GraphQL analytics gateway for coworking spaces.
//!
//! Members (`users`) get one-time door codes (`tokens`), used or not; the gateway turns those two
//! tables into reports, over GraphQL and over the REST routes of the service that it replaces.
//!
//! [`reports`] is the domain: the one definition of every number. [`graphql`], [`http`] and [`jobs`] present it; [`cli`] reads
//! the command, and [`app`] puts the parts together. Parts import from lower floors alone, which `tests/gateway/directions.rs`
//! holds; `docs/architecture.md` has the picture and the decisions.

pub mod access;
pub mod app;
pub mod cli;
pub mod clock;
pub mod codes;
pub mod config;
pub mod database;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
pub mod graphql;
pub mod http;
pub mod jobs;
pub mod metrics;
pub mod probe;
pub mod reports;
pub mod scopes;
pub mod seed;
pub mod shutdown;
pub mod telemetry;
