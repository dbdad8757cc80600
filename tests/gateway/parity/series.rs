//! The model of series: `usage` with totals, running sums and comparisons, and `dailyUsage`.

use std::collections::BTreeMap;

use chrono::{Datelike as _, Days, Months, NaiveDate, TimeDelta};
use serde_json::{Map, Value, json};

use super::{
    calendar::{Bucket, Calendar, day_end, day_exists, first_instant, local_date, same_time},
    model::{Asked, OF_USAGE, Space, Tally, merged, ratio, rfc3339},
};
use crate::support::now;

const MEASURES: [&str; 8] = [
    "visits",
    "tokensIssued",
    "tokensUnused",
    "conversionRate",
    "uniqueVisitors",
    OF_USAGE[0],
    OF_USAGE[1],
    OF_USAGE[2],
];

/// A question, and the division of its range into buckets.
struct Series<'a> {
    space: &'a Space,
    question: &'a Value,
    asked: Asked,
    calendar: Calendar,
}

/// Consecutive buckets with their counts. They begin before the rows, because averages look back.
struct Chain {
    buckets: Vec<Bucket>,
    tallies: BTreeMap<Bucket, Tally>,
}

impl Space {
    pub fn usage(&self, question: &Value) -> Result<Value, &'static str> {
        let granularity = question["granularity"].as_str().unwrap().to_owned();
        let range = question["filter"]["range"].as_str();
        let weekly = granularity == "WEEK" || matches!(range, Some("THIS_WEEK" | "LAST_WEEK"));
        if !question["weekStart"].is_null() && !weekly {
            return Err("weekStart");
        }
        let asked = Asked::read(question);
        let calendar = Calendar { zone: asked.zone, granularity, week_start: asked.week_start };
        let series = Series { space: self, question, asked, calendar };
        let counted = self.dates(&series.asked);
        let from = series.asked.from.or(counted.first().copied());
        let today = series.asked.today();
        let to = series.asked.to.unwrap_or(counted.last().map_or(today, |last| today.max(*last)));
        let mut usage = json!({
            "from": from, "to": to, "totals": Tally::json(Some(&series.totals())),
        });
        let rows = series.rows();
        usage["buckets"] = rows.iter().map(|(_, row)| row.clone()).collect();
        let visits = |row: &Value| row["visits"].as_i64().unwrap_or_default();
        let mut busiest = &Value::Null;
        for (_, row) in &rows {
            if visits(row) > visits(busiest) {
                busiest = row;
            }
        }
        usage["busiest"] = busiest.clone();
        if let Some(busiest) = usage["busiest"].as_object_mut() {
            busiest.retain(|name, _| {
                ["start", "visits", "isPartial", "uniqueVisitors", "rollingAverage"].contains(&name.as_str())
            });
        }
        if question["compared"] == true {
            let from = series.asked.from.ok_or("compareTo")?;
            for (name, compare_to) in
                [("before", "PREVIOUS_PERIOD"), ("lastYear", "PREVIOUS_YEAR"), ("sameWeekdays", "PREVIOUS_WEEKS")]
            {
                usage[name] = series.comparison(from, compare_to, &rows);
            }
        }
        Ok(usage)
    }

    /// The rows of `dailyUsage`: those of `usage` by days, with other field names.
    pub fn daily_series(&self, question: &Value) -> Vec<Value> {
        let question = merged(question.clone(), json!({ "granularity": "DAY" }));
        let mut usage = self.usage(&question).unwrap();
        let rename = |row: &mut Value| {
            let row = row.as_object_mut().unwrap();
            for (name, daily) in [("label", "date"), ("start", "startsAt"), ("startMillis", "startsAtMillis")] {
                let value = row.remove(name).unwrap();
                row.insert(daily.to_owned(), value);
            }
            row.remove("end");
            row.retain(|name, _| !OF_USAGE.contains(&name.as_str()));
        };
        let rows = usage["buckets"].as_array_mut().unwrap();
        rows.iter_mut().for_each(rename);
        std::mem::take(rows)
    }
}

impl Space {
    /// The two sides of a comparison of a list of members.
    pub fn sides(&self, question: &Value, asked: &Asked, compare_to: &str) -> [Asked; 2] {
        let (zone, week_start) = (asked.zone, asked.week_start);
        let calendar = Calendar { zone, granularity: "DAY".to_owned(), week_start };
        let series = Series { space: self, question, asked: asked.clone(), calendar };
        let from = asked.from.unwrap();
        let to = asked.to.unwrap_or(asked.today().max(from));
        let (first, last, by) = series.shifted(from, to, compare_to);
        let (now, before) = series.sides((from, to), (first, last), by);
        [now.asked, before.asked]
    }
}

