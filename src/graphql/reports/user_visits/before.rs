//! `userVisits { nodes { previous } }`: the members of a page in an earlier period.

use async_graphql::{InputType, Lookahead, SimpleObject, Value};

use crate::{
    graphql::{
        reports::usage::comparison::{Comparison, Extent},
        types::scalars::{Date, DateTime},
    },
    reports::{
        Error, InvalidArgument, Placed, Session, UserVisitsBefore, UserVisitsComparison,
        filter::UserVisitsFilter,
        model::{UserVisits, change},
    },
};

/// The arguments of a comparison.
type Asked = (Comparison, Extent);

/// The comparisons that a document selects, before they are made.
pub(super) fn comparisons(
    session: &Session,
    selection: &Lookahead<'_>,
    filter: &UserVisitsFilter,
) -> Result<Vec<(Asked, UserVisitsComparison)>, InvalidArgument> {
    let mut comparisons = Vec::<(Asked, _)>::new();
    for row in [selection.field("nodes"), selection.field("edges").field("node")] {
        for field in row.field("previous").selection_fields() {
            let arguments = field.arguments().unwrap_or_default();
            let value = |name| arguments.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
            let asked: Asked = (parsed(value("compareTo")), parsed(value("extent")));
            if comparisons.iter().all(|(known, _)| *known != asked) {
                let comparison = session.user_visits_comparison(filter, asked.0.into(), asked.1.into())?;
                comparisons.push((asked, comparison));
            }
        }
    }
    Ok(comparisons)
}

/// The comparisons that a document selects, each for all members of a page.
#[derive(Debug, Default)]
pub(super) struct Befores(Vec<(Asked, UserVisitsBefore)>);

impl Befores {
    pub(super) async fn of(
        session: &Session,
        comparisons: Vec<(Asked, UserVisitsComparison)>,
        members: &[UserVisits],
    ) -> Result<Self, Error> {
        let ids: Vec<_> = members.iter().map(|member| member.user_id).collect();
        let mut befores = Self::default();
        for (asked, comparison) in comparisons {
            befores.0.push((asked, session.user_visits_before(&comparison, &ids).await?));
        }
        Ok(befores)
    }

    fn find(&self, asked: Asked) -> Option<&UserVisitsBefore> {
        self.0.iter().find(|(known, _)| *known == asked).map(|(_, before)| before)
    }

    pub(super) fn member(&self, id: i32, comparison: Comparison, extent: Extent) -> Option<PreviousUserVisits> {
        let before = self.find((comparison, extent))?;
        let (from, to, up_to) = before.dates_and_end();
        let [now, then] = before.member(id);
        let Placed { visits, tokens_issued, tokens_unused, rank } = then;
        Some(PreviousUserVisits {
            from: from.into(),
            to: to.into(),
            up_to: DateTime(up_to),
            visits,
            tokens_issued,
            tokens_unused,
            rank,
            change: UserVisitsChange {
                visits: now.visits - visits,
                tokens_issued: now.tokens_issued - tokens_issued,
                tokens_unused: now.tokens_unused - tokens_unused,
                rank: change(now.rank, rank),
            },
        })
    }
}

/// The value of an argument. Validation has checked it.
fn parsed<T: InputType + Default>(value: Option<Value>) -> T {
    value.and_then(|value| T::parse(Some(value)).ok()).unwrap_or_default()
}

/// The door codes and visits of a member in an earlier period, with zeros where there were none.
#[derive(Debug, SimpleObject)]
pub(super) struct PreviousUserVisits {
    /// The first local date of the earlier period that is compared.
    from: Date,
    /// The last local date of the earlier period that is compared.
    to: Date,
    /// The instant, in UTC, at which the compared part of the earlier period ends. It is the same time of day as now
    /// where `to` is the counterpart of today.
    up_to: DateTime,
    /// Visits: door codes that were used.
    visits: i64,
    /// Door codes issued, used or not.
    tokens_issued: i64,
    /// Door codes issued and not used so far.
    tokens_unused: i64,
    /// The rank of the member by visits among all members with door codes in the earlier period: 1 is the member with
    /// the most visits. Of the list's filter, `userIds`, `joinedFrom`, `joinedTo` and `isActive` apply, and conditions on
    /// visits do not. Null when the member had no door code in the period.
    rank: Option<i64>,
    /// The part of the list's own range that is compared, minus this period.
    change: UserVisitsChange,
}

/// Differences between a member's numbers in the compared part of the list's range and in the earlier period.
#[derive(Debug, SimpleObject)]
struct UserVisitsChange {
    /// The difference in visits.
    visits: i64,
    /// The difference in door codes issued.
    tokens_issued: i64,
    /// The difference in door codes issued and not used so far.
    tokens_unused: i64,
    /// The difference in ranks: -2 for a member who went from rank 5 to rank 3. Null when the member had no door code
    /// on one side.
    rank: Option<i64>,
}
