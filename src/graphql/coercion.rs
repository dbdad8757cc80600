//! Values against their types, before anything is executed: the library leaves some mistakes, such as
//! an `Int` beyond 32 bits, to the resolvers, where they would concern a field and not the request.
//! Source: <https://spec.graphql.org/September2025/#sec-Input-Values>

use async_graphql::{
    Name, Number, Positioned, ServerError, ServerResult, Variables,
    parser::types::{Directive, ExecutableDocument, OperationDefinition, OperationType, Selection, SelectionSet},
    registry::{MetaInputValue, MetaType, MetaTypeName, Registry},
};
use async_graphql_value::{ConstValue, Value, indexmap::IndexMap};

use super::error::{BAD_USER_INPUT, VALIDATION_FAILED, with_code};

/// Checks what was given for the variables of `operation`. Types that the schema does not know are the
/// validation's business.
pub(super) fn check_variables(
    registry: &Registry,
    operation: &OperationDefinition,
    variables: &Variables,
) -> ServerResult<()> {
    for Positioned { pos, node: definition } in &operation.variable_definitions {
        let name = &definition.name.node;
        let Some(value) = variables.get(name) else { continue };
        let values = Values { registry, literal: false };
        values.check(&definition.var_type.node.to_string(), &value.clone().into_value(), &format!("${name}")).map_err(
            |problem| with_code(ServerError::new(format!("The variable {problem}"), Some(*pos)), BAD_USER_INPUT),
        )?;
    }
    Ok(())
}

/// Checks the values that are written in the document itself.
pub(super) fn check_literals(registry: &Registry, document: &ExecutableDocument) -> ServerResult<()> {
    for (_, Positioned { node: operation, .. }) in document.operations.iter() {
        let root = match operation.ty {
            OperationType::Query => Some(&registry.query_type),
            OperationType::Mutation => registry.mutation_type.as_ref(),
            OperationType::Subscription => registry.subscription_type.as_ref(),
        };
        check_directives(registry, &operation.directives)?;
        check_set(registry, root.and_then(|root| registry.types.get(root)), &operation.selection_set.node)?;
    }
    for Positioned { node: fragment, .. } in document.fragments.values() {
        let on = registry.types.get(fragment.type_condition.node.on.node.as_str());
        check_set(registry, on, &fragment.selection_set.node)?;
    }
    Ok(())
}

fn check_set(registry: &Registry, parent: Option<&MetaType>, set: &SelectionSet) -> ServerResult<()> {
    for Positioned { node: selection, .. } in &set.items {
        check_directives(registry, selection.directives())?;
        match selection {
            Selection::Field(Positioned { node: field, .. }) => {
                let Some(meta) = parent.and_then(|parent| parent.field_by_name(&field.name.node)) else { continue };
                check_arguments(registry, &meta.args, &field.arguments)?;
                check_set(registry, registry.concrete_type_by_name(&meta.ty), &field.selection_set.node)?;
            }
            Selection::InlineFragment(Positioned { node: fragment, .. }) => {
                let on = fragment.type_condition.as_ref().map(|condition| condition.node.on.node.as_str());
                let parent = on.map_or(parent, |on| registry.types.get(on));
                check_set(registry, parent, &fragment.selection_set.node)?;
            }
            Selection::FragmentSpread(_) => {}
        }
    }
    Ok(())
}

fn check_directives(registry: &Registry, directives: &[Positioned<Directive>]) -> ServerResult<()> {
    for Positioned { node: directive, .. } in directives {
        if let Some(meta) = registry.directives.get(directive.name.node.as_str()) {
            check_arguments(registry, &meta.args, &directive.arguments)?;
        }
    }
    Ok(())
}

fn check_arguments(
    registry: &Registry,
    known: &IndexMap<String, MetaInputValue>,
    given: &[(Positioned<Name>, Positioned<Value>)],
) -> ServerResult<()> {
    for (Positioned { node: name, .. }, Positioned { pos, node: value }) in given {
        if let Some(argument) = known.get(name.as_str()) {
            Values { registry, literal: true }.check(&argument.ty, value, name).map_err(|problem| {
                with_code(ServerError::new(format!("The argument {problem}"), Some(*pos)), VALIDATION_FAILED)
            })?;
        }
    }
    Ok(())
}

/// Values of a document, or those of variables, where names of an enum come as strings.
struct Values<'a> {
    registry: &'a Registry,
    literal: bool,
}

impl Values<'_> {
    /// Fails with a sentence that begins with the `place` of what is wrong.
    fn check(&self, ty: &str, value: &Value, place: &str) -> Result<(), String> {
        let expected = |got: &str| Err(format!("`{place}` must be of type {ty}{got}."));
        match (MetaTypeName::create(ty), value) {
            // A variable's type is held against the place where it stands by the validation.
            (_, Value::Variable(_)) => Ok(()),
            (MetaTypeName::NonNull(_), Value::Null) => expected(", not null"),
            (MetaTypeName::NonNull(ty), value) => self.check(ty, value, place),
            (_, Value::Null) => Ok(()),
            (MetaTypeName::List(ty), Value::List(items)) => items
                .iter()
                .enumerate()
                .try_for_each(|(index, item)| self.check(ty, item, &format!("{place}[{index}]"))),
            (MetaTypeName::List(ty), single) => self.check(ty, single, place),
            (MetaTypeName::Named(name), value) => match (self.registry.types.get(name), value) {
                (Some(MetaType::Scalar { .. }), Value::Number(number)) if name == "Int" && !is_int(number) => {
                    expected(&format!(", a whole number of 32 bits, not {number}"))
                }
                (Some(MetaType::Scalar { is_valid, .. }), value) => {
                    let constant = value.clone().into_const();
                    let fits = |value: &ConstValue| is_valid.as_ref().is_none_or(|is_valid| is_valid(value));
                    // What holds variables is a list or an object: no scalar of this schema.
                    if constant.as_ref().is_some_and(fits) { Ok(()) } else { expected("") }
                }
                (Some(MetaType::Enum { enum_values, .. }), Value::Enum(name)) => {
                    if enum_values.contains_key(name.as_str()) { Ok(()) } else { expected(&format!(", not {name}")) }
                }
                (Some(MetaType::Enum { enum_values, .. }), Value::String(name)) if !self.literal => {
                    if enum_values.contains_key(name) { Ok(()) } else { expected(&format!(", not {name}")) }
                }
                (Some(MetaType::InputObject { input_fields, .. }), Value::Object(fields)) => {
                    self.check_object(name, input_fields, fields, place)
                }
                (Some(MetaType::Enum { .. } | MetaType::InputObject { .. }), _) => expected(""),
                _ => Ok(()),
            },
        }
    }

    fn check_object(
        &self,
        ty: &str,
        known: &IndexMap<String, MetaInputValue>,
        given: &IndexMap<Name, Value>,
        place: &str,
    ) -> Result<(), String> {
        if let Some(unknown) = given.keys().find(|name| !known.contains_key(name.as_str())) {
            return Err(format!("`{place}.{unknown}` is unknown: {ty} has no such field."));
        }
        for field in known.values() {
            let place = || format!("{place}.{}", field.name);
            match given.get(field.name.as_str()) {
                Some(value) => self.check(&field.ty, value, &place())?,
                None if field.ty.ends_with('!') && field.default_value.is_none() => {
                    return Err(format!("`{}` of type {} was not given.", place(), field.ty));
                }
                None => {}
            }
        }
        Ok(())
    }
}

fn is_int(number: &Number) -> bool {
    number.as_i64().is_some_and(|number| i32::try_from(number).is_ok())
}
