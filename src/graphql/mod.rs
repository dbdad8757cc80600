//! The GraphQL interface. It computes nothing itself and contains no SQL. Doc comments of GraphQL types are the
//! schema's descriptions, which `GraphiQL` shows.
//!
//! [`execution`] reads and runs documents. The fields are in `reports`, and the types that they share in `types`.

mod cost;
mod entities;
pub mod error;
pub mod execution;
mod guard;
mod names;
mod reports;
mod types;
mod upstream;

pub use self::{
    cost::REPORT_COST,
    execution::{Executor, Prepared, RequestedOperation, limits, sdl},
    names::Named,
};
