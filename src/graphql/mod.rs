//! The GraphQL face. It holds no numbers and no SQL of its own. Descriptions here are what people read in `GraphiQL`.
//!
//! [`execution`] reads a document and runs it; the fields that it asks for are in `reports`, which share `types`.

mod cost;
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
