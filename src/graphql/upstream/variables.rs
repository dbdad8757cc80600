//! Handles variables that a client omitted. A required one is an error of the request. For others, the specification
//! says: the variable's default is used; without one, an argument with the variable counts as omitted, so that the
//! argument's default is used. The library has four errors: required variables count as null, `@include` and `@skip`
//! ignore the variable's default, arguments with a default get null, and arguments that a field's cost depends on fail.
//! Therefore such variables are removed from the document before the library reads it.
//! Source: <https://spec.graphql.org/September2025/#CoerceArgumentValues()>

use std::collections::HashMap;

use async_graphql::{
    Name, Pos, Positioned, ServerError, ServerResult, Variables,
    parser::types::{
        Directive, DocumentOperations, ExecutableDocument, OperationDefinition, Selection, VariableDefinition,
    },
};
use async_graphql_value::Value;

use crate::{
    codes::{BAD_USER_INPUT, VALIDATION_FAILED},
    graphql::error::with_code,
};

/// The variables of an operation that were omitted.
#[derive(Debug, Default)]
pub(in crate::graphql) struct Omitted {
    /// The default of each; none for a variable without one.
    defaults: HashMap<Name, Option<Value>>,
    /// Those that have not been found in the document so far, and where they are defined.
    unused: HashMap<Name, Pos>,
}

/// The variables of `operation` that were omitted.
///
/// # Errors
/// When one of them is required, or a required one is null.
pub(in crate::graphql) fn omitted(operation: &OperationDefinition, variables: &Variables) -> ServerResult<Omitted> {
    let mut omitted = Omitted::default();
    for Positioned { pos, node: definition } in &operation.variable_definitions {
        let (name, required) = (&definition.name.node, !definition.var_type.node.nullable);
        let default = definition.default_value.as_ref().map(|default| default.node.clone().into_value());
        match variables.get(name) {
            None if required && default.is_none() => return Err(missing(name, definition, "was not given", *pos)),
            Some(async_graphql::Value::Null) if required => return Err(missing(name, definition, "is null", *pos)),
            None => {
                omitted.defaults.insert(name.clone(), default);
                omitted.unused.insert(name.clone(), *pos);
            }
            Some(_) => {}
        }
    }
    Ok(omitted)
}

/// Replaces omitted variables by their defaults, or removes them.
///
/// # Errors
/// When one of them is never used: the library's validation cannot find it any more.
pub(in crate::graphql) fn remove(document: &mut ExecutableDocument, mut omitted: Omitted) -> ServerResult<()> {
    if omitted.defaults.is_empty() {
        return Ok(());
    }
    // All operations share the fragments, so the variables are removed from all of them.
    for operation in all(&mut document.operations) {
        let definitions = &mut operation.variable_definitions;
        definitions.retain(|definition| !omitted.defaults.contains_key(&definition.node.name.node));
    }
    for_each_arguments(document, |arguments| arguments.retain_mut(|(_, value)| keep(&mut value.node, &mut omitted)));
    match omitted.unused.into_iter().next() {
        None => Ok(()),
        Some((name, pos)) => {
            let problem = format!("The variable `${name}` is never used.");
            Err(with_code(ServerError::new(problem, Some(pos)), VALIDATION_FAILED))
        }
    }
}

fn missing(name: &Name, definition: &VariableDefinition, problem: &str, pos: Pos) -> ServerError {
    let message = format!("The variable `${name}` {problem}; its type is {}", definition.var_type.node);
    with_code(ServerError::new(message, Some(pos)), BAD_USER_INPUT)
}

type Arguments = Vec<(Positioned<Name>, Positioned<Value>)>;

/// Calls `change` with the arguments of each field and directive.
pub(super) fn for_each_arguments(document: &mut ExecutableDocument, mut change: impl FnMut(&mut Arguments)) {
    let in_directives = |directives: &mut [Positioned<Directive>], change: &mut dyn FnMut(&mut Arguments)| {
        for directive in directives {
            change(&mut directive.node.arguments);
        }
    };
    let ExecutableDocument { operations, fragments } = document;
    let fragments = fragments.values_mut().map(|fragment| &mut fragment.node.selection_set.node);
    let mut sets: Vec<_> = fragments.collect();
    sets.extend(all(operations).map(|operation| &mut operation.selection_set.node));
    while let Some(set) = sets.pop() {
        for selection in &mut set.items {
            match &mut selection.node {
                Selection::Field(field) => {
                    change(&mut field.node.arguments);
                    in_directives(&mut field.node.directives, &mut change);
                    sets.push(&mut field.node.selection_set.node);
                }
                Selection::InlineFragment(fragment) => {
                    in_directives(&mut fragment.node.directives, &mut change);
                    sets.push(&mut fragment.node.selection_set.node);
                }
                Selection::FragmentSpread(spread) => in_directives(&mut spread.node.directives, &mut change),
            }
        }
    }
}

fn all(operations: &mut DocumentOperations) -> impl Iterator<Item = &mut OperationDefinition> {
    let (single, multiple) = match operations {
        DocumentOperations::Single(operation) => (Some(operation), None),
        DocumentOperations::Multiple(operations) => (None, Some(operations.values_mut())),
    };
    single.into_iter().chain(multiple.into_iter().flatten()).map(|operation| &mut operation.node)
}

/// Replaces variables by defaults. Returns whether a value is left: without one, a field of an object is removed, and
/// an item of a list becomes null.
fn keep(value: &mut Value, omitted: &mut Omitted) -> bool {
    match value {
        Value::Variable(name) => {
            omitted.unused.remove(name);
            match omitted.defaults.get(name) {
                Some(Some(default)) => *value = default.clone(),
                Some(None) => return false,
                None => {}
            }
        }
        Value::Object(fields) => fields.retain(|_, value| keep(value, omitted)),
        Value::List(items) => {
            for item in items {
                if !keep(item, omitted) {
                    *item = Value::Null;
                }
            }
        }
        _ => {}
    }
    true
}
