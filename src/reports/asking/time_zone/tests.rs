use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Timelike as _, Utc};
use chrono_tz::TZ_VARIANTS;
use proptest::prelude::*;

use super::{Zone, offset_at, parse_date};
use crate::reports::Argument;

fn zones() -> impl Strategy<Value = Zone> {
    (0..TZ_VARIANTS.len()).prop_map(|index| Zone(TZ_VARIANTS[index]))
}

/// Mostly years in which zones change, and sometimes any year from 1 to 9997.
fn dates() -> impl Strategy<Value = NaiveDate> {
    prop_oneof![1 => 1..9_998_i32, 20 => 1900..2100_i32].prop_flat_map(|year| {
        (Just(year), 1..=365_u32).prop_map(|(year, day)| NaiveDate::from_yo_opt(year, day).unwrap())
    })
}

fn day(text: &str) -> NaiveDate {
    parse_date(Argument::FROM, text).unwrap()
}

const SECOND: TimeDelta = TimeDelta::seconds(1);

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_day_starts_at_its_first_instant_and_ends_after_its_last(zone in zones(), date in dates()) {
        let (start, end) = (zone.start_of_day(date), zone.end_of_day(date));
        prop_assert!(zone.date_at(start) >= date);
        prop_assert!(zone.date_at(start - SECOND) < date);
        prop_assert!(zone.date_at(end) > date);
        prop_assert!(zone.date_at(end - SECOND) <= date);
        prop_assert!(end - start <= TimeDelta::hours(49), "{} takes {}", date, end - start);
    }

    #[test]
    fn bounds_hold_the_local_dates_and_say_whether_nothing_else(
        zone in zones(), from in dates(), days in 0..40_u64, offset in -200_000..5_000_000_i64,
    ) {
        let to = from + Days::new(days);
        let bounds = zone.bounds(Some(from), Some(to));
        let instant = zone.start_of_day(from) + TimeDelta::seconds(offset);
        let within = (from..=to).contains(&zone.date_at(instant));
        let inside = bounds.from.unwrap() <= instant.naive_utc() && instant.naive_utc() < bounds.to.unwrap();
        prop_assert!(inside || !within);
        prop_assert!(!bounds.exact || inside == within);
    }

    #[test]
    fn segments_give_the_offset_of_every_instant(zone in zones(), from in dates(), days in 1..3_000_u64, part in 0.0..1.0_f64) {
        let (start, end) = (zone.start_of_day(from).naive_utc(), zone.start_of_day(from + Days::new(days)).naive_utc());
        let segments = zone.segments(Some(start), Some(end));
        #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "somewhere in between")]
        let instant = start + TimeDelta::seconds(((end - start).num_seconds() as f64 * part) as i64);
        let segment = segments.iter().rev().find(|segment| segment.start <= instant).unwrap();
        let local = instant + TimeDelta::seconds(segment.offset.into());
        prop_assert_eq!(local.date(), zone.date_at(instant.and_utc()));
        prop_assert!(segments.windows(2).all(|pair| pair[0].start < pair[1].start));
    }
}

fn length(zone: &str, date: &str) -> i64 {
    let zone = Zone::parse(Argument::TIME_ZONE, zone).unwrap();
    (zone.end_of_day(day(date)) - zone.start_of_day(day(date))).num_minutes()
}

#[test]
fn days_are_as_long_as_the_zone_makes_them() {
    assert_eq!(length("UTC", "2024-03-31"), 24 * 60);
    assert_eq!(length("Europe/Berlin", "2024-03-31"), 23 * 60);
    assert_eq!(length("Europe/Berlin", "2024-10-27"), 25 * 60);
    assert_eq!(length("Australia/Lord_Howe", "2024-04-07"), 24 * 60 + 30);
    // São Paulo skipped midnight.
    assert_eq!(length("America/Sao_Paulo", "2018-11-04"), 23 * 60);
    // Samoa skipped a day.
    assert_eq!(length("Pacific/Apia", "2011-12-30"), 0);
}

