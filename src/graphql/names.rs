//! The names of the schema, for the other interfaces that take the same arguments.

use async_graphql::resolver_utils::EnumType;

/// A type whose values have names in the schema.
pub trait Named: Sized {
    /// All names, in the schema's order.
    fn names() -> Vec<&'static str>;

    /// The value with that name, if there is one.
    fn named(name: &str) -> Option<Self>;

    /// The value's name.
    fn name(self) -> &'static str;
}

/// Joins words into a name of the schema, such as `rollingAverage`.
pub(in crate::graphql) fn camel_case<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let mut name = String::new();
    for word in words {
        let (first, rest) = word.split_at(word.len().min(1));
        if name.is_empty() {
            name.push_str(first);
        } else {
            name.push_str(&first.to_uppercase());
        }
        name.push_str(rest);
    }
    name
}

pub(in crate::graphql) fn names<E: EnumType>() -> Vec<&'static str> {
    E::items().iter().map(|item| item.name).collect()
}

pub(in crate::graphql) fn name<E: EnumType>(value: E) -> &'static str {
    E::items().iter().find(|item| item.value == value).map_or("", |item| item.name)
}

pub(in crate::graphql) fn named<E: EnumType>(name: &str) -> Option<E> {
    E::items().iter().find(|item| item.name == name).map(|item| item.value)
}

/// Implements [`Named`] for an enum of `reports`, with the names of the schema's enum.
macro_rules! give_names {
    ($value:ty as $schema:ty) => {
        impl crate::graphql::names::Named for $value {
            fn names() -> Vec<&'static str> {
                crate::graphql::names::names::<$schema>()
            }

            fn named(name: &str) -> Option<Self> {
                crate::graphql::names::named::<$schema>(name).map(Into::into)
            }

            fn name(self) -> &'static str {
                crate::graphql::names::name(<$schema>::from(self))
            }
        }
    };
}

pub(in crate::graphql) use give_names;
