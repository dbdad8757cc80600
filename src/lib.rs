//! A GraphQL analytics gateway for coworking spaces.
//!
//! Members (`users`) get one-time door codes (`tokens`), which they may use. The gateway makes reports from these two
//! tables, over GraphQL and over the REST routes of the legacy service that it replaces.
//!
//! [`reports`] is the domain, with the only definition of every number. [`graphql`], [`http`] and [`jobs`] present the
//! numbers. [`cli`] reads the command, and [`app`] connects the parts. A part imports only from lower floors, which
//! `tests/gateway/directions.rs` checks; `docs/architecture.md` describes the floors and the decisions.

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
