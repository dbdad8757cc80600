//! The model of the reports other than series: `heatmap`, `activeUsers`, `retention`, `members`, `frequency`, `forecast` and
//! `tokenFunnel`.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Datelike as _, Days, NaiveDate, NaiveDateTime, Timelike as _};
use serde_json::{Value, json};

use super::{
    calendar::{Bucket, Calendar, day_end, day_exists, first_instant, last_moment, local, local_date},
    model::{Asked, Member, Members, Row, Space, count, merged, ratio, rfc3339, sort},
};
use crate::support::now;

const WEEKDAYS: [&str; 7] = ["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"];

impl Space {
    /// The heatmap, and that of each month of the range: the same question about the dates that are in the month.
    pub fn heatmap(&self, question: &Value) -> Value {
        let mut whole = self.heatmap_of(question, None);
        if question["months"] != true {
            return whole;
        }
        let asked = Asked::read(question);
        let date = |of: &Value| of.as_str().map(|date| date.parse::<NaiveDate>().unwrap());
        let mut months = Vec::new();
        if let (Some(from), Some(to)) = (date(&whole["from"]), date(&whole["to"])) {
            let mut first = from;
            while first <= to {
                let begin = first.with_day(1).unwrap();
                let next = begin + chrono::Months::new(1);
                let last = next.pred_opt().unwrap();
                let mut about = question.clone();
                about["filter"]["range"] = Value::Null;
                about["filter"]["from"] = json!(asked.from.map_or(begin, |from| from.max(begin)));
                about["filter"]["to"] = json!(asked.to.map_or(last, |to| to.min(last)));
                let mut month = self.heatmap_of(&about, Some((first, to.min(last))));
                month["label"] = json!(first.format("%Y-%m").to_string());
                // The peaks have what the cells have, and cells of all months would cost too much.
                month.as_object_mut().unwrap().retain(|name, _| !["recordedFrom", "cells"].contains(&name.as_str()));
                months.push(month);
                first = next;
            }
        }
        whole["months"] = json!(months);
        whole
    }

