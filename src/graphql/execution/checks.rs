//! Checks that need the library's registry of the schema, as an extension of the library.

use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_graphql::{
    Positioned, ServerError, ServerResult, ValidationResult, Variables, async_trait,
    extensions::{Extension, ExtensionContext, ExtensionFactory, NextParseQuery, NextValidation},
    parser::types::{ExecutableDocument, Field},
};
use async_graphql_value::{ConstValue, Value};

use crate::{
    access::Meter,
    codes::VALIDATION_FAILED,
    graphql::{
        cost::{self, HEAVY_COST},
        error::with_code,
        execution::{
            document,
            limits::Limit,
            operation::{self, RequestedOperation},
            paging,
        },
        upstream::{coercion, variables},
    },
    reports::Session,
};

/// Checks values against their types, and the document's cost against the limit; charges the cost to the caller's
/// budget; and gives the errors of the library's validation their code.
#[derive(Debug, Clone, Copy)]
pub(in crate::graphql) struct Checks {
    /// The highest cost of a document.
    pub(in crate::graphql) complexity: usize,
    /// The size of a page when the client gives none.
    pub(in crate::graphql) page_size: usize,
}

impl ExtensionFactory for Checks {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Checking { checks: *self, entities: AtomicUsize::new(0) })
    }
}

/// The checks of a request.
struct Checking {
    checks: Checks,
    /// What its entities cost: the library does not know how many there are.
    entities: AtomicUsize,
}

/// The fields of the largest entity.
const ENTITY_FIELDS: usize = 5;

/// The cost of the members that are asked for by id, by other parts of a larger graph.
fn cost_of_entities(document: &ExecutableDocument, variables: &Variables) -> usize {
    let cost = Cell::new(0_usize);
    let count = |field: &Field| match &field.get_argument("representations")?.node {
        Value::List(items) => Some(items.len()),
        Value::Variable(name) => match variables.get(name)? {
            ConstValue::List(items) => Some(items.len()),
            _ => None,
        },
        _ => None,
    };
    document::any_field(document, |field| {
        if field.name.node == "_entities" {
            cost.set(cost.get().saturating_add(cost::of(count(field).unwrap_or_default(), ENTITY_FIELDS)));
        }
        false
    });
    cost.get()
}

#[async_trait::async_trait]
impl Extension for Checking {
    async fn parse_query(
        &self,
        ctx: &ExtensionContext<'_>,
        query: &str,
        variables: &Variables,
        next: NextParseQuery<'_>,
    ) -> ServerResult<ExecutableDocument> {
        let mut document = next.run(ctx, query, variables).await?;
        coercion::settle_zeros(&mut document);
        let requested = ctx.data_opt::<RequestedOperation>().and_then(RequestedOperation::name);
        let (_, Positioned { node: operation, .. }) = operation::find(&document, requested)?;
        coercion::check_document(&ctx.schema_env.registry, &document, operation)?;
        coercion::check_variables(&ctx.schema_env.registry, operation, variables)?;
        let omitted = variables::omitted(operation, variables)?;
        variables::remove(&mut document, omitted)?;
        paging::give_size(&mut document, &ctx.schema_env.registry, self.checks.page_size);
        self.entities.store(cost_of_entities(&document, variables), Ordering::Relaxed);
        Ok(document)
    }

    async fn validation(
        &self,
        ctx: &ExtensionContext<'_>,
        next: NextValidation<'_>,
    ) -> Result<ValidationResult, Vec<ServerError>> {
        let coded = |error| with_code(error, VALIDATION_FAILED);
        let result = next.run(ctx).await.map_err(|errors| errors.into_iter().map(coded).collect::<Vec<_>>())?;
        let most = self.checks.complexity;
        let complexity = result.complexity.saturating_add(self.entities.load(Ordering::Relaxed));
        if let Some(meter) = ctx.data_opt::<Meter>() {
            meter.charge(u64::try_from(complexity.min(most)).unwrap_or(u64::MAX));
        }
        Limit::Complexity.check(complexity, most, None).map_err(|error| vec![error])?;
        if let Some(session) = ctx.data_opt::<Arc<Session>>().filter(|_| complexity >= HEAVY_COST) {
            session.mark_heavy();
        }
        Ok(result)
    }
}
