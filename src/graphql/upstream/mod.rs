//! What the GraphQL library gets wrong, put right here.

pub(in crate::graphql) mod coercion;
pub(in crate::graphql) mod variables;
