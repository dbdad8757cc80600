//! A GraphQL analytics gateway for coworking spaces.
//!
//! Members (`users`) get one-time door codes (`tokens`), used or not; the gateway turns those two
//! tables into reports, over GraphQL and over the REST routes of the service that it replaces.
//!
//! `cli` reads the command, `app` puts the parts together, `http` and `jobs` are what runs. `http`
//! and `graphql` are thin faces over `reports`, the one definition of every number. `config`, `clock`,
//! `metrics` and `telemetry` know nobody. `docs/architecture.md` has the picture.

pub mod access;
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod database;
#[doc(hidden)]
pub mod fuzzing;
pub mod graphql;
pub mod http;
pub mod jobs;
pub mod metrics;
pub mod probe;
pub mod reports;
pub mod seed;
pub mod shutdown;
pub mod telemetry;
