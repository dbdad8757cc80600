//! Checks that need the library's registry of the schema, as an extension of the library.

use std::sync::Arc;

use async_graphql::{
    Positioned, ServerError, ServerResult, ValidationResult, Variables, async_trait,
    extensions::{Extension, ExtensionContext, ExtensionFactory, NextParseQuery, NextValidation},
    parser::types::ExecutableDocument,
};

use crate::{
    access::Meter,
    codes::VALIDATION_FAILED,
    graphql::{
        cost::HEAVY_COST,
        error::with_code,
        execution::{
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
        Arc::new(*self)
    }
}

#[async_trait::async_trait]
impl Extension for Checks {
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
        paging::give_size(&mut document, &ctx.schema_env.registry, self.page_size);
        Ok(document)
    }

    async fn validation(
        &self,
        ctx: &ExtensionContext<'_>,
        next: NextValidation<'_>,
    ) -> Result<ValidationResult, Vec<ServerError>> {
        let coded = |error| with_code(error, VALIDATION_FAILED);
        let result = next.run(ctx).await.map_err(|errors| errors.into_iter().map(coded).collect::<Vec<_>>())?;
        if let Some(meter) = ctx.data_opt::<Meter>() {
            meter.charge(u64::try_from(result.complexity.min(self.complexity)).unwrap_or(u64::MAX));
        }
        Limit::Complexity.check(result.complexity, self.complexity, None).map_err(|error| vec![error])?;
        if let Some(session) = ctx.data_opt::<Arc<Session>>().filter(|_| result.complexity >= HEAVY_COST) {
            session.mark_heavy();
        }
        Ok(result)
    }
}
