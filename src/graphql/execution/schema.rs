//! Builds the schema from its root types.

use async_graphql::{EmptyMutation, SDLExportOptions, SchemaBuilder};

use crate::graphql::{execution::subscription::Subscription, reports::Query};

pub(in crate::graphql) type Schema = async_graphql::Schema<Query, EmptyMutation, Subscription>;

/// A builder of the schema, without the data that its resolvers need.
pub(in crate::graphql) fn builder() -> SchemaBuilder<Query, EmptyMutation, Subscription> {
    Schema::build(Query::default(), EmptyMutation, Subscription::default())
}

/// The schema in GraphQL's schema language, as in `schema.graphql`. Needs no database.
#[must_use]
pub fn sdl() -> String {
    builder().finish().sdl_with_options(SDLExportOptions::new().include_specified_by())
}