    /// The heatmap of the dates in `within`, or of all that the report reaches.
    fn heatmap_of(&self, question: &Value, within: Option<(NaiveDate, NaiveDate)>) -> Value {
        let asked = Asked::read(question);
        let visits: Vec<_> = self.visits(&asked).into_iter().map(|(_, moment)| local(asked.zone, moment)).collect();
        let reached = reach(&asked, &visits.iter().map(DateTime::date_naive).collect());
        let (from, to) = within.map_or(reached, |(from, to)| (Some(from), Some(to)));
        let recorded = self.recorded_from(&asked);
        let slot = |moment: NaiveDateTime| {
            let at = local(asked.zone, moment);
            asked.counted(moment).map(|_| (at.weekday().num_days_from_monday() as usize, at.hour()))
        };
        let tallies = self.tallies(&asked, slot);
        // The place of each door code by its issue, and the whole seconds to its use.
        let waits: Vec<_> = self
            .tokens
            .iter()
            .filter(|token| self.matches(token.user_id, &asked))
            .filter_map(|token| {
                let (issued, used) = (token.created_at?, token.used_at??);
                let seconds = (used - issued).num_milliseconds().div_euclid(1_000);
                slot(issued).map(|(weekday, hour)| (weekday, hour, seconds)).filter(|_| issued <= used)
            })
            .collect();
        let average_wait = |is_there: &dyn Fn(usize, u32) -> bool| {
            let there: Vec<_> = waits.iter().filter(|(weekday, hour, _)| is_there(*weekday, *hour)).collect();
            ratio(there.iter().map(|(_, _, seconds)| seconds).sum(), count(there.len()))
        };
        let mut cells = Vec::new();
        for (weekday, name) in WEEKDAYS.iter().enumerate() {
            if asked.filter["weekdays"].as_array().is_some_and(|days| !days.contains(&json!(name))) {
                continue;
            }
            let on_it = |date: NaiveDate| date.weekday().num_days_from_monday() as usize == weekday;
            for hour in 0..24 {
                // Whether the last instant of that hour has passed. An hour that clocks skip is over together with the
                // hour before.
                let is_over = |date: NaiveDate| {
                    let shown = |hour| last_moment(asked.zone, date, hour);
                    let last = (0..=hour).rev().find_map(shown);
                    date < asked.today() || (date == asked.today() && last.is_none_or(|last| last < now().naive_utc()))
                };
                let days: Vec<_> = dates(from.map(|from| from.max(recorded.unwrap_or(from))), to)
                    .filter(|date| {
                        recorded.is_some() && on_it(*date) && day_exists(asked.zone, *date) && is_over(*date)
                    })
                    .collect();
                let here: Vec<_> = visits
                    .iter()
                    .map(|visit| (visit.date_naive(), visit.hour()))
                    .filter(|(date, visited)| on_it(*date) && *visited == hour)
                    .collect();
                let counted = here.iter().filter(|(date, _)| is_over(*date)).count();
                let never = here.is_empty() && days.is_empty();
                cells.push(json!({
                    "weekday": name, "hour": hour, "visits": here.len(), "occurrences": days.len(),
                    "share": ratio(count(here.len()), count(visits.len())).filter(|_| !never),
                    "average": ratio(count(counted), count(days.len())),
                    "tokensIssued": tallies.get(&(weekday, hour)).map_or(0, |tally| tally.issued),
                    "tokensUnused": tallies.get(&(weekday, hour)).map_or(0, |tally| tally.unused),
                    "conversionRate": tallies.get(&(weekday, hour)).and_then(|tally| ratio(tally.visits, tally.issued)),
                    "averageTimeToUse": average_wait(&|day, at| (day, at) == (weekday, hour)),
                }));
            }
        }
        let mut peaks: Vec<_> = cells.iter().filter(|cell| cell["visits"] != 0).collect();
        // The sort is stable, so ties stay in the order of the week.
        peaks.sort_by_key(|cell| -cell["visits"].as_i64().unwrap());
        peaks.truncate(usize::try_from(question["first"].as_u64().unwrap()).unwrap());
        let together = |field: &str, of: &Value| {
            let own: Vec<_> = cells.iter().filter(|cell| cell[field] == *of).collect();
            let sum = |name: &str| own.iter().map(|cell| cell[name].as_i64().unwrap()).sum::<i64>();
            let averages: Option<Vec<_>> = own.iter().map(|cell| cell["average"].as_f64()).collect();
            // A day has its hours together; an hour has the mean of the days.
            let parts = if field == "hour" { f64::from(u32::try_from(own.len()).unwrap()) } else { 1.0 };
            let average = averages.map(|all| all.iter().sum::<f64>() / parts);
            json!({
                field: of, "visits": sum("visits"), "share": ratio(sum("visits"), count(visits.len())), "average": average,
                "tokensIssued": sum("tokensIssued"), "tokensUnused": sum("tokensUnused"),
                "conversionRate": ratio(sum("visits"), sum("tokensIssued")),
                "averageTimeToUse": average_wait(&|day, hour| {
                    if field == "hour" { json!(hour) == *of && own.iter().any(|cell| cell["weekday"] == WEEKDAYS[day]) }
                    else { json!(WEEKDAYS[day]) == *of }
                }),
            })
        };
        let listed =
            WEEKDAYS.iter().map(|name| json!(name)).filter(|name| cells.iter().any(|cell| cell["weekday"] == *name));
        let weekdays: Vec<_> = listed.map(|name| together("weekday", &name)).collect();
        let hours: Vec<_> =
            (0..24).map(|hour| json!(hour)).filter(|_| !cells.is_empty()).map(|hour| together("hour", &hour)).collect();
        json!({
            "from": from, "to": to, "recordedFrom": recorded, "visits": visits.len(), "peakHours": peaks,
            "weekdays": weekdays, "hours": hours, "cells": cells,
        })
    }

