//! Converts between local calendar dates and UTC instants, with the time zone database that is compiled into the
//! binary.
//!
//! SQL statements get fixed offsets from here, never the name of a zone. So PostgreSQL and SQLite compute the same
//! days, whatever time zone data their systems have.

use std::{fmt, sync::OnceLock};

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};

use crate::reports::{Argument, InvalidArgument};

/// An IANA time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Zone(Tz);

/// A stretch of time in which a zone has one offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// The first instant, in UTC. The segment ends where the next one starts.
    pub start: NaiveDateTime,
    /// Local time minus UTC, in seconds.
    pub offset: i32,
}

/// Half-open bounds `[from, to)` in UTC around a range of local dates; either of them may be open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UtcBounds {
    /// The first instant inside.
    pub from: Option<NaiveDateTime>,
    /// The first instant after the range.
    pub to: Option<NaiveDateTime>,
    /// Whether every instant inside has a local date in the range. False only when clocks were set back across
    /// midnight, so that a local date begins, ends, and begins again.
    pub exact: bool,
}

impl Zone {
    /// Coordinated Universal Time.
    pub const UTC: Self = Self(Tz::UTC);

    /// The zone of the library's.
    pub(in crate::reports) fn of(zone: Tz) -> Self {
        Self(zone)
    }

    /// The zone with this IANA name, such as `Europe/Berlin`; case-sensitive.
    ///
    /// # Errors
    /// When there is no such zone.
    pub fn parse(argument: Argument, name: &str) -> Result<Self, InvalidArgument> {
        name.parse().map(Self).map_err(|_| {
            let name: String = name.chars().take(64).collect();
            InvalidArgument::new(
                argument,
                format!("is \"{name}\", which is not an IANA time zone: write it like \"Europe/Berlin\""),
            )
        })
    }

    /// The local calendar date at `instant`.
    #[must_use]
    pub fn date_at(self, instant: DateTime<Utc>) -> NaiveDate {
        instant.with_timezone(&self.0).date_naive()
    }

    /// The first instant of a local day: local midnight, or the next instant when clocks skip midnight.
    #[must_use]
    pub fn start_of_day(self, date: NaiveDate) -> DateTime<Utc> {
        self.first_instant_from(date).and_utc()
    }

    /// The first instant after a local day.
    #[must_use]
    pub fn end_of_day(self, date: NaiveDate) -> DateTime<Utc> {
        self.last_instant_until(date).and_utc()
    }

    /// The instant of another local day at which clocks show the same time as at `instant`. If they show it twice, the
    /// first or the second one as at `instant`; if they skip it, the instant of the skip.
    #[must_use]
    pub fn same_time(self, instant: DateTime<Utc>, date: NaiveDate) -> DateTime<Utc> {
        let shown = instant.with_timezone(&self.0).naive_local();
        let is_second = self.instants_at(shown).any(|first| first < instant.naive_utc());
        let there = date.and_time(shown.time());
        let second = self.instants_at(there).max().filter(|_| is_second);
        second.unwrap_or_else(|| self.first_instant_at(there)).and_utc()
    }

    /// Whether the zone has this local day. Zones that crossed the date line skipped one.
    #[must_use]
    pub fn has_day(self, date: NaiveDate) -> bool {
        self.start_of_day(date) < self.end_of_day(date)
    }

    /// The local dates that the zone skipped when it crossed the date line.
    #[must_use]
    pub fn skipped_days(self) -> Vec<NaiveDate> {
        let segments = self.all_segments();
        let jumps = segments.windows(2).filter(|pair| pair[1].offset - pair[0].offset >= 12 * 3_600);
        let around = jumps.flat_map(|pair| {
            let day = pair[1].start.date().pred_opt().unwrap_or(NaiveDate::MIN);
            day.iter_days().take(3)
        });
        around.filter(|date| !self.has_day(*date)).collect()
    }

    /// The UTC bounds of the local dates `from` to `to`, both included.
    #[must_use]
    pub fn bounds(self, from: Option<NaiveDate>, to: Option<NaiveDate>) -> UtcBounds {
        let lower = from.map(|date| self.first_instant_from(date));
        let upper = to.map(|date| self.last_instant_until(date));
        let clean_start = from.is_none_or(|date| lower == date.pred_opt().map(|day| self.last_instant_until(day)));
        let clean_end = to.is_none_or(|date| upper == date.succ_opt().map(|day| self.first_instant_from(day)));
        UtcBounds { from: lower, to: upper, exact: clean_start && clean_end }
    }