impl Series<'_> {
    fn tallies(&self, asked: &Asked) -> BTreeMap<Bucket, Tally> {
        self.space.tallies(asked, |instant| asked.counted(instant).map(|_| self.calendar.at(instant)))
    }

    fn totals(&self) -> Tally {
        self.space.tallies(&self.asked, |instant| self.asked.counted(instant).map(drop)).remove(&()).unwrap_or_default()
    }

    fn rows(&self) -> Vec<(Bucket, Value)> {
        let tallies = self.tallies(&self.asked);
        let listed = self.listed(&tallies);
        let (Some(first), Some(last)) = (listed.first(), listed.last()) else { return Vec::new() };
        let chain = self.chain(*first, *last);
        let (nothing, zeros) = (Tally::default(), self.question["gaps"] == "ZERO");
        listed
            .iter()
            .map(|bucket| {
                let measures = Tally::json(tallies.get(bucket).or(zeros.then_some(&nothing)));
                let row = merged(self.place(*bucket), measures);
                (*bucket, merged(row, self.running(*bucket, &tallies, &chain)))
            })
            .collect()
    }

    /// The buckets that have a row.
    fn listed(&self, tallies: &BTreeMap<Bucket, Tally>) -> Vec<Bucket> {
        let (first_row, last_row) = (tallies.keys().next(), tallies.keys().next_back());
        let first = self.asked.from.or(first_row.map(|bucket| bucket.first));
        let (Some(first), false) = (first, self.question["gaps"] == "OMIT") else {
            return tallies.keys().copied().collect();
        };
        let today = self.asked.today();
        let last = self.asked.to.unwrap_or(last_row.map_or(today, |bucket| bucket.last.max(today)));
        let listed = |bucket: &Bucket| {
            // In an open range, hours begin with the first row, not with its day. After today, the last row is the end.
            let begun = self.asked.from.is_some() || first_row <= Some(bucket);
            let over = self.asked.to.is_none() && bucket.first > today && Some(bucket) > last_row;
            let days = |date: NaiveDate| first <= date && date <= last && self.asked.reported(date);
            begun && !over && dates(bucket).any(days)
        };
        self.calendar.range(first, last).into_iter().filter(listed).collect()
    }

    /// The fields for the time of a bucket, and whether it is partial.
    fn place(&self, bucket: Bucket) -> Value {
        let (start, end) = (self.calendar.start(bucket), self.calendar.end(bucket));
        let is_cut =
            dates(&bucket).any(|date| !self.asked.in_range(date)) || self.asked.end.is_some_and(|cut| cut < end);
        json!({
            "start": rfc3339(start), "startMillis": start.and_utc().timestamp_millis(), "end": rfc3339(end),
            "label": self.calendar.label(bucket), "isPartial": is_cut || end > now().naive_utc(),
        })
    }

    /// All buckets that averages look at, with door codes from before the range.
    fn chain(&self, first: Bucket, last: Bucket) -> Chain {
        let longest = self.question["buckets"].as_u64().unwrap().max(7);
        let earliest = (1..longest).fold(first, |bucket, _| self.calendar.before(bucket));
        // The last bucket counts as a whole.
        let to = self.asked.to.map(|to| if self.calendar.by_hour() { to } else { self.calendar.holding(to).last });
        let asked = Asked { from: Some(earliest.first), to, ..self.asked.clone() };
        Chain { buckets: self.calendar.chain(earliest, last), tallies: self.tallies(&asked) }
    }

    fn running(&self, bucket: Bucket, tallies: &BTreeMap<Bucket, Tally>, chain: &Chain) -> Value {
        let sum = |measure: &str| tallies.range(..=bucket).map(|(_, tally)| additive(tally, measure)).sum::<i64>();
        let average = |length: usize, measure: &str| {
            let end = chain.buckets.binary_search(&bucket).unwrap() + 1;
            let window = &chain.buckets[end - length..end];
            let counted = window.iter().filter(|bucket| dates(bucket).any(|date| self.asked.reported(date))).count();
            let tallies = chain.tallies.range(window[0]..=bucket);
            let has_begun = self.calendar.start(bucket) <= now().naive_utc();
            let average =
                ratio(tallies.map(|(_, tally)| additive(tally, measure)).sum(), i64::try_from(counted).unwrap());
            average.filter(|_| has_begun)
        };
        let measure = self.question["measure"].as_str().unwrap();
        let length = usize::try_from(self.question["buckets"].as_u64().unwrap()).unwrap();
        json!({
            "rollingAverage": average(7, "VISITS"), "rolling": average(length, measure),
            "cumulative": sum("VISITS"), "running": sum(measure),
        })
    }

    fn comparison(&self, from: NaiveDate, compare_to: &str, rows: &[(Bucket, Value)]) -> Value {
        let to = self.asked.to.unwrap_or(self.asked.today().max(from));
        let (first, last, by) = self.shifted(from, to, compare_to);
        let (now, before) = self.sides((from, to), (first, last), by);
        let (own, tallies, nothing) = (now.tallies(&now.asked), before.tallies(&before.asked), Tally::default());
        let counterpart = |(bucket, row): &(Bucket, Value)| {
            let found = self.counterpart(*bucket, from, first, by).filter(|found| {
                let has_begun = before.asked.end.is_none_or(|end| self.calendar.start(*found) < end);
                let is_compared =
                    |date: NaiveDate| before.asked.in_range(date) && self.asked.on_weekday(date) && before.exists(date);
                first <= found.last && found.first <= last && has_begun && dates(found).any(is_compared)
            });
            let mut measures = Tally::json(found.map(|found| tallies.get(&found).unwrap_or(&nothing)));
            for name in ["start", "startMillis", "end", "label", "isPartial"] {
                measures[name] = found.map_or(Value::Null, |found| before.place(found)[name].clone());
            }
            // For a row without measures, nothing is compared.
            let is_counted = !row["visits"].is_null();
            let compared = Tally::json(is_counted.then(|| own.get(bucket).unwrap_or(&nothing)));
            let beside = json!({ "bucketStart": row["start"], "bucketLabel": row["label"] });
            merged(merged(changes(&compared, &measures), measures), beside)
        };
        let comparison = merged(before.part(), json!({ "buckets": rows.iter().map(counterpart).collect::<Vec<_>>() }));
        let changes = changes(&now.part()["totals"], &comparison["totals"]);
        merged(merged(comparison, json!({ "current": now.part() })), changes)
    }

    /// The two sides of a comparison, which are matched day by day.
    fn sides(&self, (from, to): (NaiveDate, NaiveDate), before: (NaiveDate, NaiveDate), by: By) -> (Self, Self) {
        let of = |range: (NaiveDate, NaiveDate), dates, end| Series {
            asked: Asked { from: Some(range.0), to: Some(range.1), dates, end, ..self.asked.clone() },
            calendar: Calendar { granularity: self.calendar.granularity.clone(), ..self.calendar },
            ..*self
        };
        let extent = self.question["extent"].as_str().unwrap();
        if extent == "WHOLE" {
            return (of((from, to), None, None), of(before, None, None));
        }
        let moment = now().naive_utc();
        let moment = moment - TimeDelta::nanoseconds(moment.and_utc().timestamp_nanos_opt().unwrap() % QUARTER);
        let today = local_date(self.asked.zone, moment);
        let is_over = |date: NaiveDate| date < today || (date == today && extent == "ELAPSED");
        let pairs: BTreeMap<NaiveDate, NaiveDate> = from
            .iter_days()
            .take_while(|date| *date <= to && is_over(*date))
            .filter_map(|date| Some((date, by.back(date)?)))
            .filter(|(date, other)| self.exists(*date) && self.exists(*other))
            .collect();
        let (Some((first, earlier)), Some((last, latest))) = (pairs.first_key_value(), pairs.last_key_value()) else {
            let nothing = |date: NaiveDate| of((date, date), None, Some(first_instant(self.asked.zone, date)));
            return (nothing(from), nothing(before.0));
        };
        let cut = (*last == today).then_some(moment);
        let there = cut.map(|moment| same_time(self.asked.zone, moment, *latest));
        (
            of((*first, *last), Some(pairs.keys().copied().collect()), cut),
            of((*earlier, *latest), Some(pairs.values().copied().collect()), there),
        )
    }

    fn exists(&self, date: NaiveDate) -> bool {
        day_exists(self.asked.zone, date)
    }

    /// The fields of one side of a comparison.
    fn part(&self) -> Value {
        let (from, to) = (self.asked.from.unwrap(), self.asked.to.unwrap());
        let up_to = self.asked.end.unwrap_or_else(|| day_end(self.asked.zone, to));
        json!({ "from": from, "to": to, "upTo": rfc3339(up_to), "totals": Tally::json(Some(&self.totals())) })
    }

    /// The earlier range, and its distance.
    fn shifted(&self, from: NaiveDate, to: NaiveDate, compare_to: &str) -> (NaiveDate, NaiveDate, By) {
        let by_days = |days| (from - TimeDelta::days(days), to - TimeDelta::days(days), By::Days(days));
        let ends_month = (to + Days::new(1)).day() == 1;
        // A range that ends today is never a range of whole months.
        let range = self.question["filter"]["range"].as_str();
        let is_whole = range.is_none_or(|range| ["LAST_MONTH", "LAST_QUARTER", "LAST_YEAR"].contains(&range));
        let whole_months = from.day() == 1 && ends_month && is_whole;
        let by_months = |months: i32| {
            let by = By::Months(months);
            let months = Months::new(u32::try_from(months).unwrap());
            // For whole months, the day after the end is the 1st of a month, so shift that day.
            let to = if whole_months { to + Days::new(1) - months - Days::new(1) } else { to - months };
            (from - months, to, by)
        };
        let unit = self.question["filter"]["range"].as_str().map(|range| range.rsplit('_').next().unwrap());
        match (compare_to, unit) {
            ("PREVIOUS_YEAR", _) if self.calendar.granularity == "WEEK" => by_days(364),
            ("PREVIOUS_YEAR", _) | ("PREVIOUS_PERIOD", Some("YEAR")) => by_months(12),
            ("PREVIOUS_WEEKS", unit) => {
                // The days of the whole period, even when the range ends today.
                let end = match unit {
                    Some("YEAR") => from + Months::new(12),
                    Some("QUARTER") => from + Months::new(3),
                    Some("MONTH") => from + Months::new(1),
                    Some("WEEK") => from + Days::new(7),
                    _ => to + Days::new(1),
                };
                let days = (end - from).num_days();
                by_days((7..).step_by(7).find(|weeks| *weeks >= days).unwrap())
            }
            (_, Some("QUARTER")) => by_months(3),
            (_, Some("MONTH")) => by_months(1),
            (_, Some("WEEK")) => by_days(7),
            (_, None) if whole_months => by_months(12 * (to.year() - from.year()) + 1 + month(to) - month(from)),
            _ => by_days((to - from).num_days() + 1),
        }
    }

    /// The bucket that has the same position in the period from `before` as `bucket` has in the period from `from`.
    fn counterpart(&self, bucket: Bucket, from: NaiveDate, before: NaiveDate, by: By) -> Option<Bucket> {
        let date = by.back(bucket.first);
        match self.calendar.granularity.as_str() {
            "HOUR" => self.calendar.same_hour(bucket, date?),
            "DAY" => date.filter(|date| day_exists(self.asked.zone, *date)).map(|date| self.calendar.holding(date)),
            _ => {
                let ahead = self.calendar.chain(self.calendar.holding(from), bucket).len() - 1;
                Some((0..ahead).fold(self.calendar.holding(before), |bucket, _| self.calendar.after(bucket)))
            }
        }
    }
}

