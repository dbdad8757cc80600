//! Lists of plain rows, written down at once. The library resolves a list one field of one row at a time, each a
//! future of its own; rows whose values are there already need none.

use std::borrow::Cow;

use async_graphql::{
    ContextSelectionSet, Name, OutputType, Positioned, ServerResult, Value,
    indexmap::IndexMap,
    parser::types::{Field, Selection, SelectionSet},
    registry::Registry,
};

/// An object type with fields that are values already.
pub(in crate::graphql) trait Row: OutputType {
    /// The value of a field; none where it has to be resolved.
    fn value(&self, field: &str) -> Option<Value>;
}

/// A list of rows. Selections with anything to resolve are left to the library.
#[derive(Debug)]
pub(in crate::graphql) struct Rows<T>(pub(in crate::graphql) Vec<T>);

impl<T: Row> OutputType for Rows<T> {
    fn type_name() -> Cow<'static, str> {
        <Vec<T> as OutputType>::type_name()
    }

    fn qualified_type_name() -> String {
        <Vec<T> as OutputType>::qualified_type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        <Vec<T> as OutputType>::create_type_info(registry)
    }

    async fn resolve(&self, ctx: &ContextSelectionSet<'_>, field: &Positioned<Field>) -> ServerResult<Value> {
        let mut selected = Vec::new();
        if select(ctx, &ctx.item.node, &mut selected)
            && let Some(rows) = self.0.iter().map(|row| written(row, &selected)).collect()
        {
            return Ok(Value::List(rows));
        }
        self.0.resolve(ctx, field).await
    }
}

/// Collects the keys and fields of a selection on rows, fragments expanded: rows are of one type, so that all of them
/// apply. False where a field is more than a value.
fn select<'a>(ctx: &ContextSelectionSet<'a>, set: &'a SelectionSet, selected: &mut Vec<(&'a Name, &'a str)>) -> bool {
    set.items.iter().all(|selection| match &selection.node {
        Selection::Field(field) => {
            let field = &field.node;
            selected.push((&field.response_key().node, &field.name.node));
            field.selection_set.node.items.is_empty() && field.arguments.is_empty() && field.directives.is_empty()
        }
        Selection::InlineFragment(fragment) => select(ctx, &fragment.node.selection_set.node, selected),
        Selection::FragmentSpread(spread) => {
            let fragment = ctx.query_env.fragments.get(&spread.node.fragment_name.node);
            fragment.is_some_and(|fragment| select(ctx, &fragment.node.selection_set.node, selected))
        }
    })
}

fn written<T: Row>(row: &T, selected: &[(&Name, &str)]) -> Option<Value> {
    let mut fields = IndexMap::with_capacity(selected.len());
    for (key, field) in selected {
        let value = if *field == "__typename" { T::type_name().into_owned().into() } else { row.value(field)? };
        fields.insert((*key).clone(), value);
    }
    Some(Value::Object(fields))
}
