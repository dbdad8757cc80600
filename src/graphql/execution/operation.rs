//! Finds the operation that a request runs.

use async_graphql::{
    Positioned, ServerError, ServerResult,
    parser::types::{DocumentOperations, ExecutableDocument, OperationDefinition, OperationType, Selection},
};

use crate::{codes::BAD_USER_INPUT, graphql::error::with_code};

const SUBSCRIPTION: &str = "subscription";

/// The operation that a request runs: its name and its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestedOperation {
    name: Option<String>,
    kind: &'static str,
}

impl RequestedOperation {
    pub(in crate::graphql) fn of(definition: &OperationDefinition, name: Option<&str>) -> Self {
        Self { name: name.map(ToOwned::to_owned), kind: kind(definition) }
    }

    /// The name of the operation; none for an anonymous one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The kind of the operation: `query`, `mutation`, `subscription` or `introspection`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Whether the operation is a subscription.
    #[must_use]
    pub fn is_subscription(&self) -> bool {
        self.kind == SUBSCRIPTION
    }
}

/// The operation named `requested`, or the only one, with its name.
/// Source: <https://spec.graphql.org/September2025/#GetOperation()>
pub(in crate::graphql) fn find<'a>(
    document: &'a ExecutableDocument,
    requested: Option<&str>,
) -> ServerResult<(Option<&'a str>, &'a Positioned<OperationDefinition>)> {
    let problem = match (&document.operations, requested) {
        (DocumentOperations::Single(operation), None) => return Ok((None, operation)),
        (DocumentOperations::Multiple(named), None) if named.len() != 1 => {
            "The document has several operations: name one in `operationName`.".to_owned()
        }
        (DocumentOperations::Multiple(named), requested) => {
            let only = || named.iter().next();
            let found = requested.map_or_else(only, |requested| named.get_key_value(requested));
            if let Some((name, operation)) = found {
                return Ok((Some(name.as_str()), operation));
            }
            format!("The document has no operation named `{}`.", requested.unwrap_or_default())
        }
        (DocumentOperations::Single(_), Some(requested)) => {
            format!("The document has no operation named `{requested}`.")
        }
    };
    Err(with_code(ServerError::new(problem, None), BAD_USER_INPUT))
}

fn kind(operation: &OperationDefinition) -> &'static str {
    let introspects = |selection: &Positioned<Selection>| match &selection.node {
        Selection::Field(field) => field.node.name.node.starts_with("__"),
        Selection::FragmentSpread(_) | Selection::InlineFragment(_) => false,
    };
    match operation.ty {
        OperationType::Query if operation.selection_set.node.items.iter().all(introspects) => "introspection",
        OperationType::Query => "query",
        OperationType::Mutation => "mutation",
        OperationType::Subscription => SUBSCRIPTION,
    }
}