    pub fn active_users(&self, question: &Value) -> Result<Value, &'static str> {
        let asked = Asked::read(question);
        // Visits before the range count for its first windows; visits after it are in no window.
        let ever = self.visits(&Asked { from: None, ..asked.clone() });
        let ever: Vec<_> = ever.into_iter().map(|(id, moment)| (id, local_date(asked.zone, moment))).collect();
        let within = ever.iter().map(|(_, date)| *date).filter(|date| asked.in_range(*date)).collect();
        let (from, to) = reach(&asked, &within);
        if dates(from, to).count() > 1_100 {
            return Err("filter.from");
        }
        let row = |date: NaiveDate| {
            let came_in = |days: u64| {
                let first = date - Days::new(days - 1);
                let came = ever.iter().filter(|(_, visit)| first <= *visit && *visit <= date).map(|(id, _)| id);
                count(came.collect::<BTreeSet<_>>().len())
            };
            let (daily, weekly, monthly) = (came_in(1), came_in(7), came_in(30));
            let starts_at = first_instant(asked.zone, date);
            json!({
                "date": date, "startsAt": rfc3339(starts_at), "startsAtMillis": starts_at.and_utc().timestamp_millis(),
                "daily": daily, "weekly": weekly, "monthly": monthly,
                "stickiness": ratio(daily, monthly), "isPartial": day_end(asked.zone, date) > now().naive_utc(),
            })
        };
        Ok(dates(from, to).filter(|date| asked.reported(*date)).map(row).collect())
    }

    pub fn retention(&self, question: &Value) -> Result<Value, &'static str> {
        let cohort = question["cohort"].as_str().unwrap();
        let range = question["filter"]["range"].as_str();
        if !question["weekStart"].is_null() && cohort != "WEEK" && !matches!(range, Some("THIS_WEEK" | "LAST_WEEK")) {
            return Err("weekStart");
        }
        let asked = Asked::read(question);
        let calendar = Calendar { zone: asked.zone, granularity: cohort.to_owned(), week_start: asked.week_start };
        let visits = self.visits(&Asked { from: None, to: None, ..asked.clone() });
        let came: BTreeSet<_> = visits.iter().map(|(id, moment)| (*id, calendar.at(*moment))).collect();
        let anchor = |member: &Member| match question["anchor"].as_str().unwrap() {
            "JOINED_AT" => member.joined_at,
            _ => visits.iter().filter(|(id, _)| *id == member.id).map(|(_, moment)| *moment).min(),
        };
        let mut members = Vec::new();
        for member in self.members.iter().filter(|member| self.matches(member.id, &asked)) {
            let Some(anchor) = anchor(member) else { continue };
            if asked.in_range(local_date(asked.zone, anchor)) {
                members.push((member.id, calendar.at(anchor)));
            }
        }
        let first = asked.from.map(|from| calendar.holding(from)).or(members.iter().map(|(_, period)| *period).min());
        let Some(first) = first else { return Ok(json!([])) };
        let latest = members.iter().map(|(_, period)| *period).max();
        let last = asked.to.map_or(latest.max(Some(calendar.holding(asked.today()))), |to| Some(calendar.holding(to)));
        let cohorts = calendar.chain(first, last.unwrap());
        if cohorts.len() > 160 {
            return Err("filter.from");
        }
        let recorded = self.recorded_from(&asked);
        let row = |cohort| {
            let own: Vec<_> = members.iter().filter(|(_, period)| *period == cohort).map(|(id, _)| *id).collect();
            let followed = std::iter::successors(Some(cohort), |period| Some(calendar.after(*period)));
            let cell = |(index, period): (i64, _)| {
                let active = own.iter().filter(|id| came.contains(&(**id, period))).count();
                let begun = period.first <= asked.today() && recorded.is_some_and(|recorded| recorded <= period.last);
                json!({
                    "index": index, "start": period.first, "active": begun.then_some(active),
                    "rate": begun.then(|| ratio(count(active), count(own.len()))).flatten(),
                    "isPartial": calendar.end(period) > now().naive_utc(),
                })
            };
            let periods: Vec<_> = (0..=question["periods"].as_i64().unwrap()).zip(followed).map(cell).collect();
            json!({ "start": cohort.first, "label": calendar.label(cohort), "members": own.len(), "periods": periods })
        };
        Ok(cohorts.into_iter().map(row).collect())
    }

    pub fn membership(&self, question: &Value) -> Result<Value, &'static str> {
        let granularity = question["granularity"].as_str().unwrap().to_owned();
        if granularity == "HOUR" {
            return Err("granularity");
        }
        let range = question["filter"]["range"].as_str();
        let weekly = granularity == "WEEK" || matches!(range, Some("THIS_WEEK" | "LAST_WEEK"));
        if !question["weekStart"].is_null() && !weekly {
            return Err("weekStart");
        }
        let asked = Asked::read(question);
        let calendar = Calendar { zone: asked.zone, granularity, week_start: asked.week_start };
        let mut joined = BTreeMap::<Bucket, usize>::new();
        for member in self.members.iter().filter(|member| self.matches(member.id, &asked)) {
            if let Some(at) = member.joined_at.filter(|at| asked.in_range(local_date(asked.zone, *at))) {
                *joined.entry(calendar.at(at)).or_default() += 1;
            }
        }
        let came = self.tallies(&asked, |instant| asked.counted(instant).map(|_| calendar.at(instant)));
        let ever = self.visits(&Asked { from: None, to: None, ..asked.clone() });
        let days: BTreeSet<_> = ever.into_iter().map(|(id, moment)| (id, local_date(asked.zone, moment))).collect();
        let away = Days::new(question["stoppedAfterDays"].as_u64().unwrap() + 1);
        let mut stopped = BTreeMap::<Bucket, usize>::new();
        for (id, last) in &days {
            let day = *last + away;
            let stays_away = days.range((*id, *last + Days::new(1))..=(*id, day)).next().is_none();
            let day = day.iter_days().find(|day| day_exists(asked.zone, *day)).unwrap();
            if stays_away && asked.in_range(day) && day <= asked.today() {
                *stopped.entry(calendar.holding(day)).or_default() += 1;
            }
        }
        let known = || came.iter().filter(|(_, tally)| tally.visits > 0).map(|(bucket, _)| bucket).chain(joined.keys());
        let first = asked.from.or(known().min().map(|bucket| bucket.first));
        let latest = known().max().map(|bucket| bucket.first);
        let Some(first) = first else { return Ok(json!([])) };
        let last = asked.to.unwrap_or(latest.unwrap_or(NaiveDate::MIN).max(asked.today()));
        let row = |bucket: Bucket| {
            let (active, new) = came.get(&bucket).map_or((0, 0), |tally| (tally.visitors.len(), tally.newcomers));
            let start = calendar.start(bucket);
            let is_cut = dates(Some(bucket.first), Some(bucket.last)).any(|date| !asked.in_range(date));
            json!({
                "start": rfc3339(start), "startMillis": start.and_utc().timestamp_millis(),
                "end": rfc3339(calendar.end(bucket)), "label": calendar.label(bucket),
                "joined": joined.get(&bucket).copied().unwrap_or(0), "active": active, "firstVisits": new,
                "returning": active - new, "stopped": stopped.get(&bucket).copied().unwrap_or(0),
                "isPartial": is_cut || calendar.end(bucket) > now().naive_utc(),
            })
        };
        let exists =
            |bucket: &Bucket| dates(Some(bucket.first), Some(bucket.last)).any(|date| day_exists(asked.zone, date));
        Ok(calendar.range(first, last).into_iter().filter(exists).map(row).collect())
    }

    /// The lengths of the lists of members.
    pub fn segments(&self, question: &Value) -> Value {
        let size = |segment: &str| {
            let asked = merged(
                question.clone(),
                json!({ "segment": segment, "order": { "field": "USER_ID", "direction": "ASC" } }),
            );
            let members = self.members(&asked);
            let active = members.iter().filter(|member| member["isActive"] == true).count();
            json!({ "segment": segment, "members": members.len(), "activeMembers": active })
        };
        ["NEW", "ACTIVE", "LAPSING", "LAPSED", "NEVER_CAME"].map(size).into()
    }

    pub fn members(&self, question: &Value) -> Vec<Value> {
        let asked = Asked { by_use: true, ..Asked::read(question) };
        let days = |name: &str| question[name].as_i64().unwrap();
        let ago = |moment: NaiveDateTime| (asked.today() - local_date(asked.zone, moment)).num_days();
        let segment = |row: &Row| match row.last.map(ago) {
            None => "NEVER_CAME",
            Some(gone) if gone <= days("activeWithinDays") => "ACTIVE",
            Some(gone) if gone <= days("lapsedAfterDays") => "LAPSING",
            Some(_) => "LAPSED",
        };
        let listed = |row: &Row| match question["segment"].as_str() {
            None => true,
            Some("NEW") => row.member.joined_at.is_some_and(|joined_at| ago(joined_at) <= days("newWithinDays")),
            Some(asked) => asked == segment(row),
        };
        let matching = self.members.iter().filter(|member| self.matches(member.id, &asked));
        let mut rows: Vec<_> = matching.map(|member| self.row(member, &asked)).filter(listed).collect();
        sort(&mut rows, &question["order"]);
        let more =
            |row: &Row| json!({ "segment": segment(row), "daysSinceLastVisit": row.last.map(|last| ago(last).max(0)) });
        rows.iter().map(|row| merged(row.json(), more(row))).collect()
    }

    pub fn frequency(&self, question: &Value) -> Value {
        let mut visits = BTreeMap::<i32, i64>::new();
        for (id, _) in self.visits(&Asked::read(question)) {
            *visits.entry(id).or_default() += 1;
        }
        let mut members = BTreeMap::<i64, i64>::new();
        for count in visits.values() {
            *members.entry(*count).or_default() += 1;
        }
        let row = |(visits, count): (&i64, &i64)| json!({ "visits": visits, "members": count, "membersAtLeast": members.range(visits..).map(|(_, n)| n).sum::<i64>() });
        members.iter().map(row).collect()
    }

    pub fn forecast(&self, question: &Value) -> Value {
        let asked = Asked::read(question);
        let nothing = json!({ "learnedFrom": null, "learnedTo": null, "days": [], "backtest": null });
        let Some(recorded) = self.recorded_from(&asked) else { return nothing };
        let yesterday = asked.today().pred_opt().unwrap();
        let last = asked.to.map_or(yesterday, |to| to.min(yesterday));
        let first = asked.from.map_or(recorded, |from| from.max(recorded));
        let mut counted = BTreeMap::<NaiveDate, i64>::new();
        for (_, moment) in self.visits(&asked) {
            *counted.entry(local_date(asked.zone, moment)).or_default() += 1;
        }
        let visits = |date: NaiveDate| counted.get(&date).copied().unwrap_or_default();
        // Whole weeks, the last one first, each from its first day to its last.
        let week =
            |number: u64| -> Vec<NaiveDate> { (0..7).map(|day| last - Days::new(7 * number + 6 - day)).collect() };
        let mut weeks: Vec<_> = (0..52).map(week).take_while(|week| first <= week[0]).collect();
        weeks.reverse();
        if weeks.len() < 2 {
            return nothing;
        }
        let listed = |date: NaiveDate| asked.on_weekday(date);
        let (mut errors, mut naive) = (Vec::new(), Vec::new());
        for tested in weeks.len().saturating_sub(8).max(2)..weeks.len() {
            let forecast = expected(&weeks[..tested], &visits, 7);
            for (day, expected) in forecast.iter().enumerate() {
                let date = weeks[tested][day];
                if listed(date) {
                    errors.push((whole(visits(date)) - expected, *expected));
                    naive.push(whole((visits(date) - visits(weeks[tested - 1][day])).abs()));
                }
            }
        }
        let mean = |values: Vec<f64>| hundredths(values.iter().sum::<f64>() / whole(count(values.len())));
        let mut scaled: Vec<f64> = errors.iter().map(|(error, expected)| error / expected.max(1.0).sqrt()).collect();
        scaled.sort_by(f64::total_cmp);
        let nearest =
            |percent: usize| scaled.iter().enumerate().find(|(at, _)| (at + 1) * 100 >= percent * scaled.len());
        let days = usize::try_from(question["days"].as_u64().unwrap()).unwrap();
        let row = |(date, expected): (NaiveDate, f64)| {
            let bound = |percent| nearest(percent).map(|(_, error)| expected + error * expected.max(1.0).sqrt());
            json!({
                "date": date, "startsAt": rfc3339(first_instant(asked.zone, date)), "expected": hundredths(expected),
                "lower": bound(10).map(|bound| hundredths(bound.min(expected).max(0.0))),
                "upper": bound(90).map(|bound| hundredths(bound.max(expected))),
            })
        };
        let dates = (last + Days::new(1)).iter_days().zip(expected(&weeks, &visits, days));
        let rows: Vec<_> = dates.filter(|(date, _)| listed(*date) && day_exists(asked.zone, *date)).map(row).collect();
        let backtest = (!errors.is_empty()).then(|| {
            json!({
                "days": errors.len(), "meanAbsoluteError": mean(errors.iter().map(|(error, _)| error.abs()).collect()),
                "seasonalNaiveError": mean(naive),
            })
        });
        json!({ "learnedFrom": weeks[0][0], "learnedTo": last, "days": rows, "backtest": backtest })
    }

    pub fn token_funnel(&self, question: &Value) -> Value {
        let asked = Asked::read(question);
        let (mut issued, mut used, mut early) = (0, 0, 0);
        let mut seconds = Vec::new();
        for token in self.tokens.iter().filter(|token| self.matches(token.user_id, &asked)) {
            let Some(created_at) = token.created_at.filter(|at| asked.counted(*at).is_some()) else { continue };
            issued += 1;
            let Some(used_at) = token.used_at else { continue };
            used += 1;
            match used_at {
                Some(used_at) if used_at < created_at => early += 1,
                Some(used_at) => seconds.push((used_at - created_at).num_seconds()),
                None => {}
            }
        }
        seconds.sort_unstable();
        // The percentile by nearest rank: the first value that this share of all values does not exceed.
        let percentile = |percent: usize| {
            seconds.iter().enumerate().find(|(index, _)| (index + 1) * 100 >= percent * seconds.len()).map(|(_, s)| *s)
        };
        json!({
            "issued": issued, "used": used, "unused": issued - used, "conversionRate": ratio(used, issued),
            "usedBeforeIssued": early,
            "timeToUse": {
                "count": seconds.len(), "median": percentile(50), "p90": percentile(90), "p99": percentile(99),
            },
        })
    }

    /// The date on which the first door code was issued.
    fn recorded_from(&self, asked: &Asked) -> Option<NaiveDate> {
        let issued = self.tokens.iter().filter_map(|token| token.created_at);
        issued.map(|created_at| local_date(asked.zone, created_at)).min()
    }

    /// The members who came, with the instant that counts as the visit.
    fn visits(&self, asked: &Asked) -> Vec<(i32, NaiveDateTime)> {
        let tokens = self.tokens.iter().filter(|token| self.matches(token.user_id, asked));
        let visits = tokens.filter_map(|token| Some((token.user_id, asked.visit(token)?)));
        visits.filter(|(_, moment)| asked.counted(*moment).is_some()).collect()
    }
}

