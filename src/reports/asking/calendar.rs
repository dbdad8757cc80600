//! Buckets of the local calendar: hours, days, weeks, months, quarters, years.

use chrono::{DateTime, Datelike as _, Days, FixedOffset, Months, NaiveDate, NaiveDateTime, TimeDelta, Timelike as _};
use chrono::{Utc, Weekday};

use crate::reports::{
    range::{first_of_months, first_of_week},
    time_zone::Zone,
};

/// The length of a bucket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Granularity {
    /// An hour of local time. An hour that is repeated when clocks are set back is two buckets; a skipped hour is none.
    Hour,
    /// A local day.
    #[default]
    Day,
    /// Seven days.
    Week,
    /// A calendar month.
    Month,
    /// Three months that begin with January, April, July or October.
    Quarter,
    /// A calendar year.
    Year,
}

impl Granularity {
    /// The plural of the unit, for error messages.
    pub(in crate::reports) fn unit(self) -> &'static str {
        match self {
            Self::Hour => "hours",
            Self::Day => "days",
            Self::Week => "weeks",
            Self::Month => "months",
            Self::Quarter => "quarters",
            Self::Year => "years",
        }
    }
}

/// The calendar of a zone, divided into buckets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Calendar {
    pub(in crate::reports) zone: Zone,
    pub(in crate::reports) granularity: Granularity,
    pub(in crate::reports) week_start: Week,
}

/// The first day of the week; Monday by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Week(pub Weekday);

impl Default for Week {
    fn default() -> Self {
        Self(Weekday::Mon)
    }
}

/// A bucket: the local time at which it starts and, for hours, the offset from UTC, which distinguishes a repeated hour
/// from the first one. Ordered by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::reports) struct Bucket {
    /// The sort key. For hours, the UTC instant at which the hour really starts, which may be after its full hour when
    /// clocks change; for longer buckets, the local start.
    start: NaiveDateTime,
    local: NaiveDateTime,
    offset: i32,
}

impl Bucket {
    /// The bucket that begins on a date.
    pub(in crate::reports) fn of_date(first: NaiveDate) -> Self {
        let local = first.and_time(chrono::NaiveTime::MIN);
        Self { start: local, local, offset: 0 }
    }

    /// The first date.
    pub(in crate::reports) fn date(self) -> NaiveDate {
        self.local.date()
    }

    pub(in crate::reports) fn hour(self) -> u32 {
        self.local.hour()
    }

    fn nominal_start(self) -> NaiveDateTime {
        self.local.checked_sub_signed(TimeDelta::seconds(self.offset.into())).unwrap_or(self.local)
    }
}

impl Calendar {
    /// The calendar of `zone` in buckets of `granularity`. Weeks start on `week_start`.
    #[must_use]
    pub fn new(zone: Zone, granularity: Granularity, week_start: Week) -> Self {
        Self { zone, granularity, week_start }
    }

    /// The bucket that contains a date. For hours, the first hour of the date.
    pub(in crate::reports) fn bucket_of(self, date: NaiveDate) -> Bucket {
        let months = |months| Bucket::of_date(first_of_months(date, months));
        match self.granularity {
            Granularity::Hour => self.hour_at(self.zone.start_of_day(date).naive_utc()),
            Granularity::Day => Bucket::of_date(date),
            Granularity::Week => Bucket::of_date(first_of_week(date, self.week_start.0)),
            Granularity::Month => months(1),
            Granularity::Quarter => months(3),
            Granularity::Year => months(12),
        }
    }

    /// The hour that contains an instant.
    pub(in crate::reports) fn hour_at(self, instant: NaiveDateTime) -> Bucket {
        let segments = self.zone.segments(Some(instant), Some(instant));
        let offset = segments.first().map_or(0, |segment| segment.offset);
        let local = instant + TimeDelta::seconds(offset.into());
        let hour = local.date().and_hms_opt(local.hour(), 0, 0).unwrap_or(local);
        self.hour(hour, offset)
    }

    /// The hour that begins at this local time, `offset` seconds ahead of UTC.
    pub(in crate::reports) fn hour(self, local: NaiveDateTime, offset: i32) -> Bucket {
        let bucket = Bucket { start: local, local, offset };
        Bucket { start: self.instants(bucket).0.naive_utc(), ..bucket }
    }

