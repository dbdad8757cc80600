//! From a text to a document: limits are checked before it is parsed, and again on the parsed document.

use async_graphql::{
    ServerError, ServerResult,
    parser::{
        parse_query,
        types::{ExecutableDocument, Field, Selection, SelectionSet},
    },
};

use crate::{
    codes::PARSE_FAILED,
    config::limits::Limits,
    graphql::{
        error::with_code,
        execution::{
            lexing,
            limits::{Limit, MAX_NESTING},
            measuring,
        },
    },
};

/// Parses a document.
///
/// # Errors
/// When the text is not GraphQL, or exceeds one of the `limits`.
pub(in crate::graphql) fn read(text: &str, limits: &Limits) -> ServerResult<ExecutableDocument> {
    Limit::DocumentBytes.check(text.len(), limits.document_bytes, None)?;
    let size = lexing::count(text);
    Limit::DocumentTokens.check(size.count, limits.document_tokens, None)?;
    Limit::Nesting.check(size.nesting, MAX_NESTING, None)?;
    let document = parse_query(text).map_err(|error| {
        let mut error = ServerError::from(error);
        // The parser's message contains the whole line, which may be the whole document. Keep only its last line, which
        // says what was expected; the position is given beside the message.
        if let Some((_, expected)) = error.message.rsplit_once("\n  = ") {
            error.message = format!("The document is not GraphQL: {expected}");
        }
        with_code(error, PARSE_FAILED)
    })?;
    measuring::check(&document, limits)?;
    Ok(document)
}

/// Whether any field, in any operation or fragment, satisfies `is_sought`.
pub(in crate::graphql) fn any_field(document: &ExecutableDocument, is_sought: impl Fn(&Field) -> bool) -> bool {
    let operations = document.operations.iter().map(|(_, operation)| &operation.node.selection_set.node);
    let fragments = document.fragments.values().map(|fragment| &fragment.node.selection_set.node);
    let mut sets: Vec<&SelectionSet> = operations.chain(fragments).collect();
    while let Some(set) = sets.pop() {
        for selection in &set.items {
            match &selection.node {
                Selection::Field(field) if is_sought(&field.node) => return true,
                Selection::Field(field) => sets.push(&field.node.selection_set.node),
                Selection::InlineFragment(fragment) => sets.push(&fragment.node.selection_set.node),
                Selection::FragmentSpread(_) => {}
            }
        }
    }
    false
}
