//! Checks values against their types before anything is executed. The library leaves some errors, such as an `Int`
//! beyond 32 bits, to the resolvers; then they would be errors of a field instead of the request.
//! Source: <https://spec.graphql.org/September2025/#sec-Input-Values>

use std::cell::Cell;

use async_graphql::{
    Name, Number, Positioned, ServerError, ServerResult, Variables,
    parser::types::{
        Directive, ExecutableDocument, OperationDefinition, OperationType, Selection, SelectionSet, VariableDefinition,
    },
    registry::{MetaInputValue, MetaType, MetaTypeName, Registry},
};
use async_graphql_value::{ConstValue, Value, indexmap::IndexMap};

use crate::{
    codes::{BAD_USER_INPUT, VALIDATION_FAILED},
    graphql::{error::with_code, upstream::variables::for_each_arguments},
};

/// The most bytes of unknown fields and arguments. To suggest another name, the library compares each of them with all that are
/// known, byte by byte; a hundred kilobytes kept it busy for tens of milliseconds.
const UNKNOWN_MAX: usize = 4_096;

/// Checks the values of the variables of `operation`. Unknown types are left to the library's validation.
pub(in crate::graphql) fn check_variables(
    registry: &Registry,
    operation: &OperationDefinition,
    variables: &Variables,
) -> ServerResult<()> {
    for Positioned { pos, node: definition } in &operation.variable_definitions {
        let name = &definition.name.node;
        let Some(value) = variables.get(name) else { continue };
        let values = Values { registry, definitions: &[], literal: false, unknown: Cell::default() };
        let (ty, value) = (definition.var_type.node.to_string(), value.clone().into_value());
        values.check(&ty, &value, &format!("${name}")).map_err(|problem| {
            with_code(ServerError::new(format!("The variable {problem}"), Some(*pos)), BAD_USER_INPUT)
        })?;
    }
    Ok(())
}

/// Checks the values in the document, how many of its names are unknown, and whether the variables of `operation` are allowed where they are used. The
/// library cannot check variables that were omitted, because they are removed before its validation.
pub(in crate::graphql) fn check_document(
    registry: &Registry,
    document: &ExecutableDocument,
    operation: &OperationDefinition,
) -> ServerResult<()> {
    let definitions = &operation.variable_definitions;
    let values = Values { registry, definitions, literal: true, unknown: Cell::default() };
    for (_, Positioned { node: operation, .. }) in document.operations.iter() {
        let root = match operation.ty {
            OperationType::Query => Some(&registry.query_type),
            OperationType::Mutation => registry.mutation_type.as_ref(),
            OperationType::Subscription => registry.subscription_type.as_ref(),
        };
        values.check_directives(&operation.directives)?;
        values.check_set(root.and_then(|root| registry.types.get(root)), &operation.selection_set.node)?;
    }
    for Positioned { node: fragment, .. } in document.fragments.values() {
        let on = registry.types.get(fragment.type_condition.node.on.node.as_str());
        values.check_set(on, &fragment.selection_set.node)?;
    }
    Ok(())
}

/// Checks values of a document (`literal`), or of variables, in which enum values are strings.
struct Values<'a> {
    registry: &'a Registry,
    definitions: &'a [Positioned<VariableDefinition>],
    literal: bool,
    /// The bytes of all unknown names so far.
    unknown: Cell<usize>,
}

