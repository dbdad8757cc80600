//! Gives every page a size before its cost is computed: the configured size where the client gives none.

use async_graphql::{
    Name, Positioned,
    parser::types::{DocumentOperations, ExecutableDocument, OperationType, Selection, SelectionSet},
    registry::{MetaType, Registry},
};
use async_graphql_value::Value;

/// Adds `first` to the connections at the root that have neither `first` nor `last`.
pub(in crate::graphql) fn give_size(document: &mut ExecutableDocument, registry: &Registry, size: usize) {
    let root = |name: Option<&String>| name.and_then(|name| registry.types.get(name));
    let operations: Vec<_> = match &mut document.operations {
        DocumentOperations::Single(operation) => vec![operation],
        DocumentOperations::Multiple(operations) => operations.values_mut().collect(),
    };
    for operation in operations {
        let name = match operation.node.ty {
            OperationType::Query => Some(&registry.query_type),
            OperationType::Mutation => registry.mutation_type.as_ref(),
            OperationType::Subscription => registry.subscription_type.as_ref(),
        };
        if let Some(root) = root(name) {
            give(&mut operation.node.selection_set.node, root, size);
        }
    }
    for fragment in document.fragments.values_mut() {
        let on = fragment.node.type_condition.node.on.node.as_str();
        let is_root = on == registry.query_type || registry.subscription_type.as_deref() == Some(on);
        if let Some(root) = registry.types.get(on).filter(|_| is_root) {
            give(&mut fragment.node.selection_set.node, root, size);
        }
    }
}

fn give(set: &mut SelectionSet, root: &MetaType, size: usize) {
    for Positioned { pos, node: selection } in &mut set.items {
        match selection {
            Selection::Field(field) => {
                let field = &mut field.node;
                let meta = root.field_by_name(&field.name.node);
                let is_connection = meta.is_some_and(|meta| SIZES.iter().all(|size| meta.args.contains_key(*size)));
                let is_sized = field
                    .arguments
                    .iter()
                    .any(|(name, value)| SIZES.contains(&name.node.as_str()) && value.node != Value::Null);
                if is_connection && !is_sized {
                    field.arguments.retain(|(name, _)| name.node != SIZES[0]);
                    let argument = Positioned::new(Name::new(SIZES[0]), *pos);
                    field.arguments.push((argument, Positioned::new(Value::Number(size.into()), *pos)));
                }
            }
            Selection::InlineFragment(fragment) => give(&mut fragment.node.selection_set.node, root, size),
            Selection::FragmentSpread(_) => {}
        }
    }
}

/// The arguments for the size of a page.
const SIZES: [&str; 2] = ["first", "last"];
