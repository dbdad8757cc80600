//! The parameters of the reports' routes: the arguments of the GraphQL fields, in `snake_case`. One table declares them
//! for the parser and for the `OpenAPI` description.

use std::collections::BTreeMap;

use crate::{
    graphql::Named,
    http::{
        error::Failure,
        rest::table::{DELIMITERS, FORMATS, Format},
    },
    reports::{
        Argument, Here, Session, Thresholds, Week,
        filter::{Direction, GapFill, TimeBasis, TokenFilter, UserFilter, UserVisitsFilter, VisitsRange},
        name::{MAX_NAME_PART, NamePart},
        page::{UserVisitsField, UserVisitsOrder},
        range::{DateRange, RelativeRange},
        time_zone::Zone,
    },
};

/// A parameter of a route.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) struct Parameter {
    pub(in crate::http) name: &'static str,
    pub(in crate::http) kind: Kind,
    /// Its description, in a sentence.
    pub(in crate::http) about: &'static str,
}

/// The kind of value that a parameter takes.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) enum Kind {
    /// `YYYY-MM-DD`, or milliseconds since 1970.
    Date,
    /// The IANA name of a time zone.
    Zone,
    /// Text of at most so many characters.
    Text(usize),
    /// `true` or `false`.
    Flag,
    /// A whole number from the first to the second, both included.
    Whole(i32, i32),
    /// Ids, separated by commas.
    Ids,
    /// One of these names.
    Name(fn() -> Vec<&'static str>),
    /// Some of these names, separated by commas.
    Names(fn() -> Vec<&'static str>),
}

pub(in crate::http) const fn parameter(name: &'static str, kind: Kind, about: &'static str) -> Parameter {
    Parameter { name, kind, about }
}

pub(in crate::http) const THRESHOLDS: [Parameter; 3] = [
    parameter(
        "new_within_days",
        Kind::Whole(1, 3_650),
        "The local days after the day of joining for which a member is new: 30 when it is left out.",
    ),
    parameter(
        "active_within_days",
        Kind::Whole(1, 3_650),
        "The local days after the day of the last visit for which a member is active: 30 when it is left out.",
    ),
    parameter(
        "lapsed_after_days",
        Kind::Whole(1, 3_650),
        "The local days after the day of the last visit beyond which a member has lapsed, not less than \
         active_within_days: 90 when it is left out.",
    ),
];

pub(in crate::http) const FORMAT: [Parameter; 2] = [
    parameter(
        "format",
        Kind::Name(|| FORMATS.to_vec()),
        "The format of the answer. When it is left out, the header Accept decides; without that, the format is JSON. \
         `excel` is CSV that spreadsheets open by a double click.",
    ),
    parameter(
        "delimiter",
        Kind::Name(|| DELIMITERS.map(|(name, _)| name).to_vec()),
        "The separator of cells with format=excel: `;` when it is left out. With `;` numbers have a decimal comma, with \
         the others a decimal point.",
    ),
];
pub(in crate::http) const RANGE: [Parameter; 4] = [
    parameter("from", Kind::Date, "The first local date, included."),
    parameter("to", Kind::Date, "The last local date, included."),
    parameter(
        "range",
        Kind::Name(RelativeRange::names),
        "A range of dates that moves with the days. It cannot be combined with from or to.",
    ),
    ZONE[0],
];
pub(in crate::http) const ZONE: [Parameter; 1] = [parameter(
    "time_zone",
    Kind::Zone,
    "The time zone of all dates. When it is left out, it is UTC, or the one that the gateway is configured with.",
)];
pub(in crate::http) const USERS: [Parameter; 2] = [
    parameter(
        "user_ids",
        Kind::Ids,
        "Only the members with these ids: at most 1,000, separated by commas. Needs the scope members.",
    ),
    parameter("is_active", Kind::Flag, "Only members whose membership is active now (true), or is not (false)."),
];
pub(in crate::http) const NAME: [Parameter; 1] = [parameter(
    "name_contains",
    Kind::Text(MAX_NAME_PART),
    "Only members whose name contains this text, in upper or lower case: first name, a space and last name. %, _ and \
     \\ mean themselves. Needs the scope members.",
)];
pub(in crate::http) const JOINED: [Parameter; 2] = [
    parameter(
        "joined_from",
        Kind::Date,
        "Only members who joined on this local date or later. Needs the scope members.",
    ),
    parameter(
        "joined_to",
        Kind::Date,
        "Only members who joined on this local date or earlier. Needs the scope members.",
    ),
];
pub(in crate::http) const BASIS: [Parameter; 1] = [parameter(
    "basis",
    Kind::Name(TimeBasis::names),
    "The time that assigns a visit to a day: the issue of its door code, or the use. When it is left out, it is the issue, \
     or the one that the gateway is configured with.",
)];
pub(in crate::http) const WEEKDAYS: [Parameter; 1] =
    [parameter("weekdays", Kind::Names(chrono::Weekday::names), "Only these days of the week, separated by commas.")];
pub(in crate::http) const GAPS: [Parameter; 1] = [parameter(
    "gaps",
    Kind::Name(GapFill::names),
    "The rows for days, or other buckets, without door codes: OMIT when it is left out.",
)];
pub(in crate::http) const WEEK_START: [Parameter; 1] = [parameter(
    "week_start",
    Kind::Name(chrono::Weekday::names),
    "The day on which weeks start: MONDAY when it is left out. Only allowed where the answer has weeks.",
)];
pub(in crate::http) const LIST: [Parameter; 3] = [
    parameter("order_by", Kind::Name(UserVisitsField::names), "The value to sort by: USER_ID when it is left out."),
    parameter("direction", Kind::Name(Direction::names), "The sort direction: ASC when it is left out."),
    parameter("first", Kind::Whole(1, i32::MAX), "The most members to list: all when it is left out."),
];

/// The parameters that a request has.
#[derive(Debug)]
pub(in crate::http) struct Asked {
    values: BTreeMap<&'static str, String>,
}

impl Asked {
    /// Reads a query string.
    ///
    /// # Errors
    /// When it cannot be decoded, or a parameter is unknown or occurs twice.
    pub(in crate::http) fn read(known: &[&[Parameter]], query: &str) -> Result<Self, Failure> {
        let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query).map_err(|_| {
            Failure::BadParameters("The query string cannot be read: it is not percent-encoded UTF-8.".to_owned())
        })?;
        let mut values = BTreeMap::new();
        for (name, value) in pairs {
            let parameter = known.iter().copied().flatten().find(|parameter| parameter.name == name);
            let Some(parameter) = parameter else {
                let name: String = name.chars().take(64).collect();
                let names: Vec<_> = known.iter().copied().flatten().map(|parameter| parameter.name).collect();
                return Err(bad(name, format!("is not a parameter of this route; it has {}", names.join(", "))));
            };
            if values.insert(parameter.name, value).is_some() {
                return Err(bad(name, "is given twice: separate the items of a list by commas"));
            }
        }
        Ok(Self { values })
    }

    pub(in crate::http) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// The format of the answer: that of the parameters, otherwise `accepted`, the preferred media type of `Accept`.
    pub(in crate::http) fn format(&self, accepted: Option<&str>) -> Result<Format, Failure> {
        let delimiter = self.text("delimiter");
        let format = match (self.text("format"), accepted) {
            (Some("excel"), _) => return excel(delimiter.unwrap_or(";")),
            (Some("csv"), _) | (None, Some("text/csv")) => Format::Csv,
            (Some("ndjson"), _) | (None, Some("application/x-ndjson")) => Format::Ndjson,
            (Some("json") | None, _) => Format::Json,
            (Some(other), _) => return Err(not_one_of("format", other, &FORMATS.join(", "))),
        };
        if delimiter.is_some() {
            return Err(bad("delimiter", "is only allowed with format=excel: leave it out"));
        }
        Ok(format)
    }

    /// The value of a parameter that takes one of the schema's names.
    pub(in crate::http) fn one<T: Named>(&self, name: &'static str) -> Result<Option<T>, Failure> {
        self.text(name).map(|text| named(name, text)).transpose()
    }

    fn some<T: Named>(&self, name: &'static str) -> Result<Option<Vec<T>>, Failure> {
        let items = |text: &str| items(text).map(|item| named(name, item)).collect();
        self.text(name).map(items).transpose()
    }

    pub(in crate::http) fn whole(&self, name: &'static str) -> Result<Option<i32>, Failure> {
        let number = |text: &str| {
            text.parse().map_err(|_| bad(name, format!("is \"{}\"; it must be a whole number", short(text))))
        };
        self.text(name).map(number).transpose()
    }

    pub(in crate::http) fn flag(&self, name: &'static str) -> Result<Option<bool>, Failure> {
        let flag = |text: &str| match text {
            "true" => Ok(true),
            "false" => Ok(false),
            other => Err(bad(name, format!("is \"{}\"; it must be true or false", short(other)))),
        };
        self.text(name).map(flag).transpose()
    }

    fn ids(&self) -> Result<Option<Vec<i32>>, Failure> {
        let id = |text: &str| {
            let problem = || format!("has \"{}\", which is not an id: write ids like 1,2,3", short(text));
            text.parse().map_err(|_| bad("user_ids", problem()))
        };
        let ids = |text: &str| items(text).map(id).collect();
        self.text("user_ids").map(ids).transpose()
    }

    pub(in crate::http) fn week_start(&self) -> Result<Option<Week>, Failure> {
        Ok(self.one("week_start")?.map(Week))
    }

    pub(in crate::http) fn relative(&self) -> Result<Option<RelativeRange>, Failure> {
        self.one("range")
    }

    fn here(&self, session: &Session) -> Result<Here, Failure> {
        Ok(Here::new(session, Argument::TIME_ZONE, self.text("time_zone"), self.week_start()?)?)
    }

    fn range(&self, here: Here) -> Result<DateRange, Failure> {
        Ok(here.range(self.relative()?, self.text("from"), self.text("to"))?)
    }

    /// The range, without anything else.
    pub(in crate::http) fn dates(&self, session: &Session) -> Result<DateRange, Failure> {
        self.range(self.here(session)?)
    }

    /// The members of a segment, or all members, and the thresholds between segments.
    pub(in crate::http) fn segment(&self, session: &Session) -> Result<(UserVisitsFilter, Thresholds), Failure> {
        let (users, thresholds, zone) = self.thresholds(session)?;
        Ok((session.segment_filter(self.one("segment")?, thresholds, users, zone), thresholds))
    }

    /// The members to count, the thresholds between segments, and the zone of the days.
    pub(in crate::http) fn thresholds(&self, session: &Session) -> Result<(UserFilter, Thresholds, Zone), Failure> {
        let here = self.here(session)?;
        let days = |name, usual| Ok::<_, Failure>(self.whole(name)?.unwrap_or(usual));
        let thresholds = Thresholds::new(
            days("new_within_days", 30)?,
            days("active_within_days", 30)?,
            days("lapsed_after_days", 90)?,
        )?;
        Ok((self.users(here)?, thresholds, here.zone))
    }

    fn users(&self, here: Here) -> Result<UserFilter, Failure> {
        let (joined_from, joined_to) = (self.text("joined_from"), self.text("joined_to"));
        let name = self.text("name_contains").map(NamePart::new).transpose()?;
        Ok(here.users(self.ids()?, joined_from, joined_to, self.flag("is_active")?)?.named(name))
    }

    /// The door codes that count.
    pub(in crate::http) fn tokens(&self, session: &Session) -> Result<TokenFilter, Failure> {
        let here = self.here(session)?;
        Ok(TokenFilter {
            range: self.range(here)?,
            users: self.users(here)?,
            weekdays: self.some("weekdays")?.map(|days| days.into_iter().collect()).unwrap_or_default(),
            zone: here.zone,
            basis: session.basis(self.one("basis")?),
            ..TokenFilter::default()
        })
    }

    /// The members to list, and which of their door codes count.
    pub(in crate::http) fn members(&self, session: &Session) -> Result<UserVisitsFilter, Failure> {
        let here = self.here(session)?;
        Ok(UserVisitsFilter {
            range: self.range(here)?,
            left_out: Vec::new(),
            users: self.users(here)?,
            zone: here.zone,
            basis: session.basis(self.one("basis")?),
            visits: VisitsRange::new(self.whole("min_visits")?, self.whole("max_visits")?)?,
            last_visit_before: here.date(Argument::LAST_VISIT_BEFORE, self.text("last_visit_before"))?,
            last_visit_from: None,
            include_users_without_visits: self.flag("include_users_without_visits")?.unwrap_or_default(),
        })
    }

    /// The order of a list of members.
    pub(in crate::http) fn order(&self) -> Result<UserVisitsOrder, Failure> {
        Ok(UserVisitsOrder {
            field: self.one("order_by")?.unwrap_or_default(),
            direction: self.one("direction")?.unwrap_or_default(),
        })
    }
}