    /// The segments that overlap `[from, to)`, in order of time; never empty.
    #[must_use]
    pub fn segments(self, from: Option<NaiveDateTime>, to: Option<NaiveDateTime>) -> &'static [Segment] {
        let all = self.all_segments();
        let first = from.map_or(0, |from| all.partition_point(|segment| segment.start <= from).saturating_sub(1));
        let last = to.map_or(all.len(), |to| all.partition_point(|segment| segment.start < to)).max(first + 1);
        &all[first..last]
    }

    /// The instant since which every local day starts and ends on a quarter of an hour in UTC, because all offsets, and
    /// the instants at which they change, are multiples of 15 minutes. `None` when that was always so.
    #[must_use]
    pub fn quarters_since(self) -> Option<NaiveDateTime> {
        const QUARTER: i64 = 900;
        let whole = |segment: &Segment| i64::from(segment.offset) % QUARTER == 0;
        let after = |start: NaiveDateTime| {
            let beyond = start.and_utc().timestamp().rem_euclid(QUARTER);
            start + TimeDelta::seconds((QUARTER - beyond) % QUARTER)
        };
        let segments = self.all_segments();
        let first_of_whole = segments.iter().rposition(|segment| !whole(segment)).map_or(0, |last| last + 1);
        let uneven = segments[first_of_whole.max(1)..]
            .iter()
            .rfind(|segment| segment.start.and_utc().timestamp().rem_euclid(QUARTER) != 0);
        // No current zone has an uneven offset. The rollup would never be used for such a zone.
        let never = || NaiveDate::from_ymd_opt(9999, 1, 1).map_or(NaiveDateTime::MAX, midnight);
        let begins =
            (first_of_whole > 0).then(|| segments.get(first_of_whole).map_or_else(never, |segment| segment.start));
        uneven.map(|segment| segment.start).max(begins).map(after)
    }

    /// The earliest instant whose local date is `date` or later.
    fn first_instant_from(self, date: NaiveDate) -> NaiveDateTime {
        self.first_instant_at(midnight(date))
    }

    /// The instants at which clocks show this local time: usually one, two when clocks are set back, none when it is
    /// skipped.
    fn instants_at(self, local: NaiveDateTime) -> impl Iterator<Item = NaiveDateTime> {
        self.around(local).filter(|(start, end, at)| start <= at && at < end).map(|(_, _, at)| at)
    }

    /// The earliest instant at which clocks show this local time or a later one.
    fn first_instant_at(self, local: NaiveDateTime) -> NaiveDateTime {
        self.around(local)
            .filter_map(|(start, end, at)| {
                let instant = at.max(start);
                (instant < end).then_some(instant)
            })
            .min()
            .unwrap_or(local)
    }

    /// The first instant after the last one whose local date is `date` or earlier.
    fn last_instant_until(self, date: NaiveDate) -> NaiveDateTime {
        let next = date.checked_add_days(Days::new(1)).unwrap_or(NaiveDate::MAX);
        self.around(midnight(next))
            .filter_map(|(start, end, midnight)| {
                let instant = midnight.min(end);
                (instant > start).then_some(instant)
            })
            .max()
            .unwrap_or_else(|| midnight(next))
    }

    /// For each segment near a local time: its start, its end, and the UTC instant of the local time at the segment's
    /// offset.
    fn around(self, local: NaiveDateTime) -> impl Iterator<Item = (NaiveDateTime, NaiveDateTime, NaiveDateTime)> {
        let far = TimeDelta::days(2);
        let from = local.checked_sub_signed(far).unwrap_or(NaiveDateTime::MIN);
        let to = local.checked_add_signed(far).unwrap_or(NaiveDateTime::MAX);
        let segments = self.segments(Some(from), Some(to));
        let ends = segments.iter().skip(1).map(|next| next.start).chain([NaiveDateTime::MAX]);
        segments.iter().zip(ends).map(move |(segment, end)| {
            let offset = TimeDelta::seconds(segment.offset.into());
            (segment.start, end, local.checked_sub_signed(offset).unwrap_or(local))
        })
    }

    /// Every segment of the zone. They are computed once per zone and kept: about 600 zones with some 2 kB each.
    fn all_segments(self) -> &'static [Segment] {
        const ZONES: usize = TZ_VARIANTS.len();
        static KNOWN: [OnceLock<Vec<Segment>>; ZONES] = [const { OnceLock::new() }; ZONES];
        KNOWN[self.0 as usize].get_or_init(|| find_segments(self.0))
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self::UTC
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

