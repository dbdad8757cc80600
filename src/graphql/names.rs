//! Names as the schema spells them, for the other faces that take the same arguments.

use async_graphql::resolver_utils::EnumType;

/// Values with names in the schema.
pub trait Named: Sized {
    /// Every name, in the schema's order.
    fn names() -> Vec<&'static str>;

    /// The value of that name, if there is one.
    fn named(name: &str) -> Option<Self>;

    /// The value's name.
    fn name(self) -> &'static str;
}

/// Words as a name in the schema: `rollingAverage`.
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

/// Gives the values of a report's enum the names that the schema's enum has for them.
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