/// A parameter with a value that cannot be used. The problem continues a sentence that begins with the name.
pub(in crate::http) fn bad(name: impl Into<String>, problem: impl Into<String>) -> Failure {
    Failure::BadParameter { argument: name.into(), problem: problem.into() }
}

fn not_one_of(name: &str, value: &str, known: &str) -> Failure {
    bad(name, format!("is \"{}\"; it must be one of {known}", short(value)))
}

fn named<T: Named>(name: &str, value: &str) -> Result<T, Failure> {
    T::named(value).ok_or_else(|| not_one_of(name, value, &T::names().join(", ")))
}

fn excel(delimiter: &str) -> Result<Format, Failure> {
    let known = DELIMITERS.into_iter().find(|(name, _)| *name == delimiter);
    known.map(|(_, delimiter)| Format::Excel(delimiter)).ok_or_else(|| {
        not_one_of("delimiter", delimiter, &DELIMITERS.map(|(name, _)| format!("\"{name}\"")).join(", "))
    })
}

/// The items of a list.
fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').filter(|item| !item.is_empty())
}

fn short(text: &str) -> String {
    text.chars().take(32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reports::InvalidArgument;

    #[test]
    fn arguments_have_names_of_their_own_here() {
        let error = InvalidArgument::new(Argument::JOINED_FROM, "has trouble with ").and(Argument::MAX_VISITS, "");
        let Failure::BadParameter { argument, problem } = error.into() else { panic!("another failure") };
        assert_eq!((argument.as_str(), problem.as_str()), ("joined_from", "has trouble with `max_visits`"));
    }

    #[test]
    fn a_parameter_is_known_and_comes_once() {
        let read = |query| Asked::read(&[&RANGE], query);
        assert!(read("from=2024-03-01&to=2024-03-02").is_ok_and(|asked| asked.text("to") == Some("2024-03-02")));
        for (query, name) in [("form=2024-03-01", "form"), ("to=2024-03-01&to=2024-03-02", "to")] {
            assert!(matches!(read(query), Err(Failure::BadParameter { argument, .. }) if argument == name));
        }
    }
}
