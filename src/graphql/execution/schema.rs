//! The schema: the reports at its roots.

use async_graphql::{EmptyMutation, SDLExportOptions, SchemaBuilder};

use crate::graphql::{execution::subscription::Subscription, reports::Query};

pub(in crate::graphql) type Schema = async_graphql::Schema<Query, EmptyMutation, Subscription>;

/// The schema, without the data that its resolvers need.
pub(in crate::graphql) fn builder() -> SchemaBuilder<Query, EmptyMutation, Subscription> {
    Schema::build(Query::default(), EmptyMutation, Subscription::default())
}

/// The schema in GraphQL's own language, as `schema.graphql` holds it. Needs no database.
#[must_use]
pub fn sdl() -> String {
    builder().finish().sdl_with_options(SDLExportOptions::new().include_specified_by())
}
