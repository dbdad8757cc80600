//! Pages of `user_visits`: number of rows, order, and cursors.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, NaiveDateTime};
use sea_orm::{DbBackend, sea_query::Expr};

use crate::{
    config::limits::PageLimits,
    reports::{Argument, InvalidArgument, checked_size, dialect::instant, filter::Direction, model::UserVisits},
};

/// Longer than any valid cursor.
const MAX_CURSOR: usize = 128;

/// The sort key of `user_visits`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UserVisitsField {
    /// The member's id.
    #[default]
    UserId,
    /// Door codes used.
    Visits,
    /// Door codes issued.
    TokensIssued,
    /// When the member joined.
    JoinedAt,
    /// The earliest visit.
    FirstVisitAt,
    /// The latest visit.
    LastVisitAt,
}

impl UserVisitsField {
    /// All sort keys.
    pub const ALL: [Self; 6] =
        [Self::UserId, Self::Visits, Self::TokensIssued, Self::JoinedAt, Self::FirstVisitAt, Self::LastVisitAt];

    pub(in crate::reports) fn column(self) -> &'static str {
        match self {
            Self::UserId => "user_id",
            Self::Visits => "visits",
            Self::TokensIssued => "tokens_issued",
            Self::JoinedAt => "joined_at",
            Self::FirstVisitAt => "first_visit_at",
            Self::LastVisitAt => "last_visit_at",
        }
    }

    /// Whether members may lack the value. Those come last, in either direction.
    pub(in crate::reports) fn is_nullable(self) -> bool {
        matches!(self, Self::JoinedAt | Self::FirstVisitAt | Self::LastVisitAt)
    }
}

/// An order of members: by a field, then by ascending id.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UserVisitsOrder {
    /// The sort key.
    pub field: UserVisitsField,
    /// The direction.
    pub direction: Direction,
}

impl UserVisitsOrder {
    pub(in crate::reports) fn is_ascending(self) -> bool {
        self.direction == Direction::Ascending
    }

    /// The cursor of a row, opaque to callers: the order, the row's sort key, and its id.
    #[must_use]
    pub fn cursor(self, row: &UserVisits) -> String {
        let time = |time: Option<NaiveDateTime>| time.map(|time| time.and_utc().timestamp_micros());
        let key = match self.field {
            UserVisitsField::UserId => Some(row.user_id.into()),
            UserVisitsField::Visits => Some(row.visits),
            UserVisitsField::TokensIssued => Some(row.tokens_issued),
            UserVisitsField::JoinedAt => time(row.joined_at),
            UserVisitsField::FirstVisitAt => time(row.first_visit_at),
            UserVisitsField::LastVisitAt => time(row.last_visit_at),
        };
        let mut text = self.tag();
        if let Some(key) = key {
            let _ = write!(text, "{key}");
        }
        let _ = write!(text, ":{}", row.user_id);
        URL_SAFE_NO_PAD.encode(text)
    }

    fn parse(self, argument: Argument, cursor: &str) -> Result<UserVisitsCursor, InvalidArgument> {
        let broken = || {
            InvalidArgument::new(argument, "is not a cursor of this list: take one from `edges.cursor` or `pageInfo`")
        };
        let bytes = if cursor.len() <= MAX_CURSOR { URL_SAFE_NO_PAD.decode(cursor).ok() } else { None };
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(broken)?;
        if !text.starts_with("v1:") {
            return Err(broken());
        }
        let rest = text.strip_prefix(&self.tag()).ok_or_else(|| {
            InvalidArgument::new(argument, "belongs to a list in another order: keep ")
                .and(Argument::ORDER_BY, " the same from page to page")
        })?;
        let (key, user_id) = rest.split_once(':').ok_or_else(broken)?;
        let number = |text: &str| text.parse::<i64>().map_err(|_| broken());
        let key = match (key, self.field) {
            ("", field) if field.is_nullable() => None,
            (key, field) if field.is_nullable() => {
                let time = DateTime::from_timestamp_micros(number(key)?).ok_or_else(broken)?;
                Some(Key::Time(time.naive_utc()))
            }
            (key, _) => Some(Key::Number(number(key)?)),
        };
        Ok(UserVisitsCursor { key, user_id: user_id.parse().map_err(|_| broken())? })
    }

    fn tag(self) -> String {
        format!("v1:{}:{}:", self.field.column(), if self.is_ascending() { "asc" } else { "desc" })
    }
}

/// A place in an ordered list.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::reports) struct UserVisitsCursor {
    /// The sort key; `None` when the member lacks it.
    pub(in crate::reports) key: Option<Key>,
    pub(in crate::reports) user_id: i32,
}

/// The value of a sort key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::reports) enum Key {
    Number(i64),
    /// In UTC.
    Time(NaiveDateTime),
}

