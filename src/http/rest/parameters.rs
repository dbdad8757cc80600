//! The parameters of the reports' routes: the arguments of the schema's fields, in `snake_case`. One table says
//! what they are, to the parser and to the description of the routes.

use std::collections::BTreeMap;

use crate::{
    graphql::Named,
    http::{
        error::Failure,
        rest::table::{DELIMITERS, FORMATS, Format},
    },
    reports::{
        CohortAnchor, CohortUnit, Granularity, Here, InvalidArgument, MemberSegment, RetentionQuestion, Session,
        Thresholds, Week,
        filter::{Direction, GapFill, TimeBasis, TokenFilter, UserFilter, UserVisitsFilter, VisitsRange},
        page::{UserVisitsField, UserVisitsOrder},
        range::{DateRange, RelativeRange},
    },
};

/// A parameter of a route.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) struct Parameter {
    pub(in crate::http) name: &'static str,
    pub(in crate::http) kind: Kind,
    /// What it is for, in a sentence.
    pub(in crate::http) about: &'static str,
}

/// What a parameter takes.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) enum Kind {
    /// `YYYY-MM-DD`, or milliseconds since 1970.
    Date,
    /// The IANA name of a time zone.
    Zone,
    /// `true` or `false`.
    Flag,
    /// A whole number between these.
    Whole(i32, i32),
    /// Ids, separated by commas.
    Ids,
    /// One of these names.
    Name(fn() -> Vec<&'static str>),
    /// Some of these names, separated by commas.
    Names(fn() -> Vec<&'static str>),
}

const fn parameter(name: &'static str, kind: Kind, about: &'static str) -> Parameter {
    Parameter { name, kind, about }
}

pub(in crate::http) const FORMAT: [Parameter; 2] = [
    parameter(
        "format",
        Kind::Name(|| FORMATS.to_vec()),
        "How the answer is written; otherwise as Accept says, and JSON where it says nothing. Excel is CSV with a byte \
         order mark, for spreadsheets.",
    ),
    parameter(
        "delimiter",
        Kind::Name(|| DELIMITERS.map(|(name, _)| name).to_vec()),
        "What separates cells, with format=excel alone: ; when left out. Decimals have a comma beside ; and a point \
         beside the others.",
    ),
];
pub(in crate::http) const RANGE: [Parameter; 4] = [
    parameter("from", Kind::Date, "First local date, included."),
    parameter("to", Kind::Date, "Last local date, included."),
    parameter("range", Kind::Name(RelativeRange::names), "Dates that move with the days; instead of from and to."),
    ZONE[0],
];
pub(in crate::http) const ZONE: [Parameter; 1] =
    [parameter("time_zone", Kind::Zone, "The zone of all dates; UTC when left out.")];
pub(in crate::http) const USERS: [Parameter; 2] = [
    parameter("user_ids", Kind::Ids, "Only these members: at most 1000 ids, separated by commas."),
    parameter("is_active", Kind::Flag, "Only members whose membership is active now, or is not."),
];
pub(in crate::http) const JOINED: [Parameter; 2] = [
    parameter("joined_from", Kind::Date, "Only members who joined on this local date or later."),
    parameter("joined_to", Kind::Date, "Only members who joined on this local date or earlier."),
];
pub(in crate::http) const BASIS: [Parameter; 1] = [parameter(
    "basis",
    Kind::Name(TimeBasis::names),
    "What puts a visit into the range: the token's issue (when left out), or its use.",
)];
pub(in crate::http) const WEEKDAYS: [Parameter; 1] =
    [parameter("weekdays", Kind::Names(chrono::Weekday::names), "Only these days of the week, separated by commas.")];
pub(in crate::http) const GAPS: [Parameter; 1] =
    [parameter("gaps", Kind::Name(GapFill::names), "What stands where there are no tokens: OMIT when left out.")];
pub(in crate::http) const SERIES: [Parameter; 2] =
    [parameter("granularity", Kind::Name(Granularity::names), "How long a bucket is: DAY when left out."), WEEK_START];
const WEEK_START: Parameter =
    parameter("week_start", Kind::Name(chrono::Weekday::names), "The day on which weeks start, where there are any.");
pub(in crate::http) const COHORTS: [Parameter; 4] = [
    parameter("cohort", Kind::Name(CohortUnit::names), "How long a period is: MONTH when left out."),
    parameter("anchor", Kind::Name(CohortAnchor::names), "What makes members a cohort: JOINED_AT when left out."),
    parameter("periods", Kind::Whole(1, 104), "How many periods to follow each cohort: 12 when left out."),
    WEEK_START,
];
pub(in crate::http) const SEGMENTS: [Parameter; 4] = [
    parameter("segment", Kind::Name(MemberSegment::names), "Only this segment; everybody when left out."),
    parameter(
        "new_within_days",
        Kind::Whole(1, 3_650),
        "Members are new so many days after they joined: 30 when left out.",
    ),
    parameter(
        "active_within_days",
        Kind::Whole(1, 3_650),
        "Members are active so many days after they came: 30 when left out.",
    ),
    parameter(
        "lapsed_after_days",
        Kind::Whole(1, 3_650),
        "Members have lapsed after so many days since they came, no less than active_within_days: 90 when left out.",
    ),
];
pub(in crate::http) const VISITS: [Parameter; 4] = [
    parameter("min_visits", Kind::Whole(0, i32::MAX), "Only members with at least so many visits in the range."),
    parameter("max_visits", Kind::Whole(0, i32::MAX), "Only members with at most so many visits in the range."),
    parameter("last_visit_before", Kind::Date, "Only members whose last visit lies before this local date."),
    parameter("include_users_without_visits", Kind::Flag, "Also list members without any token in the range."),
];
pub(in crate::http) const LIST: [Parameter; 3] = [
    parameter("order_by", Kind::Name(UserVisitsField::names), "What to sort by: USER_ID when left out."),
    parameter("direction", Kind::Name(Direction::names), "Which way: ASC when left out."),
    parameter("first", Kind::Whole(1, i32::MAX), "At most so many members; all when left out."),
];

/// What a request gave for the parameters of its route.
#[derive(Debug)]
pub(in crate::http) struct Asked {
    values: BTreeMap<&'static str, String>,
}

impl Asked {
    /// Reads a query string.
    ///
    /// # Errors
    /// When a parameter is unknown, or comes twice.
    pub(in crate::http) fn read(known: &[&[Parameter]], query: &str) -> Result<Self, Failure> {
        let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query).map_err(|_| {
            Failure::BadParameters("The query string cannot be read: it is not UTF-8, percent-encoded.".to_owned())
        })?;
        let mut values = BTreeMap::new();
        for (name, value) in pairs {
            let parameter = known.iter().copied().flatten().find(|parameter| parameter.name == name);
            let Some(parameter) = parameter else {
                let name: String = name.chars().take(64).collect();
                let names: Vec<_> = known.iter().copied().flatten().map(|parameter| parameter.name).collect();
                let problem = format!("is no parameter of this route; it takes {}", names.join(", "));
                return Err(Failure::BadParameter { argument: name, problem });
            };
            if values.insert(parameter.name, value).is_some() {
                let problem = "came twice; separate the items of a list by commas".to_owned();
                return Err(Failure::BadParameter { argument: name, problem });
            }
        }
        Ok(Self { values })
    }

    pub(in crate::http) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    pub(in crate::http) fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// How the answer is written: as the parameters say, else as `accepted`, which is of `Accept`.
    pub(in crate::http) fn format(&self, accepted: Option<&str>) -> Result<Format, InvalidArgument> {
        let delimiter = self.text("delimiter");
        let format = match (self.text("format"), accepted) {
            (Some("excel"), _) => return excel(delimiter.unwrap_or(";")),
            (Some("csv"), _) | (None, Some("text/csv")) => Format::Csv,
            (Some("ndjson"), _) | (None, Some("application/x-ndjson")) => Format::Ndjson,
            (Some("json") | None, _) => Format::Json,
            (Some(other), _) => {
                let problem = format!("is \"{}\"; it must be one of {}", short(other), FORMATS.join(", "));
                return Err(InvalidArgument::new("format", problem));
            }
        };
        if delimiter.is_some() {
            return Err(InvalidArgument::new(
                "delimiter",
                "goes with format=excel alone; ask for that, or leave it out",
            ));
        }
        Ok(format)
    }

    pub(in crate::http) fn one<T: Named>(&self, name: &'static str) -> Result<Option<T>, InvalidArgument> {
        self.text(name).map(|text| T::named(name, text)).transpose()
    }

    fn some<T: Named>(&self, name: &'static str) -> Result<Option<Vec<T>>, InvalidArgument> {
        let items =
            |text: &str| text.split(',').filter(|item| !item.is_empty()).map(|item| T::named(name, item)).collect();
        self.text(name).map(items).transpose()
    }

    pub(in crate::http) fn whole(&self, name: &'static str) -> Result<Option<i32>, InvalidArgument> {
        let number = |text: &str| {
            text.parse()
                .map_err(|_| InvalidArgument::new(name, format!("is \"{}\", which is no whole number", short(text))))
        };
        self.text(name).map(number).transpose()
    }

    fn flag(&self, name: &'static str) -> Result<Option<bool>, InvalidArgument> {
        let flag = |text: &str| match text {
            "true" => Ok(true),
            "false" => Ok(false),
            other => Err(InvalidArgument::new(name, format!("is \"{}\"; it must be true or false", short(other)))),
        };
        self.text(name).map(flag).transpose()
    }

    fn ids(&self) -> Result<Option<Vec<i32>>, InvalidArgument> {
        let id = |text: &str| {
            text.parse().map_err(|_| {
                InvalidArgument::new(
                    "user_ids",
                    format!("has \"{}\", which is no id; write them as 1,2,3", short(text)),
                )
            })
        };
        let ids = |text: &str| text.split(',').filter(|item| !item.is_empty()).map(id).collect();
        self.text("user_ids").map(ids).transpose()
    }

    pub(in crate::http) fn week_start(&self) -> Result<Option<Week>, InvalidArgument> {
        Ok(self.one("week_start")?.map(Week))
    }

    pub(in crate::http) fn relative(&self) -> Result<Option<RelativeRange>, InvalidArgument> {
        self.one("range")
    }

    fn here(&self, session: &Session) -> Result<Here, InvalidArgument> {
        Here::new(session, "timeZone", self.text("time_zone").unwrap_or("UTC"), self.week_start()?)
    }

    fn range(&self, here: Here) -> Result<DateRange, InvalidArgument> {
        here.range(self.relative()?, self.text("from"), self.text("to"))
    }

    /// Which members, of which segment, and what makes them one.
    pub(in crate::http) fn segment(
        &self,
        session: &Session,
    ) -> Result<(UserVisitsFilter, Thresholds), InvalidArgument> {
        let here = self.here(session)?;
        let days = |name, usual| Ok(self.whole(name)?.unwrap_or(usual));
        let thresholds = Thresholds::new(
            days("new_within_days", 30)?,
            days("active_within_days", 30)?,
            days("lapsed_after_days", 90)?,
        )?;
        Ok((session.segment_filter(self.one("segment")?, thresholds, self.users(here)?, here.zone), thresholds))
    }

    fn users(&self, here: Here) -> Result<UserFilter, InvalidArgument> {
        here.users(self.ids()?, self.text("joined_from"), self.text("joined_to"), self.flag("is_active")?)
    }

    /// Which tokens count.
    pub(in crate::http) fn tokens(&self, session: &Session) -> Result<TokenFilter, InvalidArgument> {
        let here = self.here(session)?;
        Ok(TokenFilter {
            range: self.range(here)?,
            users: self.users(here)?,
            weekdays: self.some("weekdays")?.map(|days| days.into_iter().collect()).unwrap_or_default(),
            zone: here.zone,
            basis: self.one("basis")?.unwrap_or_default(),
            ..TokenFilter::default()
        })
    }

    /// Which members are listed, and which of their tokens count.
    pub(in crate::http) fn members(&self, session: &Session) -> Result<UserVisitsFilter, InvalidArgument> {
        let here = self.here(session)?;
        Ok(UserVisitsFilter {
            range: self.range(here)?,
            users: self.users(here)?,
            zone: here.zone,
            basis: self.one("basis")?.unwrap_or_default(),
            visits: VisitsRange::new(self.whole("min_visits")?, self.whole("max_visits")?)?,
            last_visit_before: here.date("filter.lastVisitBefore", self.text("last_visit_before"))?,
            last_visit_from: None,
            include_users_without_visits: self.flag("include_users_without_visits")?.unwrap_or_default(),
        })
    }

    /// Which cohorts.
    pub(in crate::http) fn cohorts(&self, session: &Session) -> Result<RetentionQuestion, InvalidArgument> {
        let unit = self.one("cohort")?.unwrap_or_default();
        let anchor = self.one("anchor")?.unwrap_or_default();
        let periods = self.whole("periods")?.unwrap_or(12);
        RetentionQuestion::new(self.tokens(session)?, unit, self.week_start()?, self.relative()?, periods, anchor)
    }

    pub(in crate::http) fn order(&self) -> Result<UserVisitsOrder, InvalidArgument> {
        Ok(UserVisitsOrder {
            field: self.one("order_by")?.unwrap_or_default(),
            direction: self.one("direction")?.unwrap_or_default(),
        })
    }
}

