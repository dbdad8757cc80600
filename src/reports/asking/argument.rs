//! The arguments of questions, and errors about them. GraphQL and REST spell the names differently: `filter.joinedFrom`
//! in GraphQL, `joined_from` in a query string.

use std::fmt;

/// An argument of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argument {
    words: &'static str,
    is_of_filter: bool,
}

impl Argument {
    /// The first local date of the range.
    pub const FROM: Self = Self::of_filter("from");
    /// The last local date of the range.
    pub const TO: Self = Self::of_filter("to");
    /// A range that moves with today's date.
    pub const RANGE: Self = Self::of_filter("range");
    /// The ids of the members that count.
    pub const USER_IDS: Self = Self::of_filter("user ids");
    /// The first local date on which members joined.
    pub const JOINED_FROM: Self = Self::of_filter("joined from");
    /// The last local date on which members joined.
    pub const JOINED_TO: Self = Self::of_filter("joined to");
    /// What the names of members contain.
    pub const NAME_CONTAINS: Self = Self::of_filter("name contains");
    /// The fewest visits of a member.
    pub const MIN_VISITS: Self = Self::of_filter("min visits");
    /// The most visits of a member.
    pub const MAX_VISITS: Self = Self::of_filter("max visits");
    /// Members whose last visit was before this local date.
    pub const LAST_VISIT_BEFORE: Self = Self::of_filter("last visit before");
    /// The time zone of the question's dates.
    pub const TIME_ZONE: Self = Self::of_field("time zone");
    /// The time zone, when it is an argument of the filter.
    pub const TIME_ZONE_OF_FILTER: Self = Self::of_filter("time zone");
    /// The first day of the week.
    pub const WEEK_START: Self = Self::of_field("week start");
    /// The length of a bucket.
    pub const GRANULARITY: Self = Self::of_field("granularity");
    /// How buckets without door codes are shown.
    pub const GAPS: Self = Self::of_field("gaps");
    /// The order of a list.
    pub const ORDER_BY: Self = Self::of_field("order by");
    /// The most rows to list, from the start.
    pub const FIRST: Self = Self::of_field("first");
    /// The most rows to list, from the end.
    pub const LAST: Self = Self::of_field("last");
    /// The cursor after which a page begins.
    pub const AFTER: Self = Self::of_field("after");
    /// The cursor before which a page ends.
    pub const BEFORE: Self = Self::of_field("before");
    /// The earlier period to compare with.
    pub const COMPARE_TO: Self = Self::of_field("compare to");
    /// The part of the range that is compared.
    pub const EXTENT: Self = Self::of_field("extent");
    /// The days in an average.
    pub const DAYS: Self = Self::of_field("days");
    /// The buckets in an average.
    pub const BUCKETS: Self = Self::of_field("buckets");
    /// The periods after a cohort's own.
    pub const PERIODS: Self = Self::of_field("periods");
    /// The days for which members are new.
    pub const NEW_WITHIN_DAYS: Self = Self::of_field("new within days");
    /// The days for which members are active.
    pub const ACTIVE_WITHIN_DAYS: Self = Self::of_field("active within days");
    /// The days after which members have lapsed.
    pub const LAPSED_AFTER_DAYS: Self = Self::of_field("lapsed after days");
    /// The days without a visit after which a member has stopped.
    pub const STOPPED_AFTER_DAYS: Self = Self::of_field("stopped after days");

    const fn of_filter(words: &'static str) -> Self {
        Self { words, is_of_filter: true }
    }

    const fn of_field(words: &'static str) -> Self {
        Self { words, is_of_filter: false }
    }

    /// The words of the name, in lower case: `joined`, `from`.
    pub fn words(self) -> impl Iterator<Item = &'static str> {
        self.words.split(' ')
    }

    /// Whether the argument is one of the filter's conditions.
    #[must_use]
    pub fn is_of_filter(self) -> bool {
        self.is_of_filter
    }
}

impl fmt::Display for Argument {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.words)
    }
}

/// A question that cannot be answered: which argument is wrong, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidArgument {
    argument: Argument,
    problem: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Name(Argument),
}

impl InvalidArgument {
    /// An error with the message "`argument` problem".
    pub fn new(argument: Argument, problem: impl Into<String>) -> Self {
        Self { argument, problem: vec![Part::Text(problem.into())] }
    }

    /// The same error; its message continues with the name of another argument, and with `rest`.
    #[must_use]
    pub fn and(mut self, other: Argument, rest: impl Into<String>) -> Self {
        self.problem.extend([Part::Name(other), Part::Text(rest.into())]);
        self
    }

    /// The argument that is wrong.
    #[must_use]
    pub fn argument(&self) -> Argument {
        self.argument
    }

    /// The problem, as the rest of a sentence that begins with the argument's name. `spell` gives the names of other
    /// arguments, which are put in backticks.
    pub fn problem(&self, spell: impl Fn(Argument) -> String) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Name(argument) => format!("`{}`", spell(*argument)),
        };
        self.problem.iter().map(part).collect()
    }
}

impl fmt::Display for InvalidArgument {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}` {}", self.argument, self.problem(|argument| argument.to_string()))
    }
}

impl std::error::Error for InvalidArgument {}

/// Checks a number of rows, buckets or days.
///
/// # Errors
/// When it is not in `1..=max`.
pub fn checked_size(argument: Argument, size: i32, max: usize) -> Result<usize, InvalidArgument> {
    usize::try_from(size)
        .ok()
        .filter(|size| (1..=max).contains(size))
        .ok_or_else(|| InvalidArgument::new(argument, format!("is {size}; it must be 1 to {max}")))
}
