//! Which operation of its document a request runs.

use std::sync::{Arc, OnceLock};

use async_graphql::{
    Name, Positioned,
    parser::types::{DocumentOperations, ExecutableDocument, OperationDefinition},
};

/// The operation that a request runs: what the client asked for and, once the document is read, its name.
#[derive(Debug, Clone, Default)]
pub struct RequestedOperation {
    requested: Option<String>,
    name: Arc<OnceLock<Name>>,
}

impl RequestedOperation {
    pub(super) fn new(requested: Option<String>) -> Self {
        Self { requested, name: Arc::default() }
    }

    /// The name that the operation goes by in its document; none for an anonymous one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.get().map(Name::as_str)
    }

    /// The operation's definition; none where the library refuses the request, since the document has
    /// several and the request names none of them.
    pub(super) fn find<'a>(&self, document: &'a ExecutableDocument) -> Option<&'a Positioned<OperationDefinition>> {
        match &document.operations {
            DocumentOperations::Single(anonymous) => Some(anonymous),
            DocumentOperations::Multiple(named) => {
                let only = || named.iter().next().filter(|_| named.len() == 1);
                let (name, operation) =
                    self.requested.as_deref().map_or_else(only, |requested| named.get_key_value(requested))?;
                let _ = self.name.set(name.clone());
                Some(operation)
            }
        }
    }
}
