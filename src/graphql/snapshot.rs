//! Documents that need more than one statement read them all from one snapshot; a single statement
//! agrees with itself, and is spared the transaction.

use std::sync::Arc;

use async_graphql::{
    Positioned, ServerResult, Variables, async_trait,
    extensions::{Extension, ExtensionContext, ExtensionFactory, NextParseQuery},
    parser::types::{ExecutableDocument, Selection, SelectionSet},
};

use super::user_visits::USER_FIELD;
use crate::reports::Session;

/// Decides, once per document, whether its reports share a snapshot.
#[derive(Debug, Clone, Copy)]
pub(super) struct SharedSnapshot;

impl ExtensionFactory for SharedSnapshot {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self)
    }
}

#[async_trait::async_trait]
impl Extension for SharedSnapshot {
    async fn parse_query(
        &self,
        ctx: &ExtensionContext<'_>,
        query: &str,
        variables: &Variables,
        next: NextParseQuery<'_>,
    ) -> ServerResult<ExecutableDocument> {
        let document = next.run(ctx, query, variables).await?;
        if let Some(session) = ctx.data_opt::<Arc<Session>>()
            && may_need_several_statements(&document)
        {
            session.share_snapshot();
        }
        Ok(document)
    }
}

/// Errs on the side of a transaction: fragments are not expanded, so this takes one look at each
/// selection, whatever they expand to.
fn may_need_several_statements(document: &ExecutableDocument) -> bool {
    let is_report = |selection: &Positioned<Selection>| match &selection.node {
        Selection::Field(field) => !field.node.name.node.starts_with("__"),
        Selection::FragmentSpread(_) | Selection::InlineFragment(_) => true,
    };
    let roots = document.operations.iter().flat_map(|(_, operation)| &operation.node.selection_set.node.items);
    let mut roots = roots.filter(|selection| is_report(selection));
    let first = roots.next();
    let has_fragment = first.is_some_and(|first| !matches!(first.node, Selection::Field(_)));
    has_fragment || roots.next().is_some() || names_users(document)
}

fn names_users(document: &ExecutableDocument) -> bool {
    let operations = document.operations.iter().map(|(_, operation)| &operation.node.selection_set.node);
    let fragments = document.fragments.values().map(|fragment| &fragment.node.selection_set.node);
    let mut open: Vec<&SelectionSet> = operations.chain(fragments).collect();
    while let Some(set) = open.pop() {
        for selection in &set.items {
            match &selection.node {
                Selection::Field(field) if field.node.name.node == USER_FIELD => return true,
                Selection::Field(field) => open.push(&field.node.selection_set.node),
                Selection::InlineFragment(fragment) => open.push(&fragment.node.selection_set.node),
                Selection::FragmentSpread(_) => {}
            }
        }
    }
    false
}