fn excel(delimiter: &str) -> Result<Format, InvalidArgument> {
    let known = DELIMITERS.into_iter().find(|(name, _)| *name == delimiter);
    known.map(|(_, delimiter)| Format::Excel(delimiter)).ok_or_else(|| {
        let names = DELIMITERS.map(|(name, _)| format!("\"{name}\"")).join(", ");
        InvalidArgument::new("delimiter", format!("is \"{}\"; it must be one of {names}", short(delimiter)))
    })
}

fn short(text: &str) -> String {
    text.chars().take(32).collect()
}

/// The schema's arguments under the names that they have here: `filter.joinedFrom` is `joined_from`.
pub(in crate::http) fn in_snake_case(text: &str) -> String {
    let mut snake = String::with_capacity(text.len() + 8);
    for letter in text.trim_start_matches("filter.").chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

/// The error of an argument, by the names that it has here; those in backticks are names as well.
pub(in crate::http) fn renamed(error: &InvalidArgument) -> Failure {
    let quoted = error.problem.split('`').enumerate();
    let problem = quoted.map(|(index, part)| match index % 2 {
        1 => format!("`{}`", in_snake_case(part)),
        _ => part.to_owned(),
    });
    Failure::BadParameter { argument: in_snake_case(error.argument), problem: problem.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_have_names_of_their_own_here() {
        let error = InvalidArgument::new("filter.joinedFrom", "came with `filter.maxVisits`, and \"Text\"");
        let Failure::BadParameter { argument, problem } = renamed(&error) else { panic!("another failure") };
        assert_eq!((argument.as_str(), problem.as_str()), ("joined_from", "came with `max_visits`, and \"Text\""));
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
