//! Which operation of its document a request runs.

use std::sync::{Arc, OnceLock};

use async_graphql::{
    Name, Positioned,
    parser::types::{DocumentOperations, ExecutableDocument, OperationDefinition, OperationType, Selection},
};

/// The operation that a request runs: what the client asked for and, once the document is read, its name.
#[derive(Debug, Clone, Default)]
pub struct RequestedOperation {
    requested: Option<String>,
    name: Arc<OnceLock<Name>>,
    kind: Arc<OnceLock<&'static str>>,
}

impl RequestedOperation {
    pub(super) fn new(requested: Option<String>) -> Self {
        Self { requested, ..Self::default() }
    }

    /// The name that the operation goes by in its document; none for an anonymous one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.get().map(Name::as_str)
    }

    /// What kind of operation it is, in a word of ours: `unknown` where the document could not be read.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.kind.get().copied().unwrap_or("unknown")
    }

    /// The operation's definition; none where the library refuses the request, since the document has
    /// several and the request names none of them.
    pub(super) fn find<'a>(&self, document: &'a ExecutableDocument) -> Option<&'a Positioned<OperationDefinition>> {
        let operation = match &document.operations {
            DocumentOperations::Single(anonymous) => anonymous,
            DocumentOperations::Multiple(named) => {
                let only = || named.iter().next().filter(|_| named.len() == 1);
                let (name, operation) =
                    self.requested.as_deref().map_or_else(only, |requested| named.get_key_value(requested))?;
                let _ = self.name.set(name.clone());
                operation
            }
        };
        let _ = self.kind.set(kind(&operation.node));
        Some(operation)
    }
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
        OperationType::Subscription => "subscription",
    }
}