/// The distance to the earlier period.
#[derive(Clone, Copy)]
enum By {
    Days(i64),
    Months(i32),
}

impl By {
    /// The date that far back; none when that month has no such day.
    fn back(self, date: NaiveDate) -> Option<NaiveDate> {
        match self {
            Self::Days(days) => Some(date - TimeDelta::days(days)),
            Self::Months(months) => {
                let month = date.year() * 12 + month(date) - 1 - months;
                let number = u32::try_from(month.rem_euclid(12)).unwrap() + 1;
                NaiveDate::from_ymd_opt(month.div_euclid(12), number, date.day())
            }
        }
    }
}

/// A quarter of an hour, in nanoseconds.
const QUARTER: i64 = 15 * 60 * 1_000_000_000;

fn dates(bucket: &Bucket) -> impl Iterator<Item = NaiveDate> {
    let last = bucket.last;
    bucket.first.iter_days().take_while(move |date| *date <= last)
}

fn month(date: NaiveDate) -> i32 {
    i32::try_from(date.month()).unwrap()
}

fn additive(tally: &Tally, measure: &str) -> i64 {
    match measure {
        "VISITS" => tally.visits,
        "TOKENS_ISSUED" => tally.issued,
        "TOKENS_UNUSED" => tally.unused,
        other => panic!("{other}"),
    }
}

/// The differences between measures, and their ratios to the earlier measures.
fn changes(now: &Value, before: &Value) -> Value {
    let each = |difference: fn(&Value, &Value) -> Value| -> Map<String, Value> {
        MEASURES.iter().map(|name| ((*name).to_owned(), difference(&now[name], &before[name]))).collect()
    };
    json!({ "change": each(difference), "changeRatio": each(difference_ratio) })
}

fn difference(now: &Value, before: &Value) -> Value {
    match (now.as_i64(), before.as_i64()) {
        (Some(now), Some(before)) => json!(now - before),
        _ => now.as_f64().zip(before.as_f64()).map_or(Value::Null, |(now, before)| json!(now - before)),
    }
}

fn difference_ratio(now: &Value, before: &Value) -> Value {
    if let (Some(now), Some(before)) = (now.as_i64(), before.as_i64()) {
        return json!(ratio(now - before, before));
    }
    let both = now.as_f64().zip(before.as_f64()).filter(|(_, before)| *before > 0.0);
    both.map_or(Value::Null, |(now, before)| json!((now - before) / before))
}
