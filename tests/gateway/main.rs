//! Tests of the gateway from outside: through the real router, on both databases, and as a process. `make test` runs
//! them, and starts the PostgreSQL that they need.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod averages;
mod budgets;
mod command_line;
mod comparisons;
mod compression;
mod configuration;
mod connections;
mod daily_usage;
mod defaults;
mod directions;
mod errors;
mod exports;
mod federation;
mod freshness;
mod functions;
mod graphql_over_http;
mod hostile;
mod http;
mod identity_provider;
mod injections;
mod kept_connections;
mod legacy;
mod limits;
mod manifests;
mod notes;
mod observability;
mod odd_rows;
mod operations;
mod parity;
mod persisted;
mod pod;
mod pooler;
mod random_documents;
mod reports;
mod rollup;
mod rollup_sqlite;
mod rollup_tables;
mod schema;
mod subscriptions;
mod support;
mod tls;
mod user_visits;
mod views;
