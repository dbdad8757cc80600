//! Lists of plain rows that are written directly. The library resolves lists one field of one row at a time, each as a
//! future. Rows whose values are already known do not need that.

use std::borrow::Cow;

use async_graphql::{
    ContextSelectionSet, Name, OutputType, Positioned, ServerResult, Value,
    indexmap::IndexMap,
    parser::types::{Field, Selection, SelectionSet},
    registry::Registry,
};

use crate::graphql::names::camel_case;

/// An object type with fields whose values are already known.
pub(in crate::graphql) trait Row: OutputType {
    /// The names of these fields in Rust.
    const FIELDS: &'static [&'static str];

    /// The value of one of these fields.
    fn value(&self, field: usize) -> Value;
}

/// Implements [`Row`] for a type: lists the fields that are values, and those that are resolved. A missing field is a
/// compile error.
macro_rules! row {
    ($row:ident: $($value:ident),+ $(; resolved: $($resolved:ident),+)?) => {
        impl crate::graphql::types::rows::Row for $row {
            const FIELDS: &'static [&'static str] = &[$(stringify!($value)),+];

            fn value(&self, field: usize) -> async_graphql::Value {
                let Self { $($value,)+ $($($resolved: _,)+)? } = self;
                let mut at = 0;
                $(
                    if field == at {
                        return async_graphql::InputType::to_value($value);
                    }
                    at += 1;
                )+
                async_graphql::Value::Null
            }
        }
    };
}

pub(in crate::graphql) use row;

/// A list of rows. When a selected field must be resolved, the library resolves the list.
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
            && let Some(fields) = selected.iter().map(|(key, name)| Some((*key, field_of::<T>(name)?))).collect()
        {
            let fields: Vec<_> = fields;
            return Ok(Value::List(self.0.iter().map(|row| written(row, &fields)).collect()));
        }
        self.0.resolve(ctx, field).await
    }
}

/// Collects the keys and fields of a selection, with fragments expanded; rows have only one type, so every fragment
/// applies. False when a field has arguments, directives or a selection of its own.
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

/// A field of a row.
#[derive(Clone, Copy)]
enum Selected {
    TypeName,
    Value(usize),
}

/// The field with this name in the schema, if it is a plain value.
fn field_of<T: Row>(name: &str) -> Option<Selected> {
    if name == "__typename" {
        return Some(Selected::TypeName);
    }
    let index = T::FIELDS.iter().position(|field| camel_case(field.split('_')) == name)?;
    Some(Selected::Value(index))
}

fn written<T: Row>(row: &T, fields: &[(&Name, Selected)]) -> Value {
    let mut object = IndexMap::with_capacity(fields.len());
    for (key, field) in fields {
        let value = match field {
            Selected::TypeName => T::type_name().into_owned().into(),
            Selected::Value(index) => row.value(*index),
        };
        object.insert((*key).clone(), value);
    }
    Value::Object(object)
}
