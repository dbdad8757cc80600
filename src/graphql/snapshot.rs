//! Documents that need more than one statement read them all from one snapshot; a single statement
//! agrees with itself, and is spared the transaction.

use async_graphql::{
    Positioned,
    parser::types::{ExecutableDocument, Selection},
};

use super::document::any_field;

/// Fields that may take a statement of their own.
const ANOTHER_STATEMENT: [&str; 7] =
    ["user", "usage", "heatmap", "activeUsers", "retention", "rollingAverage", "uniqueVisitors"];

/// Whether the document may take several statements. Errs on the side of a transaction: fragments are
/// not expanded, so this takes one look at each selection, whatever they expand to.
pub(super) fn may_need_several_statements(document: &ExecutableDocument) -> bool {
    let is_report = |selection: &Positioned<Selection>| match &selection.node {
        Selection::Field(field) => !field.node.name.node.starts_with("__"),
        Selection::FragmentSpread(_) | Selection::InlineFragment(_) => true,
    };
    let roots = document.operations.iter().flat_map(|(_, operation)| &operation.node.selection_set.node.items);
    let mut roots = roots.filter(|selection| is_report(selection));
    let first = roots.next();
    let has_fragment = first.is_some_and(|first| !matches!(first.node, Selection::Field(_)));
    has_fragment
        || roots.next().is_some()
        || any_field(document, |field| ANOTHER_STATEMENT.contains(&field.name.node.as_str()))
}
