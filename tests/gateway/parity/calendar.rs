//! A simple model of the local calendar: it asks the zone for the local time, instant by instant.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex},
};

use chrono::{DateTime, Datelike as _, Days, Months, NaiveDate, NaiveDateTime, Offset as _, TimeDelta};
use chrono::{TimeZone as _, Timelike as _, Weekday};
use chrono_tz::Tz;

/// A period in which the local date, the hour and the offset from UTC stay the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hour {
    start: NaiveDateTime,
    end: NaiveDateTime,
    clock: u32,
    offset: i32,
    /// The number of earlier periods of this date with the same hour.
    occurrence: usize,
}

/// A bucket of the calendar; buckets are ordered by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bucket {
    hour: Option<Hour>,
    pub first: NaiveDate,
    pub last: NaiveDate,
}

/// The division of time into buckets.
pub struct Calendar {
    pub zone: Tz,
    pub granularity: String,
    pub week_start: Weekday,
}

impl Calendar {
    /// The day, week, month, quarter or year of a date.
    pub fn holding(&self, date: NaiveDate) -> Bucket {
        let month = |month0: u32| NaiveDate::from_ymd_opt(date.year(), month0 + 1, 1).unwrap();
        let (first, next) = match self.granularity.as_str() {
            "DAY" => (date, date + Days::new(1)),
            "WEEK" => {
                let first = date.week(self.week_start).first_day();
                (first, first + Days::new(7))
            }
            "MONTH" => (month(date.month0()), month(date.month0()) + Months::new(1)),
            "QUARTER" => (month(date.month0() / 3 * 3), month(date.month0() / 3 * 3) + Months::new(3)),
            "YEAR" => (month(0), month(0) + Months::new(12)),
            other => panic!("{other}"),
        };
        Bucket { hour: None, first, last: next - Days::new(1) }
    }

    /// The bucket of an instant.
    pub fn at(&self, instant: NaiveDateTime) -> Bucket {
        let date = local_date(self.zone, instant);
        if !self.by_hour() {
            return self.holding(date);
        }
        let hours = hours(self.zone, date);
        let hour = hours.iter().find(|hour| hour.start <= instant && instant < hour.end).unwrap();
        Bucket { hour: Some(*hour), first: date, last: date }
    }

    pub fn by_hour(&self) -> bool {
        self.granularity == "HOUR"
    }

    pub fn before(&self, bucket: Bucket) -> Bucket {
        match bucket.hour {
            Some(hour) => self.at(hour.start - TimeDelta::seconds(1)),
            None => self.holding(bucket.first - Days::new(1)),
        }
    }

    pub fn after(&self, bucket: Bucket) -> Bucket {
        match bucket.hour {
            Some(hour) => self.at(hour.end),
            None => self.holding(bucket.last + Days::new(1)),
        }
    }

    /// All buckets from `first` to `last`.
    pub fn chain(&self, first: Bucket, last: Bucket) -> Vec<Bucket> {
        std::iter::successors(Some(first), |bucket| Some(self.after(*bucket)))
            .take_while(|bucket| *bucket <= last)
            .collect()
    }

    /// All buckets that contain dates of a range, also those that only partly lie in it.
    pub fn range(&self, from: NaiveDate, to: NaiveDate) -> Vec<Bucket> {
        if self.by_hour() {
            let last = day_end(self.zone, to) - TimeDelta::seconds(1);
            self.chain(self.at(first_instant(self.zone, from)), self.at(last))
        } else {
            self.chain(self.holding(from), self.holding(to))
        }
    }

    /// The same hour on another date: the repeated hour for a repeated hour.
    pub fn same_hour(&self, bucket: Bucket, date: NaiveDate) -> Option<Bucket> {
        let sought = bucket.hour.unwrap();
        let hours = hours(self.zone, date);
        let hour = hours.iter().find(|hour| (hour.clock, hour.occurrence) == (sought.clock, sought.occurrence));
        hour.map(|hour| Bucket { hour: Some(*hour), first: date, last: date })
    }

    pub fn start(&self, bucket: Bucket) -> NaiveDateTime {
        bucket.hour.map_or_else(|| first_instant(self.zone, bucket.first), |hour| hour.start)
    }

    pub fn end(&self, bucket: Bucket) -> NaiveDateTime {
        bucket.hour.map_or_else(|| day_end(self.zone, bucket.last), |hour| hour.end)
    }

    pub fn label(&self, bucket: Bucket) -> String {
        let first = bucket.first;
        match self.granularity.as_str() {
            "HOUR" => local(self.zone, self.start(bucket)).format("%Y-%m-%d %H:00 %:z").to_string(),
            "WEEK" if self.week_start == Weekday::Mon => first.format("%G-W%V").to_string(),
            "MONTH" => first.format("%Y-%m").to_string(),
            "QUARTER" => format!("{}-Q{}", first.year(), first.month0() / 3 + 1),
            "YEAR" => first.year().to_string(),
            _ => first.to_string(),
        }
    }
}

