//! Entry points of the reports for fuzzers. Each takes bytes, and panics when an invariant is broken.

use chrono::{DateTime, TimeDelta, Weekday};
use chrono_tz::TZ_VARIANTS;

use super::{
    Argument, Granularity, Here, InvalidArgument, Session, Thresholds, UsageQuestion, Week,
    calendar::Calendar,
    comparison::Extent,
    filter::{Direction, GapFill, TokenFilter, VisitsRange},
    model::UserVisits,
    page::{Page, PageArguments, UserVisitsField, UserVisitsOrder},
    range::Comparison,
    time_zone::Zone,
};
use crate::config::limits::PageLimits;

/// Reads numbers and texts from bytes.
pub(crate) struct Source<'a>(pub(crate) &'a [u8]);

impl<'a> Source<'a> {
    pub(crate) fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().map_or((0, self.0), |(first, rest)| (*first, rest));
        self.0 = rest;
        first
    }

    fn number(&mut self) -> i64 {
        (0..8).fold(0, |number, _| number << 8 | i64::from(self.byte()))
    }

    fn small(&mut self) -> i32 {
        i32::from_be_bytes([self.byte(), self.byte(), self.byte(), self.byte()])
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::from(self.byte()) % from.len()]
    }

    fn maybe<T>(&mut self, value: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (!self.byte().is_multiple_of(4)).then(|| value(self))
    }

    /// The text up to the next byte 0.
    pub(crate) fn text(&mut self) -> std::borrow::Cow<'a, str> {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(self.0.len());
        let text = String::from_utf8_lossy(&self.0[..end]);
        self.0 = self.0.get(end + 1..).unwrap_or_default();
        text
    }
}

/// Checks that an error message is not empty, and is short even for long input.
pub(crate) fn presentable(error: &InvalidArgument) {
    let problem = error.problem(|argument| argument.to_string());
    assert!(!problem.is_empty(), "{error:?}");
    assert!(problem.len() < 2_000, "a long message: {} bytes", problem.len());
}

/// Filters: a filter that is accepted is within its bounds, and a comparison with it does not panic.
pub fn filters(bytes: &[u8], session: &Session) {
    let mut source = Source(bytes);
    let read = |source: &mut Source<'_>| {
        let week = source.maybe(|source| Week(source.pick(&WEEKDAYS)));
        let zone = source.maybe(Source::text);
        let here = Here::new(session, Argument::TIME_ZONE, zone.as_deref(), week)?;
        let granularity = source.pick(&GRANULARITIES);
        let gaps = source.pick(&[GapFill::Omit, GapFill::Zero, GapFill::Null]);
        let [from, to, joined_from, joined_to] = [(); 4].map(|()| source.maybe(Source::text));
        let range = here.range(None, from.as_deref(), to.as_deref())?;
        assert!(range.from().zip(range.to()).is_none_or(|(from, to)| from <= to), "{range:?}");
        let count = usize::from(source.byte()) * 8;
        let ids = source.maybe(|source| (0..count).map(|_| source.small()).collect::<Vec<_>>());
        let users =
            here.users(ids, joined_from.as_deref(), joined_to.as_deref(), source.maybe(|source| source.byte() > 9))?;
        VisitsRange::new(source.maybe(Source::small), source.maybe(Source::small))?;
        Thresholds::new(source.small(), source.small(), source.small())?;
        let filter = TokenFilter { range, users, zone: here.zone, ..TokenFilter::default() };
        let question = UsageQuestion::new(filter, granularity, week, None, gaps)?;
        for comparison in [Comparison::PreviousPeriod, Comparison::PreviousWeeks, Comparison::PreviousYear] {
            for extent in [Extent::Elapsed, Extent::CompleteDays, Extent::Whole] {
                if let Err(error) = session.usage_before(&question, comparison, extent) {
                    presentable(&error);
                }
            }
        }
        Ok(())
    };
    if let Err(error) = read(&mut source) {
        presentable(&error);
    }
}

const WEEKDAYS: [Weekday; 7] =
    [Weekday::Mon, Weekday::Tue, Weekday::Wed, Weekday::Thu, Weekday::Fri, Weekday::Sat, Weekday::Sun];