    /// The first and the last date.
    pub(in crate::reports) fn dates(self, bucket: Bucket) -> (NaiveDate, NaiveDate) {
        let first = bucket.date();
        let months = |months| first.checked_add_months(Months::new(months));
        let next = match self.granularity {
            Granularity::Hour | Granularity::Day => first.checked_add_days(Days::new(1)),
            Granularity::Week => first.checked_add_days(Days::new(7)),
            Granularity::Month => months(1),
            Granularity::Quarter => months(3),
            Granularity::Year => months(12),
        };
        (first, next.and_then(|next| next.pred_opt()).unwrap_or(NaiveDate::MAX))
    }

    /// The first instant of a bucket, and the first instant after it.
    pub(in crate::reports) fn instants(self, bucket: Bucket) -> (DateTime<Utc>, DateTime<Utc>) {
        if self.granularity != Granularity::Hour {
            let (first, last) = self.dates(bucket);
            return (self.zone.start_of_day(first), self.zone.end_of_day(last));
        }
        let start = bucket.nominal_start();
        let end = start + TimeDelta::hours(1);
        let segments = self.zone.segments(Some(start), Some(end));
        let own = segments.iter().position(|segment| segment.offset == bucket.offset).unwrap_or(0);
        let until = segments.get(own + 1).map_or(end, |next| next.start);
        (start.max(segments[own].start).and_utc(), end.min(until).and_utc())
    }

    /// The next bucket.
    pub(in crate::reports) fn next(self, bucket: Bucket) -> Bucket {
        match self.granularity {
            Granularity::Hour => self.hour_at(self.instants(bucket).1.naive_utc()),
            _ => Bucket::of_date(self.dates(bucket).1.succ_opt().unwrap_or(NaiveDate::MAX)),
        }
    }

    /// The bucket that is `count` buckets earlier.
    pub(in crate::reports) fn back(self, bucket: Bucket, count: u32) -> Bucket {
        let first = bucket.date();
        let months = |months: u32| first.checked_sub_months(Months::new(count * months));
        let days = |days: u32| first.checked_sub_days(Days::new(u64::from(count * days)));
        let first = match self.granularity {
            Granularity::Hour => {
                return (0..count).fold(bucket, |bucket, _| {
                    self.hour_at(self.instants(bucket).0.naive_utc() - TimeDelta::microseconds(1))
                });
            }
            Granularity::Day => days(1),
            Granularity::Week => days(7),
            Granularity::Month => months(1),
            Granularity::Quarter => months(3),
            Granularity::Year => months(12),
        };
        Bucket::of_date(first.unwrap_or(NaiveDate::MIN))
    }

    /// The buckets from `first` on, without an end.
    pub(in crate::reports) fn from(self, first: Bucket) -> impl Iterator<Item = Bucket> {
        std::iter::successors(Some(first), move |bucket| Some(self.next(*bucket)))
    }

    /// The buckets that contain a moment of the dates `from` to `to`.
    pub(in crate::reports) fn between(self, from: NaiveDate, to: NaiveDate) -> impl Iterator<Item = Bucket> {
        let end = self.zone.end_of_day(to);
        let is_hour = self.granularity == Granularity::Hour;
        // When clocks are set back across midnight, hours of another date lie between those of a date.
        self.from(self.bucket_of(from))
            .take_while(move |bucket| if is_hour { self.instants(*bucket).0 < end } else { bucket.date() <= to })
            .filter(move |bucket| !is_hour || (from <= bucket.date() && bucket.date() <= to))
    }