#[test]
fn a_day_that_begins_twice_is_told() {
    // St. John's set clocks back from 00:01 to 23:01 of the day before.
    let zone = Zone::parse(Argument::TIME_ZONE, "America/St_Johns").unwrap();
    let changed = day("2010-11-07");
    assert!(!zone.bounds(Some(changed), None).exact);
    assert!(zone.bounds(Some(day("2012-11-04")), None).exact);
    assert_eq!(zone.start_of_day(changed).minute(), 30);
}

#[test]
fn dates_are_four_digits_a_month_and_a_day() {
    assert!(parse_date(Argument::FROM, "2024-02-29").is_ok());
    for wrong in [
        "2023-02-29",
        "2024-2-29",
        "20240229",
        "2024-02-29 ",
        "+2024-2-9",
        "0000-01-01",
        "12024-01-01",
        "",
        "2024‐02‐29",
    ] {
        let error = parse_date(Argument::FROM, wrong).unwrap_err();
        assert!(error.to_string().starts_with("`from` is "), "{error}");
    }
}

#[test]
fn zones_are_told_by_name_only() {
    assert!(Zone::parse(Argument::TIME_ZONE, "Europe/Kyiv").is_ok());
    for wrong in ["", "europe/berlin", "+02:00", "Europe/Berlin ", "Mars/Olympus"] {
        assert!(Zone::parse(Argument::TIME_ZONE, wrong).is_err(), "{wrong}");
    }
    let now: DateTime<Utc> = "2024-03-31T00:59:59Z".parse().unwrap();
    assert_eq!(Zone::parse(Argument::TIME_ZONE, "Pacific/Kiritimati").unwrap().date_at(now), day("2024-03-31"));
}

#[test]
fn days_are_made_of_quarters_of_an_hour_since_long() {
    for (name, since) in [
        ("UTC", None),
        ("Etc/GMT+5", None),
        // Local mean time ended at an odd second.
        ("Europe/Berlin", Some("1893-03-31T23:15:00")),
        ("Africa/Monrovia", Some("1972-01-07T00:45:00")),
        // Clocks changed one minute after midnight.
        ("America/St_Johns", Some("2011-03-13T03:45:00")),
    ] {
        let found = Zone::parse(Argument::TIME_ZONE, name).unwrap().quarters_since();
        assert_eq!(found, since.map(|since| since.parse().unwrap()), "{name}");
    }
}

proptest! {
    #[test]
    fn slots_since_then_lie_within_a_day(zone in zones(), date in dates(), seconds in 0..86_400_i64) {
        let instant = zone.start_of_day(date).naive_utc() + TimeDelta::seconds(seconds);
        prop_assume!(zone.quarters_since().is_none_or(|since| since <= instant));
        let slot = instant - TimeDelta::seconds(instant.and_utc().timestamp().rem_euclid(900));
        let dates = [0, 899].map(|second| zone.date_at((slot + TimeDelta::seconds(second)).and_utc()));
        prop_assert_eq!(dates[0], dates[1]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_change_is_passed_over(zone in prop_oneof![zones(), hasty_zones()]) {
        let day = |year| NaiveDate::from_yo_opt(year, 1).unwrap().and_time(NaiveTime::MIN);
        let hours = std::iter::successors(Some(day(1830)), |at| Some(*at + TimeDelta::hours(12)));
        let mut offsets: Vec<_> = hours.take_while(|at| *at < day(2101)).map(|at| offset_at(zone.0, at)).collect();
        offsets.dedup();
        prop_assert_eq!(zone.segments(None, None).iter().map(|segment| segment.offset).collect::<Vec<_>>(), offsets);
    }
}

/// The zones that returned to an earlier offset soonest, within a week.
fn hasty_zones() -> impl Strategy<Value = Zone> {
    let names = ["Asia/Gaza", "America/Noronha", "America/Recife", "America/Boa_Vista"];
    prop::sample::select(names.map(|name| Zone::parse(Argument::TIME_ZONE, name).unwrap()).to_vec())
}