/// The rows of `userVisits` with rank and share, and the sums over all rows.
pub fn placed(rows: &[Row]) -> Members {
    let sum = |of: fn(&Row) -> i64| rows.iter().map(of).sum::<i64>();
    let (visits, issued, unused) = (sum(|row| row.visits), sum(|row| row.issued), sum(|row| row.unused));
    let place = |row: &Row| {
        let ahead = rows.iter().filter(|other| other.visits > row.visits).count();
        json!({ "tokensUnused": row.unused, "rank": 1 + ahead, "share": ratio(row.visits, visits) })
    };
    let totals = json!({
        "visits": visits, "tokensIssued": issued, "tokensUnused": unused, "conversionRate": ratio(visits, issued),
    });
    Members { rows: rows.iter().map(|row| merged(row.json(), place(row))).collect(), totals }
}

/// The sums over all rows of `userVisits` that are not on a page.
pub fn others(all: &Members, page: &[Value]) -> Value {
    let shown = |row: &&Value| page.iter().any(|node| node["userId"] == row["userId"]);
    let others: Vec<_> = all.rows.iter().filter(|row| !shown(row)).collect();
    let sum = |field: &str| others.iter().map(|row| row[field].as_i64().unwrap()).sum::<i64>();
    json!({
        "users": others.len(), "visits": sum("visits"), "tokensIssued": sum("tokensIssued"),
        "tokensUnused": sum("tokensUnused"), "share": ratio(sum("visits"), all.totals["visits"].as_i64().unwrap()),
    })
}