fn midnight(date: NaiveDate) -> NaiveDateTime {
    date.and_hms_opt(0, 0, 0).unwrap_or(NaiveDateTime::MAX)
}

/// The distance between the instants at which a zone's offset is sampled. No zone ever left an offset and returned to
/// it within this time.
const STRIDE: TimeDelta = TimeDelta::days(4);

/// Finds the segments in the years that the compiled time zone database covers.
fn find_segments(zone: Tz) -> Vec<Segment> {
    let year = |year| NaiveDate::from_ymd_opt(year, 1, 1).map_or(NaiveDateTime::MIN, midnight);
    let (mut before, last) = (year(1830), year(2101));
    let mut segments = vec![Segment { start: NaiveDateTime::MIN, offset: offset_at(zone, before) }];
    while before < last {
        let after = before + STRIDE;
        find_changes(zone, before, Segment { start: after, offset: offset_at(zone, after) }, &mut segments);
        before = after;
    }
    segments
}

/// Adds to `known` the changes of offset between `before` and `after`. The last segment of `known` holds at `before`.
/// Each change is found to the second, by bisection.
fn find_changes(zone: Tz, before: NaiveDateTime, after: Segment, known: &mut Vec<Segment>) {
    if known.last().is_some_and(|last| last.offset == after.offset) {
        return;
    }
    let length = after.start - before;
    if length <= TimeDelta::seconds(1) {
        return known.push(after);
    }
    let middle = before + TimeDelta::seconds(length.num_seconds() / 2);
    find_changes(zone, before, Segment { start: middle, offset: offset_at(zone, middle) }, known);
    find_changes(zone, middle, after, known);
}

/// Local time minus UTC, in seconds.
fn offset_at(zone: Tz, instant: NaiveDateTime) -> i32 {
    zone.offset_from_utc_datetime(&instant).fix().local_minus_utc()
}

/// A calendar date as callers write it: `YYYY-MM-DD`, or milliseconds since 1970 with at least eleven digits, which
/// mean the local date of that instant.
///
/// # Errors
/// When the text has another form, or the calendar has no such day.
pub fn parse_date_in(zone: Zone, argument: Argument, text: &str) -> Result<NaiveDate, InvalidArgument> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.len() < 11 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return parse_date(argument, text);
    }
    let instant = text.parse().ok().and_then(DateTime::from_timestamp_millis);
    let date = instant.map(|instant| zone.date_at(instant)).filter(|date| (1..=9999).contains(&date.year()));
    date.ok_or_else(|| {
        let text: String = text.chars().take(32).collect();
        InvalidArgument::new(
            argument,
            format!("is {text}, which is not a number of milliseconds in the years 1 to 9999"),
        )
    })
}

/// A calendar date written `YYYY-MM-DD`, in the years 1 to 9999.
///
/// # Errors
/// When the text has another form, or the calendar has no such day.
pub fn parse_date(argument: Argument, text: &str) -> Result<NaiveDate, InvalidArgument> {
    let shaped = text.len() == 10
        && text
            .bytes()
            .enumerate()
            .all(|(i, byte)| if i == 4 || i == 7 { byte == b'-' } else { byte.is_ascii_digit() });
    let date = shaped.then(|| text.parse::<NaiveDate>().ok()).flatten().filter(|date| date.year() >= 1);
    date.ok_or_else(|| {
        let text: String = text.chars().take(32).collect();
        InvalidArgument::new(argument, format!("is \"{text}\", which is not a calendar date: write it as YYYY-MM-DD"))
    })
}

#[cfg(test)]
mod tests;
