//! The root type of subscriptions. It has all fields of the root type of queries, so every report can be subscribed to.
//! One execution gives one answer; the transport decides when to execute again.

use std::{borrow::Cow, collections::HashSet, pin::Pin};

use async_graphql::{
    ContainerType as _, Context, Name, OutputType, Positioned, Response, ServerError, ServerResult, SubscriptionType,
    Value,
    futures_util::{Stream, stream},
    indexmap::IndexMap,
    parser::types::{DocumentOperations, ExecutableDocument, Field, OperationType, Selection, TypeCondition},
    registry::{MetaType, Registry},
};

use crate::{
    codes::VALIDATION_FAILED,
    graphql::{error::with_code, reports::Reports},
};

const TYPE: &str = "Subscription";
const DESCRIPTION: &str = "The reports, live: the current answer at once, then every answer that differs from the one \
                           before, within a second of the change unless configured otherwise. Subscribe over a \
                           WebSocket at `/graphql/ws` (`graphql-transport-ws`), or at `/graphql` with `Accept: \
                           text/event-stream`. A subscription follows one report. Each report needs the same scopes \
                           as in `Query`.";

/// The reports of the root type of queries, as subscriptions.
#[derive(Debug, Default)]
pub struct Subscription(Reports);

impl SubscriptionType for Subscription {
    fn type_name() -> Cow<'static, str> {
        TYPE.into()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        let query = <Reports as OutputType>::create_type_info(registry);
        let query = registry.types.get(query.trim_end_matches('!')).cloned();
        registry.create_subscription_type::<Self, _>(|_| {
            let mut root = query.clone().unwrap_or_else(|| unreachable!("the root of queries was just created"));
            if let MetaType::Object { name, description, fields, is_subscription, rust_typename, .. } = &mut root {
                TYPE.clone_into(name);
                *description = Some(DESCRIPTION.to_owned());
                fields.retain(|name, _| !name.starts_with("__"));
                *is_subscription = true;
                *rust_typename = Some(std::any::type_name::<Self>());
            }
            root
        })
    }

    fn create_field_stream<'a>(
        &'a self,
        ctx: &'a Context<'_>,
    ) -> Option<Pin<Box<dyn Stream<Item = Response> + Send + 'a>>> {
        Some(Box::pin(stream::once(async move {
            let mut answer = match Box::pin(self.0.resolve_field(ctx)).await {
                Ok(value) => {
                    let key = ctx.item.node.response_key().node.clone();
                    Response::new(Value::Object(IndexMap::from_iter([(key, value.unwrap_or_default())])))
                }
                Err(error) => Response::from_errors(vec![error]),
            };
            let mut errors = ctx.query_env.errors.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            answer.errors.append(&mut errors);
            answer
        })))
    }
}

/// Moves the field of each subscription out of fragments to its root, because the library ignores fragments there
/// without an error.
///
/// # Errors
/// When a subscription has more than one root field, or a directive at its root.
/// Source: <https://spec.graphql.org/September2025/#sec-Single-Root-Field>
pub(in crate::graphql) fn unfold(document: &mut ExecutableDocument) -> ServerResult<()> {
    let mut unfolded = HashSet::new();
    let ExecutableDocument { operations, fragments } = &mut *document;
    let operations: Vec<_> = match operations {
        DocumentOperations::Single(operation) => vec![operation],
        DocumentOperations::Multiple(operations) => operations.values_mut().collect(),
    };
    for operation in operations.into_iter().filter(|operation| operation.node.ty == OperationType::Subscription) {
        let items = &mut operation.node.selection_set.node.items;
        let mut waiting = std::mem::take(items);
        waiting.reverse();
        while let Some(selection) = waiting.pop() {
            if let Some(directive) = selection.node.directives().first() {
                let problem = format!("The root field of a subscription cannot have @{}.", directive.node.name.node);
                return Err(with_code(ServerError::new(problem, Some(directive.pos)), VALIDATION_FAILED));
            }
            let within = match &selection.node {
                Selection::InlineFragment(fragment) if is_of_root(fragment.node.type_condition.as_ref()) => {
                    Some(&fragment.node.selection_set)
                }
                Selection::FragmentSpread(spread) => {
                    let name = &spread.node.fragment_name.node;
                    let found = fragments.get(name).filter(|found| is_of_root(Some(&found.node.type_condition)));
                    if found.is_some() {
                        unfolded.insert(name.clone());
                    }
                    found.map(|found| &found.node.selection_set)
                }
                _ => None,
            };
            match within {
                Some(set) => waiting.extend(set.node.items.iter().rev().cloned()),
                None => add(items, selection)?,
            }
        }
    }
    fragments.retain(|name, _| !unfolded.contains(name));
    Ok(())
}

fn is_of_root(condition: Option<&Positioned<TypeCondition>>) -> bool {
    condition.is_none_or(|condition| condition.node.on.node == TYPE)
}

/// Adds a selection to the root of a subscription, or merges it into the same field.
fn add(root: &mut Vec<Positioned<Selection>>, selection: Positioned<Selection>) -> ServerResult<()> {
    match (root.first_mut().map(|first| &mut first.node), selection.node) {
        (Some(Selection::Field(first)), Selection::Field(field)) => {
            let (first, pos, field) = (&mut first.node, field.pos, field.node);
            if !is_same(first, &field) {
                let (one, other) = (first.response_key(), field.response_key());
                let problem = format!("A subscription follows one report: `{one}` or `{other}`, not both.");
                return Err(with_code(ServerError::new(problem, Some(pos)), VALIDATION_FAILED));
            }
            first.selection_set.node.items.extend(field.selection_set.node.items);
        }
        // The library's validation rejects anything else.
        (_, node) => root.push(Positioned::new(node, selection.pos)),
    }
    Ok(())
}

/// Whether two fields can be merged into one.
fn is_same(one: &Field, other: &Field) -> bool {
    let arguments = |field: &Field| -> IndexMap<Name, _> {
        field.arguments.iter().map(|(name, value)| (name.node.clone(), value.node.clone())).collect()
    };
    one.response_key().node == other.response_key().node
        && one.name.node == other.name.node
        && arguments(one) == arguments(other)
}
