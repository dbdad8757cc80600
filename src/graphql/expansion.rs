//! How many selections a document expands to, counted in time linear in the document: before anything
//! walks the expansion itself, which can be exponential.

use std::{collections::HashMap, sync::Arc};

use async_graphql::{
    Name, Pos, Request, ServerError, ServerResult, async_trait,
    extensions::{Extension, ExtensionContext, ExtensionFactory, NextPrepareRequest},
    parser::types::{ExecutableDocument, Selection, SelectionSet},
};

use super::error::{LIMIT_EXCEEDED, with_code};

/// Selections that one document may expand to. Introspection by common tools takes about 250.
const MAX_SELECTIONS: usize = 10_000;
/// Selection sets within one another, through fragments too: more than the limit on depth lets pass.
const MAX_NESTING: usize = 64;

/// Refuses documents that expand to too much.
#[derive(Debug, Clone, Copy)]
pub(super) struct ExpansionLimit;

impl ExtensionFactory for ExpansionLimit {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self)
    }
}

#[async_trait::async_trait]
impl Extension for ExpansionLimit {
    /// Parses ahead: the library's own limits walk the expansion in the same step in which it parses.
    async fn prepare_request(
        &self,
        ctx: &ExtensionContext<'_>,
        mut request: Request,
        next: NextPrepareRequest<'_>,
    ) -> ServerResult<Request> {
        // What cannot be parsed is told by the library, which tries again.
        if let Ok(document) = request.parsed_query() {
            check(document)?;
        }
        next.run(ctx, request).await
    }
}

fn check(document: &ExecutableDocument) -> ServerResult<()> {
    let mut count = Count { document, known: HashMap::new() };
    for (_, operation) in document.operations.iter() {
        if count.selections(&operation.node.selection_set.node, operation.pos, 0)? > MAX_SELECTIONS {
            let problem = format!("The operation expands to more than {MAX_SELECTIONS} selections");
            return Err(exceeded(problem, operation.pos));
        }
    }
    Ok(())
}

struct Count<'a> {
    document: &'a ExecutableDocument,
    /// The selections of each fragment; none while it is being counted.
    known: HashMap<&'a Name, Option<usize>>,
}

impl<'a> Count<'a> {
    fn selections(&mut self, set: &'a SelectionSet, pos: Pos, nesting: usize) -> ServerResult<usize> {
        if nesting > MAX_NESTING {
            return Err(exceeded(format!("Selections are nested more than {MAX_NESTING} deep"), pos));
        }
        set.items.iter().try_fold(0_usize, |sum, selection| {
            let pos = selection.pos;
            let count = match &selection.node {
                Selection::Field(field) => {
                    self.selections(&field.node.selection_set.node, pos, nesting + 1)?.saturating_add(1)
                }
                Selection::InlineFragment(fragment) => {
                    self.selections(&fragment.node.selection_set.node, pos, nesting + 1)?
                }
                Selection::FragmentSpread(spread) => {
                    self.fragment(&spread.node.fragment_name.node, pos, nesting + 1)?
                }
            };
            Ok(sum.saturating_add(count))
        })
    }

    fn fragment(&mut self, name: &'a Name, pos: Pos, nesting: usize) -> ServerResult<usize> {
        match self.known.get(name) {
            Some(Some(count)) => return Ok(*count),
            Some(None) => return Err(exceeded(format!("The fragment `{name}` uses itself"), pos)),
            None => {}
        }
        // An unknown fragment is the validation's business.
        let Some(fragment) = self.document.fragments.get(name) else { return Ok(0) };
        self.known.insert(name, None);
        let count = self.selections(&fragment.node.selection_set.node, pos, nesting)?;
        self.known.insert(name, Some(count));
        Ok(count)
    }
}

fn exceeded(problem: String, pos: Pos) -> ServerError {
    with_code(ServerError::new(problem, Some(pos)), LIMIT_EXCEEDED)
}