impl Key {
    pub(in crate::reports) fn value(self, backend: DbBackend) -> Expr {
        match self {
            Self::Number(number) => Expr::val(number),
            Self::Time(time) => instant(backend, time),
        }
    }
}

/// A part of an ordered list: all rows, or a number of rows from its start or its end.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    size: Option<usize>,
    backward: bool,
    after: Option<UserVisitsCursor>,
    before: Option<UserVisitsCursor>,
}

/// The paging arguments of a caller.
#[derive(Debug, Clone, Copy, Default)]
pub struct PageArguments<'a> {
    /// Number of rows from the start, or after `after`.
    pub first: Option<i32>,
    /// The cursor after which the page begins.
    pub after: Option<&'a str>,
    /// Number of rows up to the end, or up to `before`.
    pub last: Option<i32>,
    /// The cursor before which the page ends.
    pub before: Option<&'a str>,
}

impl Page {
    /// All rows.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// The first `size` rows.
    #[must_use]
    pub fn first(size: usize) -> Self {
        Self { size: Some(size), ..Self::default() }
    }

    /// The page that Relay's connection arguments describe.
    /// Source: <https://relay.dev/graphql/connections.htm#sec-Arguments>
    ///
    /// # Errors
    /// When both `first` and `last` are given, a size is not in `1..=limits.max`, or a cursor does not belong to this
    /// order.
    pub fn new(
        arguments: PageArguments<'_>,
        order: UserVisitsOrder,
        limits: PageLimits,
    ) -> Result<Self, InvalidArgument> {
        let PageArguments { first, after, last, before } = arguments;
        if first.is_some() && last.is_some() {
            return Err(InvalidArgument::new(Argument::LAST, "cannot be combined with ")
                .and(Argument::FIRST, ": use one of them"));
        }
        let size = match (first, last) {
            (Some(size), _) => checked_size(Argument::FIRST, size, limits.max)?,
            (_, Some(size)) => checked_size(Argument::LAST, size, limits.max)?,
            (None, None) => limits.default,
        };
        Ok(Self {
            size: Some(size),
            backward: last.is_some(),
            after: after.map(|cursor| order.parse(Argument::AFTER, cursor)).transpose()?,
            before: before.map(|cursor| order.parse(Argument::BEFORE, cursor)).transpose()?,
        })
    }

    pub(in crate::reports) fn size(&self) -> Option<usize> {
        self.size
    }

    pub(in crate::reports) fn is_backward(&self) -> bool {
        self.backward
    }

    pub(in crate::reports) fn after(&self) -> Option<&UserVisitsCursor> {
        self.after.as_ref()
    }

    pub(in crate::reports) fn before(&self) -> Option<&UserVisitsCursor> {
        self.before.as_ref()
    }

    /// The cursor from which the page starts, and whether the page lies after it.
    pub(in crate::reports) fn behind(&self) -> Option<(&UserVisitsCursor, bool)> {
        if self.backward {
            self.before().map(|cursor| (cursor, false))
        } else {
            self.after().map(|cursor| (cursor, true))
        }
    }

    pub(in crate::reports) fn is_bounded_behind(&self) -> bool {
        self.behind().is_some()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn orders() -> impl Strategy<Value = UserVisitsOrder> {
        let directions = prop_oneof![Just(Direction::Ascending), Just(Direction::Descending)];
        (proptest::sample::select(&UserVisitsField::ALL[..]), directions)
            .prop_map(|(field, direction)| UserVisitsOrder { field, direction })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_cursor_leads_back_to_its_row(order in orders(), user_id: i32, visits in 0..i64::MAX, micros in proptest::option::of(-1_i64 << 50..1 << 50)) {
            let time = micros.and_then(DateTime::from_timestamp_micros).map(|time| time.naive_utc());
            let row = UserVisits {
                user_id, visits, tokens_issued: visits, tokens_unused: 0,
                first_visit_at: time, last_visit_at: time, joined_at: time, is_active: None, name: None, rank: 0,
            };
            let cursor = order.parse(Argument::AFTER, &order.cursor(&row)).unwrap();
            prop_assert_eq!(cursor.user_id, user_id);
            let key = match order.field {
                UserVisitsField::UserId => Some(Key::Number(i64::from(user_id))),
                UserVisitsField::Visits | UserVisitsField::TokensIssued => Some(Key::Number(visits)),
                _ => time.map(Key::Time),
            };
            prop_assert_eq!(cursor.key, key);
        }

        #[test]
        fn anything_else_is_refused(order in orders(), text in ".{0,80}") {
            prop_assert!(order.parse(Argument::AFTER, &text).is_err());
            prop_assert!(order.parse(Argument::AFTER, &URL_SAFE_NO_PAD.encode(text)).is_err());
        }
    }
}