const GRANULARITIES: [Granularity; 6] = [
    Granularity::Hour,
    Granularity::Day,
    Granularity::Week,
    Granularity::Month,
    Granularity::Quarter,
    Granularity::Year,
];

/// Cursors: the cursor of a row is accepted by its own order only, and any other text does not panic.
pub fn cursors(bytes: &[u8]) {
    let mut source = Source(bytes);
    let (field, direction) =
        (source.pick(&UserVisitsField::ALL), source.pick(&[Direction::Ascending, Direction::Descending]));
    let order = UserVisitsOrder { field, direction };
    let page = |cursor: &str, order| {
        let arguments = PageArguments { after: Some(cursor), ..PageArguments::default() };
        Page::new(arguments, order, PageLimits::default())
    };
    // Times as databases store them: within the years 1 to 9999, in microseconds.
    let time = |source: &mut Source<'_>| {
        let micros = source.number().rem_euclid(250_000_000_000_000_000);
        DateTime::from_timestamp_micros(micros).unwrap_or_default().naive_utc()
    };
    let row = UserVisits {
        user_id: source.small(),
        visits: source.number(),
        tokens_issued: source.number(),
        joined_at: source.maybe(time),
        first_visit_at: source.maybe(time),
        last_visit_at: source.maybe(time),
        ..UserVisits::default()
    };
    let cursor = order.cursor(&row);
    let taken = page(&cursor, order).unwrap_or_else(|error| panic!("{error} in {cursor} of {order:?}"));
    assert_eq!(taken.after().map(|cursor| cursor.user_id), Some(row.user_id));
    let other = UserVisitsOrder { field: source.pick(&UserVisitsField::ALL), direction };
    assert_eq!(page(&cursor, other).is_ok(), other == order, "{cursor}");
    if let Err(error) = page(&source.text(), order) {
        presentable(&error);
    }
}

/// Calendars: every instant lies in one bucket, and buckets have no gaps between them.
pub fn time_zones(bytes: &[u8]) {
    let mut source = Source(bytes);
    let zone = TZ_VARIANTS[usize::from(u16::from_be_bytes([source.byte(), source.byte()])) % TZ_VARIANTS.len()];
    let zone = Zone::parse(Argument::TIME_ZONE, zone.name()).unwrap_or_else(|error| panic!("{error}"));
    let granularity = source.pick(&GRANULARITIES);
    let calendar = Calendar::new(zone, granularity, Week(source.pick(&WEEKDAYS)));
    // The years 2 to 9998. Arguments allow the years 1 to 9999; the first and the last are left out here.
    let instant = DateTime::from_timestamp(source.number().rem_euclid(315_474_000_000) - 62_100_000_000, 0);
    let instant = instant.unwrap_or_default();

    let date = zone.date_at(instant);
    let (start, end) = (zone.start_of_day(date), zone.end_of_day(date));
    assert!(start <= instant && instant < end, "{zone:?} {instant}: not within {date}, {start} to {end}");
    assert!(end - start <= TimeDelta::hours(49), "{zone:?}: {date} takes {}", end - start);
    let bounds = zone.bounds(Some(date), Some(date));
    let naive = instant.naive_utc();
    assert!(bounds.from.is_none_or(|from| from <= naive) && bounds.to.is_none_or(|to| naive < to), "{bounds:?}");

    let is_hours = granularity == Granularity::Hour;
    let bucket = if is_hours { calendar.hour_at(naive) } else { calendar.bucket_of(date) };
    let (start, end) = calendar.instants(bucket);
    assert!(start < end, "{zone:?} {granularity:?} {instant}: {start} to {end}");
    // A day that begins twice, because clocks are set back across midnight, contains an hour of the day before.
    let slack = TimeDelta::hours(if granularity == Granularity::Hour { 0 } else { 25 });
    assert!(start - slack <= instant && instant < end + slack, "{zone:?} {granularity:?} {instant}: {start} to {end}");
    let next = calendar.next(bucket);
    assert!(next > bucket, "{zone:?} {granularity:?} {instant}");
    assert_eq!(calendar.instants(next).0, end, "{zone:?} {granularity:?} {instant}: a gap, or an overlap");
    assert!(!calendar.label(bucket).is_empty());
    assert!(calendar.back(next, 1) <= bucket || granularity == Granularity::Hour, "{zone:?} {granularity:?} {instant}");
}