/// The dates of a relative range.
pub fn relative(range: &str, zone: Tz, week_start: Weekday, today: NaiveDate) -> (NaiveDate, NaiveDate) {
    let Some((which, unit)) = range.split_once('_') else {
        let yesterday = u64::from(range == "YESTERDAY");
        return (today - Days::new(yesterday), today - Days::new(yesterday));
    };
    if let Some(days) = unit.strip_suffix("_DAYS") {
        return (today - Days::new(days.parse::<u64>().unwrap() - 1), today);
    }
    let calendar = Calendar { zone, granularity: unit.to_owned(), week_start };
    let present = calendar.holding(today);
    if which == "THIS" {
        return (present.first, today);
    }
    let past = calendar.before(present);
    (past.first, past.last)
}

pub fn local(zone: Tz, instant: NaiveDateTime) -> DateTime<Tz> {
    zone.from_utc_datetime(&instant)
}

pub fn local_date(zone: Tz, instant: NaiveDateTime) -> NaiveDate {
    local(zone, instant).date_naive()
}

/// The first instant whose local date is `date` or later.
pub fn first_instant(zone: Tz, date: NaiveDate) -> NaiveDateTime {
    edges(zone, date).0
}

/// The first instant after the last one whose local date is `date` or earlier.
pub fn day_end(zone: Tz, date: NaiveDate) -> NaiveDateTime {
    edges(zone, date).1
}

/// The instant on another date at which clocks show the same time as at `instant`, the second occurrence for a second
/// occurrence; otherwise the next later time. Found by checking every quarter of an hour.
pub fn same_time(zone: Tz, instant: NaiveDateTime, date: NaiveDate) -> NaiveDateTime {
    let quarters = |date| {
        let (first, end) = edges(zone, date);
        std::iter::successors(Some(first), |at| Some(*at + TimeDelta::minutes(15))).take_while(move |at| *at < end)
    };
    let on = |at: &NaiveDateTime, date| local_date(zone, *at) == date;
    let time = |at: NaiveDateTime| local(zone, at).time();
    let own = local_date(zone, instant);
    let before = quarters(own).filter(|at| on(at, own) && time(*at) == time(instant) && *at < instant).count();
    let same: Vec<_> = quarters(date).filter(|at| on(at, date) && time(*at) == time(instant)).collect();
    let next = || quarters(date).find(|at| on(at, date) && time(*at) >= time(instant));
    same.get(before).or(same.first()).copied().or_else(next).unwrap_or_else(|| day_end(zone, date))
}

/// The last microsecond in which clocks show that hour on a date.
pub fn last_moment(zone: Tz, date: NaiveDate, hour: u32) -> Option<NaiveDateTime> {
    let last = hours(zone, date).iter().filter(|shown| shown.clock == hour).map(|shown| shown.end).max();
    last.map(|end| end - TimeDelta::microseconds(1))
}

pub fn day_exists(zone: Tz, date: NaiveDate) -> bool {
    local_date(zone, first_instant(zone, date)) == date
}

/// The beginning and the end of a date. Found by checking every quarter of an hour: in these zones, days begin and end
/// on one.
fn edges(zone: Tz, date: NaiveDate) -> (NaiveDateTime, NaiveDateTime) {
    type Known = HashMap<(Tz, NaiveDate), (NaiveDateTime, NaiveDateTime)>;
    static KNOWN: LazyLock<Mutex<Known>> = LazyLock::new(Mutex::default);
    *KNOWN.lock().unwrap().entry((zone, date)).or_insert_with(|| {
        let midnight = date.and_hms_opt(0, 0, 0).unwrap();
        let mut quarters = (-16 * 4..=42 * 4).map(|quarter| midnight + TimeDelta::minutes(15 * quarter));
        let first = quarters.clone().find(|instant| local_date(zone, *instant) >= date).unwrap();
        let last = quarters.rfind(|instant| local_date(zone, *instant) <= date).unwrap();
        (first, last + TimeDelta::minutes(15))
    })
}

/// The hours of a date, found by checking every minute.
fn hours(zone: Tz, date: NaiveDate) -> Arc<[Hour]> {
    type Known = HashMap<(Tz, NaiveDate), Arc<[Hour]>>;
    static KNOWN: LazyLock<Mutex<Known>> = LazyLock::new(Mutex::default);
    let mut known = KNOWN.lock().unwrap();
    let hours = known.entry((zone, date)).or_insert_with(|| {
        let (mut start, day_end) = edges(zone, date);
        let mut hours: Vec<Hour> = Vec::new();
        while start < day_end {
            let (now, end) = (local(zone, start), start + TimeDelta::minutes(1));
            let (clock, offset) = (now.hour(), now.offset().fix().local_minus_utc());
            match hours.last_mut() {
                // Where clocks go back across midnight, instants of another date lie within the date.
                _ if now.date_naive() != date => {}
                Some(last) if last.end == start && (last.clock, last.offset) == (clock, offset) => last.end = end,
                _ => {
                    let occurrence = hours.iter().filter(|known| known.clock == clock).count();
                    hours.push(Hour { start, end, clock, offset, occurrence });
                }
            }
            start = end;
        }
        hours.into()
    });
    Arc::clone(hours)
}