    /// The label of a bucket, for the axis of a chart.
    pub(in crate::reports) fn label(self, bucket: Bucket) -> String {
        let date = bucket.date();
        match self.granularity {
            Granularity::Hour => {
                let offset = FixedOffset::east_opt(bucket.offset).map_or_else(String::new, |offset| offset.to_string());
                format!("{} {offset}", bucket.local.format("%Y-%m-%d %H:%M"))
            }
            Granularity::Week if self.week_start.0 == Weekday::Mon => date.format("%G-W%V").to_string(),
            Granularity::Day | Granularity::Week => date.to_string(),
            Granularity::Month => date.format("%Y-%m").to_string(),
            Granularity::Quarter => format!("{}-Q{}", date.format("%Y"), date.month0() / 3 + 1),
            Granularity::Year => date.format("%Y").to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reports::Argument;

    fn hours(zone: &str, day: &str) -> Vec<String> {
        let calendar =
            Calendar::new(Zone::parse(Argument::TIME_ZONE, zone).unwrap(), Granularity::Hour, Week::default());
        let day = day.parse().unwrap();
        let span = |bucket| {
            let (start, end) = calendar.instants(bucket);
            format!("{} {} min", calendar.label(bucket), (end - start).num_minutes())
        };
        calendar.between(day, day).map(span).collect()
    }

    #[test]
    fn a_repeated_hour_is_two_and_a_skipped_one_none() {
        let autumn = hours("Europe/Berlin", "2024-10-27");
        assert_eq!(autumn.len(), 25);
        assert_eq!(autumn[2..4], ["2024-10-27 02:00 +02:00 60 min", "2024-10-27 02:00 +01:00 60 min"]);
        let spring = hours("Europe/Berlin", "2024-03-31");
        assert_eq!(spring.len(), 23);
        assert_eq!(spring[1..3], ["2024-03-31 01:00 +01:00 60 min", "2024-03-31 03:00 +02:00 60 min"]);
        // Clocks change by half an hour.
        let autumn = hours("Australia/Lord_Howe", "2024-04-07");
        assert_eq!(autumn[1..3], ["2024-04-07 01:00 +11:00 60 min", "2024-04-07 01:00 +10:30 30 min"]);
        let spring = hours("Australia/Lord_Howe", "2024-10-06");
        assert_eq!(spring[1..3], ["2024-10-06 01:00 +10:30 60 min", "2024-10-06 02:00 +11:00 30 min"]);
        assert!(hours("Pacific/Apia", "2011-12-30").is_empty(), "a day that was skipped");
    }

    /// At every change of every zone's clocks since 1970, including half hours, changes across midnight and changes in
    /// the middle of an hour.
    #[test]
    fn hours_are_in_order_of_time_and_leave_no_gap() {
        let mut changes = 0;
        for zone in chrono_tz::TZ_VARIANTS {
            let zone = Zone::parse(Argument::TIME_ZONE, zone.name()).unwrap();
            let calendar = Calendar::new(zone, Granularity::Hour, Week::default());
            let since = NaiveDate::from_ymd_opt(1970, 1, 1).unwrap().and_hms_opt(0, 0, 0);
            for change in zone.segments(since, None).iter().skip(1) {
                changes += 1;
                let first = calendar.hour_at(change.start - TimeDelta::hours(3));
                let hours: Vec<_> = calendar.from(first).take(7).collect();
                for pair in hours.windows(2) {
                    assert!(pair[0] < pair[1], "{zone}: {pair:?}");
                    let (start, end) = calendar.instants(pair[0]);
                    assert_eq!(end, calendar.instants(pair[1]).0, "{zone}: {pair:?}");
                    // As it is read from the database.
                    assert_eq!(calendar.hour(pair[0].local, pair[0].offset), pair[0], "{zone}");
                    assert_eq!(calendar.hour_at((start + (end - start) / 2).naive_utc()), pair[0], "{zone}");
                }
            }
        }
        assert!(changes > 10_000, "{changes}");
    }

    #[test]
    fn a_bucket_has_a_first_and_a_last_date_and_neighbours() {
        let date = |text: &str| text.parse::<NaiveDate>().unwrap();
        let sunday = Week(Weekday::Sun);
        for (granularity, week, label, first, last) in [
            (Granularity::Week, Week::default(), "2025-W01", "2024-12-30", "2025-01-05"),
            (Granularity::Week, sunday, "2024-12-29", "2024-12-29", "2025-01-04"),
            (Granularity::Month, sunday, "2024-12", "2024-12-01", "2024-12-31"),
            (Granularity::Quarter, sunday, "2024-Q4", "2024-10-01", "2024-12-31"),
            (Granularity::Year, sunday, "2024", "2024-01-01", "2024-12-31"),
        ] {
            let calendar = Calendar::new(Zone::UTC, granularity, week);
            let bucket = calendar.bucket_of(date("2024-12-31"));
            assert_eq!(calendar.label(bucket), label);
            assert_eq!(calendar.dates(bucket), (date(first), date(last)));
            assert_eq!(calendar.back(calendar.next(bucket), 1), bucket);
        }
    }
}