/// The first and the last date of a report on visits. An open beginning is the day of the first visit; an open end is
/// today, or the day of the last visit if that is later.
fn reach(asked: &Asked, visited: &BTreeSet<NaiveDate>) -> (Option<NaiveDate>, Option<NaiveDate>) {
    let from = asked.from.or(visited.first().copied());
    let open_end = asked.today().max(visited.last().copied().unwrap_or(NaiveDate::MIN));
    (from, asked.to.or(Some(open_end)))
}

fn dates(from: Option<NaiveDate>, to: Option<NaiveDate>) -> impl Iterator<Item = NaiveDate> {
    let to = to.unwrap_or(NaiveDate::MIN);
    from.into_iter().flat_map(|from| from.iter_days()).take_while(move |date| *date <= to)
}

/// The damped trend of the weeks' totals, as in <https://otexts.com/fpp3/holt.html>, times the share of each day of the week
/// in the last eight weeks.
fn expected(weeks: &[Vec<NaiveDate>], visits: &impl Fn(NaiveDate) -> i64, days: usize) -> Vec<f64> {
    let sum = |dates: &[NaiveDate]| dates.iter().map(|date| visits(*date)).sum::<i64>();
    let (mut level, mut trend) = (whole(sum(&weeks[0])), 0.0);
    for week in &weeks[1..] {
        let next = 0.5 * whole(sum(week)) + 0.5 * (level + 0.9 * trend);
        trend = 0.2 * (next - level) + 0.8 * 0.9 * trend;
        level = next;
    }
    let recent = &weeks[weeks.len().saturating_sub(8)..];
    let all: i64 = recent.iter().map(|week| sum(week)).sum();
    let on = |day: usize| recent.iter().map(|week| visits(week[day])).sum::<i64>();
    (0..days)
        .map(|day| {
            let fading: f64 = (1..=1 + i32::try_from(day / 7).unwrap()).map(|week| 0.9_f64.powi(week)).sum();
            (level + fading * trend).max(0.0) * ratio(on(day % 7), all).unwrap_or_default()
        })
        .collect()
}

fn whole(number: i64) -> f64 {
    f64::from(i32::try_from(number).unwrap())
}

fn hundredths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}
