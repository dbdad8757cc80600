//! Types that several reports share: inputs, scalars, rows, and members.

pub(in crate::graphql) mod inputs;
pub(in crate::graphql) mod loader;
pub(in crate::graphql) mod rows;
pub(in crate::graphql) mod scalars;
pub(in crate::graphql) mod user;
