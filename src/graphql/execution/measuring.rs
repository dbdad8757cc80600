//! Measures an operation with its fragments expanded, in time linear in the document. Each fragment is measured once,
//! because walking the expansion can take exponential time.

use std::collections::HashMap;

use async_graphql::{
    Name, Pos, Positioned, ServerError, ServerResult,
    parser::types::{ExecutableDocument, OperationDefinition, Selection, SelectionSet},
};

use crate::{
    codes::VALIDATION_FAILED,
    config::limits::Limits,
    graphql::{
        error::with_code,
        execution::limits::{Limit, MAX_NESTING},
    },
};

/// Fails when an operation exceeds a limit, or when fragments form a cycle.
pub(in crate::graphql) fn check(document: &ExecutableDocument, limits: &Limits) -> ServerResult<()> {
    let mut measuring = Measuring { document, known: HashMap::new() };
    for (_, Positioned { pos, node: operation }) in document.operations.iter() {
        let size = measuring.operation(operation, *pos)?;
        for (limit, count, maximum) in [
            (Limit::Selections, size.selections, limits.selections),
            (Limit::Depth, size.depth, limits.depth),
            (Limit::RootFields, size.fields, limits.root_fields),
            (Limit::Aliases, size.aliases, limits.aliases),
            (Limit::Directives, size.directives, limits.directives),
        ] {
            limit.check(count, maximum, Some(*pos))?;
        }
    }
    Ok(())
}

/// The size of a selection set.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    /// Fields of the set itself.
    fields: usize,
    /// Fields at any depth.
    selections: usize,
    aliases: usize,
    directives: usize,
    /// Nested fields.
    depth: usize,
    /// Nested selection sets, including those of fragments.
    nesting: usize,
}

impl Size {
    fn add(&mut self, other: Self) {
        self.fields = self.fields.saturating_add(other.fields);
        self.selections = self.selections.saturating_add(other.selections);
        self.aliases = self.aliases.saturating_add(other.aliases);
        self.directives = self.directives.saturating_add(other.directives);
        self.depth = self.depth.max(other.depth);
        self.nesting = self.nesting.max(other.nesting);
    }
}

struct Measuring<'a> {
    document: &'a ExecutableDocument,
    /// The sizes of fragments; none for a fragment that is being measured.
    known: HashMap<&'a Name, Option<Size>>,
}

impl<'a> Measuring<'a> {
    fn operation(&mut self, operation: &'a OperationDefinition, pos: Pos) -> ServerResult<Size> {
        let mut size = self.set(&operation.selection_set.node, pos, 0)?;
        let of_variables = operation.variable_definitions.iter().map(|variable| variable.node.directives.len());
        size.directives = size.directives.saturating_add(operation.directives.len() + of_variables.sum::<usize>());
        Ok(size)
    }

    fn set(&mut self, set: &'a SelectionSet, pos: Pos, level: usize) -> ServerResult<Size> {
        // The recursion is no deeper than this.
        Limit::Nesting.check(level, MAX_NESTING, Some(pos))?;
        let mut sum = Size::default();
        for Positioned { pos, node: selection } in &set.items {
            let mut size = match selection {
                Selection::Field(field) => {
                    let inner = self.set(&field.node.selection_set.node, *pos, level + 1)?;
                    let aliases = inner.aliases.saturating_add(field.node.alias.is_some().into());
                    let selections = inner.selections.saturating_add(1);
                    Size { fields: 1, selections, aliases, depth: inner.depth + 1, ..inner }
                }
                Selection::InlineFragment(fragment) => self.set(&fragment.node.selection_set.node, *pos, level + 1)?,
                Selection::FragmentSpread(spread) => self.fragment(&spread.node.fragment_name.node, *pos, level + 1)?,
            };
            size.nesting += 1;
            size.directives = size.directives.saturating_add(selection.directives().len());
            Limit::Nesting.check(level.saturating_add(size.nesting), MAX_NESTING, Some(*pos))?;
            sum.add(size);
        }
        Ok(sum)
    }

    fn fragment(&mut self, name: &'a Name, pos: Pos, level: usize) -> ServerResult<Size> {
        match self.known.get(name) {
            Some(Some(size)) => return Ok(*size),
            Some(None) => {
                let problem = format!("The fragment `{name}` uses itself.");
                return Err(with_code(ServerError::new(problem, Some(pos)), VALIDATION_FAILED));
            }
            None => {}
        }
        // The library's validation rejects unknown fragments.
        let Some(fragment) = self.document.fragments.get(name) else { return Ok(Size::default()) };
        self.known.insert(name, None);
        let mut size = self.set(&fragment.node.selection_set.node, pos, level)?;
        size.directives = size.directives.saturating_add(fragment.node.directives.len());
        self.known.insert(name, Some(size));
        Ok(size)
    }
}
