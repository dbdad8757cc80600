//! The names of the schema's enums, for the other faces that take the same arguments.

use async_graphql::resolver_utils::EnumType;

use super::{input, members, retention, usage, user_visits};
use crate::reports::{self, InvalidArgument, filter, page, range};

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

fn find<E: EnumType>(argument: &'static str, name: &str) -> Result<E, InvalidArgument> {
    E::items().iter().find(|item| item.name == name).map(|item| item.value).ok_or_else(|| {
        let name: String = name.chars().take(32).collect();
        let names: Vec<_> = E::items().iter().map(|item| item.name).collect();
        InvalidArgument::new(argument, format!("is \"{name}\"; it must be one of {}", names.join(", ")))
    })
}

macro_rules! named {
    ($($value:ty as $schema:ty),+ $(,)?) => {
        $(impl Named for $value {
            fn names() -> Vec<&'static str> {
                <$schema>::items().iter().map(|item| item.name).collect()
            }

            fn named(argument: &'static str, name: &str) -> Result<Self, InvalidArgument> {
                find::<$schema>(argument, name).map(Into::into)
            }

            fn name(self) -> &'static str {
                let value = <$schema>::from(self);
                <$schema>::items().iter().find(|item| item.value == value).map_or("", |item| item.name)
            }
        })+
    };
}

named! {
    filter::TimeBasis as input::TimeBasis,
    filter::GapFill as input::GapFill,
    filter::Direction as input::OrderDirection,
    chrono::Weekday as input::Weekday,
    range::RelativeRange as input::RelativeRange,
    reports::Granularity as usage::Granularity,
    reports::CohortUnit as retention::CohortPeriod,
    reports::MemberSegment as members::MemberSegment,
    reports::CohortAnchor as retention::CohortAnchor,
    page::UserVisitsField as user_visits::UserVisitsOrderField,
}
