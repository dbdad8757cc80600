//! Local times of many instants, one near the other.

use chrono::{DateTime, NaiveDate, NaiveDateTime};

use crate::reports::{
    range::DateRange,
    time_zone::{Segment, Zone},
};

/// A local time, to the hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::reports) struct Moment {
    pub(in crate::reports) date: NaiveDate,
    pub(in crate::reports) hour: u32,
    /// Local time minus UTC, in seconds.
    pub(in crate::reports) offset: i32,
}

/// Finds local times; quick when each is near the one before.
pub(in crate::reports) struct Clock {
    zone: Zone,
    /// The stretch of time that has this offset.
    from: i64,
    until: i64,
    offset: i32,
    day: i32,
    date: NaiveDate,
}

impl Clock {
    pub(in crate::reports) fn of(zone: Zone) -> Self {
        Self { zone, from: 0, until: 0, offset: 0, day: 0, date: NaiveDate::default() }
    }

    /// The local time at an instant in seconds since 1970, within the years 1 to 9999.
    pub(in crate::reports) fn at(&mut self, instant: i64) -> Moment {
        const DAY: i64 = 24 * 3_600;
        if !(self.from..self.until).contains(&instant) {
            let at = DateTime::from_timestamp(instant, 0).unwrap_or_default().naive_utc();
            let segments = self.zone.segments(Some(at), None);
            let seconds = |segment: &Segment| segment.start.and_utc().timestamp();
            self.offset = segments.first().map_or(0, |segment| segment.offset);
            self.from = segments.first().map_or(i64::MIN, seconds);
            self.until = segments.get(1).map_or(i64::MAX, seconds);
        }
        let local = instant + i64::from(self.offset);
        let day = i32::try_from(local.div_euclid(DAY)).unwrap_or_default();
        if day != self.day {
            self.day = day;
            self.date = NaiveDate::from_epoch_days(day).unwrap_or_default();
        }
        let hour = u32::try_from(local.rem_euclid(DAY) / 3_600).unwrap_or_default();
        Moment { date: self.date, hour, offset: self.offset }
    }
}

/// Microseconds since 1970.
pub(in crate::reports) fn micros(time: NaiveDateTime) -> i64 {
    time.and_utc().timestamp_micros()
}

/// The time of so many microseconds since 1970.
pub(in crate::reports) fn time_of(micros: i64) -> Option<NaiveDateTime> {
    DateTime::from_timestamp_micros(micros).map(|time| time.naive_utc())
}

/// A range of local dates, for many instants.
pub(in crate::reports) struct Within {
    range: DateRange,
    from: i64,
    to: i64,
    clock: Clock,
}

impl Within {
    pub(in crate::reports) fn of(range: DateRange, zone: Zone) -> Self {
        let bounds = range.bounds(zone);
        let (from, to) = (bounds.from.map_or(i64::MIN, micros), bounds.to.map_or(i64::MAX, micros));
        Self { range, from, to, clock: Clock::of(zone) }
    }

    /// The local time of an instant in the range, in microseconds since 1970.
    pub(in crate::reports) fn moment(&mut self, instant: Option<i64>) -> Option<Moment> {
        let instant = instant.filter(|instant| (self.from..self.to).contains(instant))?;
        let moment = self.clock.at(instant.div_euclid(1_000_000));
        // When clocks are set back across midnight, a date ends, and begins again.
        self.range.contains(moment.date).then_some(moment)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn local_times_are_those_of_the_zone(
            zone in any::<proptest::sample::Selector>(),
            instants in proptest::collection::vec(prop_oneof![-62_000_000_000..250_000_000_000_i64, 1_300_000_000..1_310_000_000_i64], 1..20),
        ) {
            use chrono::{Offset as _, TimeZone as _, Timelike as _};
            let name = zone.select(chrono_tz::TZ_VARIANTS.iter()).name();
            let tz: chrono_tz::Tz = name.parse().unwrap();
            let mut clock = Clock::of(Zone::parse(crate::reports::Argument::TIME_ZONE, name).unwrap());
            for instant in instants {
                let local = tz.timestamp_opt(instant, 0).unwrap();
                let expected = Moment { date: local.date_naive(), hour: local.hour(), offset: local.offset().fix().local_minus_utc() };
                prop_assert_eq!(clock.at(instant), expected, "{} {}", name, instant);
            }
        }
    }
}
