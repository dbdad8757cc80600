//! Variables that a client left out. By the specification, an argument whose variable was left out
//! counts as left out itself, so that its default applies; the library would take null for it, or, in
//! the arguments that a field's cost depends on, fail. So such arguments are taken out of the document.
//! Source: <https://spec.graphql.org/September2025/#CoerceArgumentValues()>

use std::{collections::HashSet, sync::Arc};

use async_graphql::{
    Name, Positioned, ServerResult, Variables, async_trait,
    extensions::{Extension, ExtensionContext, ExtensionFactory, NextParseQuery},
    parser::types::{Directive, DocumentOperations, ExecutableDocument, Selection, SelectionSet},
};
use async_graphql_value::Value;

/// Takes arguments out whose variables were left out.
#[derive(Debug, Clone, Copy)]
pub(super) struct OmittedVariables;

impl ExtensionFactory for OmittedVariables {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self)
    }
}

#[async_trait::async_trait]
impl Extension for OmittedVariables {
    async fn parse_query(
        &self,
        ctx: &ExtensionContext<'_>,
        query: &str,
        variables: &Variables,
        next: NextParseQuery<'_>,
    ) -> ServerResult<ExecutableDocument> {
        let mut document = next.run(ctx, query, variables).await?;
        remove_omitted(&mut document, variables);
        Ok(document)
    }
}

fn remove_omitted(document: &mut ExecutableDocument, variables: &Variables) {
    let operations: Vec<_> = match &mut document.operations {
        DocumentOperations::Single(operation) => vec![operation],
        DocumentOperations::Multiple(operations) => operations.values_mut().collect(),
    };
    let mut omitted = HashSet::new();
    let mut sets: Vec<&mut SelectionSet> = Vec::new();
    for operation in operations {
        operation.node.variable_definitions.retain(|definition| {
            let definition = &definition.node;
            let optional = definition.var_type.node.nullable && definition.default_value.is_none();
            let keep = !optional || variables.contains_key(&definition.name.node);
            if !keep {
                omitted.insert(definition.name.node.clone());
            }
            keep
        });
        sets.push(&mut operation.node.selection_set.node);
    }
    if omitted.is_empty() {
        return;
    }
    sets.extend(document.fragments.values_mut().map(|fragment| &mut fragment.node.selection_set.node));
    while let Some(set) = sets.pop() {
        for selection in &mut set.items {
            match &mut selection.node {
                Selection::Field(field) => {
                    remove_arguments(&mut field.node.arguments, &omitted);
                    remove_in_directives(&mut field.node.directives, &omitted);
                    sets.push(&mut field.node.selection_set.node);
                }
                Selection::InlineFragment(fragment) => {
                    remove_in_directives(&mut fragment.node.directives, &omitted);
                    sets.push(&mut fragment.node.selection_set.node);
                }
                Selection::FragmentSpread(spread) => remove_in_directives(&mut spread.node.directives, &omitted),
            }
        }
    }
}

fn remove_in_directives(directives: &mut [Positioned<Directive>], omitted: &HashSet<Name>) {
    for directive in directives {
        remove_arguments(&mut directive.node.arguments, omitted);
    }
}

fn remove_arguments(arguments: &mut Vec<(Positioned<Name>, Positioned<Value>)>, omitted: &HashSet<Name>) {
    arguments.retain_mut(|(_, value)| !is_omitted(&mut value.node, omitted));
}

/// Whether a value is a variable that was left out. Objects lose fields that are; in lists they are null.
fn is_omitted(value: &mut Value, omitted: &HashSet<Name>) -> bool {
    match value {
        Value::Variable(name) => return omitted.contains(name),
        Value::Object(fields) => fields.retain(|_, value| !is_omitted(value, omitted)),
        Value::List(items) => {
            for item in items {
                if is_omitted(item, omitted) {
                    *item = Value::Null;
                }
            }
        }
        _ => {}
    }
    false
}
