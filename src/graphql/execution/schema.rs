//! Builds the schema from its root types: on its own, or as a part of a larger graph.

use async_graphql::{
    EmptyMutation, MergedObject, ObjectType, Request, Response, SDLExportOptions, SchemaBuilder,
    futures_util::StreamExt as _,
};

use crate::{
    config::{graphql::GraphqlConfig, limits::PageLimits},
    graphql::{
        entities::Entities,
        execution::{checks::Checks, limits::MAX_NESTING, subscription::Subscription},
        reports::{Query, Reports},
    },
};

type Alone = async_graphql::Schema<Query, EmptyMutation, Subscription>;
type Part = async_graphql::Schema<Subgraph, EmptyMutation, Subscription>;

/// Reports on the check-ins of a coworking space, and members by id, as a part of a larger graph.
#[derive(Debug, Default, MergedObject)]
#[graphql(name = "Query")]
pub(in crate::graphql) struct Subgraph(Reports, Entities);

/// The schema that documents are run on. Cheap to clone.
#[derive(Clone)]
pub(in crate::graphql) enum Schema {
    /// The schema of `schema.graphql`.
    Alone(Alone),
    /// The same with what Apollo Federation 2 asks of a subgraph: `_service`, and `_entities` for members.
    Part(Part),
}

impl Schema {
    pub(in crate::graphql) fn new(config: &GraphqlConfig, pages: PageLimits) -> Self {
        if config.federation {
            let part = Part::build(Subgraph::default(), EmptyMutation, Subscription::default());
            Self::Part(limited(part, config, pages).finish())
        } else {
            Self::Alone(limited(builder(), config, pages).finish())
        }
    }

    pub(in crate::graphql) async fn execute(&self, request: Request) -> Response {
        match self {
            Self::Alone(schema) => schema.execute(request).await,
            Self::Part(schema) => schema.execute(request).await,
        }
    }

    /// The first answer to a subscription.
    pub(in crate::graphql) async fn execute_once(&self, request: Request) -> Response {
        let answer = match self {
            Self::Alone(schema) => schema.execute_stream(request).next().await,
            Self::Part(schema) => schema.execute_stream(request).next().await,
        };
        answer.unwrap_or_default()
    }
}

/// A builder of the schema on its own, without the data that its resolvers need.
pub(in crate::graphql) fn builder() -> SchemaBuilder<Query, EmptyMutation, Subscription> {
    Alone::build(Query::default(), EmptyMutation, Subscription::default())
}

fn limited<Q: ObjectType + 'static>(
    builder: SchemaBuilder<Q, EmptyMutation, Subscription>,
    config: &GraphqlConfig,
    pages: PageLimits,
) -> SchemaBuilder<Q, EmptyMutation, Subscription> {
    let checks = Checks { complexity: config.limits.complexity, page_size: pages.default };
    // The library's own limit walks all expansions of fragments. It runs after ours, on documents that are small.
    let builder = builder.data(pages).limit_recursive_depth(MAX_NESTING).extension(checks);
    if config.introspection { builder } else { builder.disable_suggestions() }
}

/// The schema in GraphQL's schema language, as in `schema.graphql`. Needs no database.
#[must_use]
pub fn sdl() -> String {
    builder().finish().sdl_with_options(SDLExportOptions::new().include_specified_by())
}