impl Values<'_> {
    fn check_set(&self, parent: Option<&MetaType>, set: &SelectionSet) -> ServerResult<()> {
        for Positioned { node: selection, .. } in &set.items {
            self.check_directives(selection.directives())?;
            match selection {
                Selection::Field(Positioned { node: field, .. }) => {
                    let Some(meta) = parent.and_then(|parent| parent.field_by_name(&field.name.node)) else {
                        if parent.is_some() && field.name.node != "__typename" {
                            self.count_unknown("field", &field.name)?;
                        }
                        continue;
                    };
                    self.check_arguments(&meta.args, &field.arguments)?;
                    self.check_set(self.registry.concrete_type_by_name(&meta.ty), &field.selection_set.node)?;
                }
                Selection::InlineFragment(Positioned { node: fragment, .. }) => {
                    let on = fragment.type_condition.as_ref().map(|condition| condition.node.on.node.as_str());
                    let parent = on.map_or(parent, |on| self.registry.types.get(on));
                    self.check_set(parent, &fragment.selection_set.node)?;
                }
                Selection::FragmentSpread(_) => {}
            }
        }
        Ok(())
    }

    fn check_directives(&self, directives: &[Positioned<Directive>]) -> ServerResult<()> {
        for Positioned { node: directive, .. } in directives {
            if let Some(meta) = self.registry.directives.get(directive.name.node.as_str()) {
                self.check_arguments(&meta.args, &directive.arguments)?;
            }
        }
        Ok(())
    }

    fn check_arguments(
        &self,
        known: &IndexMap<String, MetaInputValue>,
        given: &[(Positioned<Name>, Positioned<Value>)],
    ) -> ServerResult<()> {
        for (name, Positioned { pos, node: value }) in given {
            let Some(argument) = known.get(name.node.as_str()) else {
                self.count_unknown("argument", name)?;
                continue;
            };
            self.check(expected(argument, value), value, &name.node).map_err(|problem| {
                with_code(ServerError::new(format!("The argument {problem}"), Some(*pos)), VALIDATION_FAILED)
            })?;
        }
        Ok(())
    }

    /// Fails when the document has more unknown names than the library may compare.
    fn count_unknown(&self, what: &str, name: &Positioned<Name>) -> ServerResult<()> {
        self.unknown.set(self.unknown.get() + name.node.len());
        if self.unknown.get() <= UNKNOWN_MAX {
            return Ok(());
        }
        let problem = format!(
            "Unknown {what} \"{}\": the unknown names up to here have more than {UNKNOWN_MAX} bytes.",
            name.node
        );
        Err(with_code(ServerError::new(problem, Some(name.pos)), VALIDATION_FAILED))
    }

    /// Checks a value. The error message begins with its `place`.
    fn check(&self, ty: &str, value: &Value, place: &str) -> Result<(), String> {
        let expected = |got: &str| Err(format!("`{place}` must be of type {ty}{got}."));
        match (MetaTypeName::create(ty), value) {
            (_, Value::Variable(name)) => {
                // A variable without a definition here belongs to another operation, or is left to the library's
                // validation.
                let definition = self.definitions.iter().find(|definition| definition.node.name.node == *name);
                match definition.filter(|definition| !may_stand(&definition.node, ty)) {
                    Some(other) => expected(&format!(", and `${name}` is of type {}", other.node.var_type.node)),
                    None => Ok(()),
                }
            }
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
                    // Only lists and objects can contain variables, and no scalar of this schema is one of these.
                    if constant.as_ref().is_some_and(fits) { Ok(()) } else { expected("") }
                }
                (Some(MetaType::Enum { enum_values, .. }), value) => {
                    let names = || enum_values.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
                    let name = match value {
                        Value::Enum(name) => name.as_str(),
                        Value::String(name) if !self.literal => name,
                        _ => return expected(&format!(": one of {}", names())),
                    };
                    if enum_values.contains_key(name) {
                        return Ok(());
                    }
                    let name: String = name.chars().take(32).collect();
                    Err(format!("`{place}` is {name}; it must be one of {}.", names()))
                }
                (Some(MetaType::InputObject { input_fields, .. }), Value::Object(fields)) => {
                    self.check_object(name, input_fields, fields, place)
                }
                (Some(MetaType::InputObject { .. }), _) => expected(""),
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
                Some(value) => self.check(expected(field, value), value, &place())?,
                None if field.ty.ends_with('!') && field.default_value.is_none() => {
                    return Err(format!("`{}` of type {} was not given.", place(), field.ty));
                }
                None => {}
            }
        }
        Ok(())
    }
}

/// The type that a value must have. A nullable variable is allowed where the argument or field has a default.
fn expected<'a>(place: &'a MetaInputValue, value: &Value) -> &'a str {
    match (&place.default_value, value) {
        (Some(_), Value::Variable(_)) => place.ty.trim_end_matches('!'),
        _ => &place.ty,
    }
}

/// Whether a variable is allowed where a value of type `ty` is expected.
/// Source: <https://spec.graphql.org/September2025/#IsVariableUsageAllowed()>
fn may_stand(variable: &VariableDefinition, ty: &str) -> bool {
    let given = variable.var_type.node.to_string();
    let has_default = variable.default_value.as_ref().is_some_and(|default| default.node != ConstValue::Null);
    is_compatible(&if has_default && !given.ends_with('!') { given + "!" } else { given }, ty)
}

fn is_compatible(given: &str, expected: &str) -> bool {
    match (MetaTypeName::create(given), MetaTypeName::create(expected)) {
        (MetaTypeName::NonNull(given), MetaTypeName::NonNull(expected))
        | (MetaTypeName::List(given), MetaTypeName::List(expected)) => is_compatible(given, expected),
        (_, MetaTypeName::NonNull(_)) => false,
        (MetaTypeName::NonNull(given), _) => is_compatible(given, expected),
        (MetaTypeName::Named(given), MetaTypeName::Named(expected)) => given == expected,
        _ => false,
    }
}

/// Writes `-0` as `0`, which the library knows as an `Int`.
pub(in crate::graphql) fn settle_zeros(document: &mut ExecutableDocument) {
    fn settle(value: &mut Value) {
        match value {
            Value::Number(number)
                if number.as_f64().is_some_and(|number| number == 0.0 && number.is_sign_negative()) =>
            {
                *value = Value::Number(0.into());
            }
            Value::List(items) => items.iter_mut().for_each(settle),
            Value::Object(fields) => fields.values_mut().for_each(settle),
            _ => {}
        }
    }
    for_each_arguments(document, |arguments| arguments.iter_mut().for_each(|(_, value)| settle(&mut value.node)));
}

fn is_int(number: &Number) -> bool {
    number.as_i64().is_some_and(|number| i32::try_from(number).is_ok())
}
