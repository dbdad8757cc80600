//! Builds the SQL of reports: statements over the two tables, and over the rollup where it is up to date.

pub mod codes;
pub mod counts;
pub mod dialect;
pub mod ids;
pub mod moment;
pub mod names;
mod newcomers;
pub mod rollup;
pub mod roster;
pub mod selection;
pub mod span;
pub mod version;
