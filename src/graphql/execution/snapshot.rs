//! Documents read one snapshot of the database, unless they are known to need only one statement. One statement is
//! consistent by itself, and needs no transaction. In debug builds, a second statement outside of a snapshot panics.

use async_graphql::{
    Positioned,
    parser::types::{ExecutableDocument, Field, Selection},
};

use crate::graphql::execution::document::any_field;

/// Root fields that need one statement.
const ONE_STATEMENT: [&str; 6] = ["dailyUsage", "userVisits", "members", "segments", "tokenFunnel", "frequency"];
/// Fields of these that need another statement.
const ANOTHER_STATEMENT: [&str; 9] = [
    "user",
    "rollingAverage",
    "cumulative",
    "uniqueVisitors",
    "previous",
    // Of members on a page that the rollup found.
    "firstVisitAt",
    "lastVisitAt",
    "joinedAt",
    "isActive",
];

/// Whether the document may need several statements. True in doubt: fragments at the root are not expanded, and the
/// order of `dailyUsage` may need a measure that takes another statement.
pub(in crate::graphql) fn may_need_several_statements(document: &ExecutableDocument) -> bool {
    let is_report = |selection: &&Positioned<Selection>| match &selection.node {
        Selection::Field(field) => !field.node.name.node.starts_with("__"),
        Selection::FragmentSpread(_) | Selection::InlineFragment(_) => true,
    };
    let roots = document.operations.iter().flat_map(|(_, operation)| &operation.node.selection_set.node.items);
    let roots: Vec<_> = roots.filter(is_report).collect();
    match roots[..] {
        [] => false,
        [Positioned { node: Selection::Field(root), .. }] => {
            !takes_one_statement(&root.node)
                || any_field(document, |field| ANOTHER_STATEMENT.contains(&field.name.node.as_str()))
        }
        _ => true,
    }
}

fn takes_one_statement(root: &Field) -> bool {
    let name = root.name.node.as_str();
    let is_ordered = root.arguments.iter().any(|(argument, _)| argument.node == "orderBy");
    ONE_STATEMENT.contains(&name) && !(name == "dailyUsage" && is_ordered)
}
