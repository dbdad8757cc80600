//! The names of the schema's enums, for the other faces that take the same arguments.

use async_graphql::resolver_utils::EnumType;

use crate::reports::InvalidArgument;

/// Values with names in the schema.
pub trait Named: Sized {
    /// Every name, in the schema's order.
    fn names() -> Vec<&'static str>;

    /// The value of that name.
    ///
    /// # Errors
    /// When there is none; the error names `argument`, and every name there is.
    fn named(argument: &'static str, name: &str) -> Result<Self, InvalidArgument>;

    /// The value's name.
    fn name(self) -> &'static str;
}

pub(in crate::graphql) fn names<E: EnumType>() -> Vec<&'static str> {
    E::items().iter().map(|item| item.name).collect()
}

pub(in crate::graphql) fn name<E: EnumType>(value: E) -> &'static str {
    E::items().iter().find(|item| item.value == value).map_or("", |item| item.name)
}

pub(in crate::graphql) fn find<E: EnumType>(argument: &'static str, name: &str) -> Result<E, InvalidArgument> {
    E::items().iter().find(|item| item.name == name).map(|item| item.value).ok_or_else(|| {
        let name: String = name.chars().take(32).collect();
        let problem = format!("is \"{name}\"; it must be one of {}", names::<E>().join(", "));
        InvalidArgument::new(argument, problem)
    })
}

/// Gives the values of a report's enum the names that the schema's enum has for them.
macro_rules! named {
    ($value:ty as $schema:ty) => {
        impl crate::graphql::types::names::Named for $value {
            fn names() -> Vec<&'static str> {
                crate::graphql::types::names::names::<$schema>()
            }

            fn named(argument: &'static str, name: &str) -> Result<Self, crate::reports::InvalidArgument> {
                crate::graphql::types::names::find::<$schema>(argument, name).map(Into::into)
            }

            fn name(self) -> &'static str {
                crate::graphql::types::names::name(<$schema>::from(self))
            }
        }
    };
}

pub(in crate::graphql) use named;
