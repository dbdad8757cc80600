//! The rollup: whatever happens to the door codes, answers from the rollup are the same as those computed from the
//! rows.

use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use chrono::Weekday;
use coworking_analytics::{
    config::limits::PageLimits,
    database::{Access, Database},
    reports::{
        Argument, CohortAnchor, CohortUnit, Granularity, HeatmapParts, Measures, MemberSegment, MembershipQuestion,
        RetentionQuestion, Session, Thresholds, UsageQuestion, UserVisitsParts,
        filter::{Direction, GapFill, TimeBasis, TokenFilter, UserFilter, UserVisitsFilter, Weekdays},
        name::NamePart,
        page::{Page, PageArguments, UserVisitsField, UserVisitsOrder},
        range::DateRange,
        rollup::{self, Progress},
        time_zone::Zone,
    },
};
use sea_orm::{ConnectionTrait as _, DatabaseConnection};

use crate::support::{
    Backend, PATIENCE, TestDatabase, TestGateway, config,
    database::fixture_path,
    on_postgres,
    process::{Service, query, run},
    rounds,
};

on_postgres!(
    reports_read_the_rollup_where_it_is_up_to_date,
    filling_goes_in_steps_and_reads_stay_exact,
    a_rollup_that_goes_is_missed_by_nobody,
    only_one_refreshes_at_a_time,
    services_fill_and_refresh_it_and_answers_are_fresh,
    roles_use_what_they_may,
    nobody_gets_in_through_the_rollup,
    an_unsafe_rollup_is_found_and_mended,
    owners_who_are_no_superusers_keep_it_themselves,
);

/// Zones with whole-hour offsets, one whose clocks changed at odd minutes until 2011, and one with an offset of
/// 15-minute steps.
const ZONES: [&str; 4] = ["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu"];

pub async fn connect(database: &TestDatabase) -> DatabaseConnection {
    let config = config(&database.url, &[("DB_MAX_CONNECTIONS", "1")]);
    Database::connect(&config.database, Access::Maintain).await.unwrap().connection().clone()
}

pub async fn refresh_to_the_end(connection: &DatabaseConnection) {
    while rollup::refresh(connection).await.unwrap() != Progress::Done {}
}

/// A gateway on the recorded data that reads an up-to-date rollup.
async fn rolled_up() -> TestGateway {
    let gateway = TestGateway::recorded(Backend::Postgres).await;
    rollup::create(&gateway.database.owner, PATIENCE).await.unwrap();
    refresh_to_the_end(&gateway.database.owner).await;
    gateway.reports.look_for_rollup().await.unwrap();
    assert!(gateway.reports.reads_rollup());
    gateway
}

/// What is asked: the door codes that count.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    zone: &'static str,
    is_by_use: bool,
    dates: Option<(&'static str, &'static str)>,
    is_active: Option<bool>,
    joined: Option<(&'static str, &'static str)>,
    ids: Option<Vec<i32>>,
    /// A part of members' names.
    name: Option<&'static str>,
    weekdays: Vec<Weekday>,
    segment: Option<MemberSegment>,
    /// The order of lists of members.
    order: UserVisitsOrder,
}

impl Asked {
    pub fn of(zone: &'static str, basis: &str) -> Self {
        Self { zone, is_by_use: basis == "USED_AT", ..Self::default() }
    }

    /// Half of the questions have conditions.
    pub fn at_random(random: &mut fastrand::Rng) -> Self {
        const DATES: [(&str, &str); 4] = [
            ("2024-03-01", "2024-03-31"),
            ("1969-07-20", "2009-11-01"),
            ("2009-11-01", "2024-06-30"),
            ("2024-03-31", "2024-03-31"),
        ];
        let mut asked = Self::of(ZONES[random.usize(..4)], ["ISSUED_AT", "USED_AT"][random.usize(..2)]);
        if random.bool() {
            asked.dates = random.bool().then(|| DATES[random.usize(..4)]);
            asked.is_active = random.bool().then(|| random.bool());
            asked.joined = (random.u8(..4) == 0).then_some(("2022-01-01", "2023-12-31"));
            asked.name = (random.u8(..4) == 0).then(|| ["a", "er", "\u{fc}", "zz"][random.usize(..4)]);
            asked.ids = (random.u8(..4) == 0).then(|| (0..random.i32(0..12)).map(|_| random.i32(-1..24)).collect());
            let days = if random.u8(..3) == 0 { random.i32(0..7) } else { 7 };
            asked.weekdays = (0..days).map(|day| Weekday::try_from(u8::try_from(day).unwrap()).unwrap()).collect();
        }
        asked.segment = [
            None,
            Some(MemberSegment::New),
            Some(MemberSegment::Active),
            Some(MemberSegment::Lapsing),
            Some(MemberSegment::Lapsed),
            Some(MemberSegment::NeverCame),
        ][random.usize(..6)];
        asked.order.field = UserVisitsField::ALL[random.usize(..UserVisitsField::ALL.len())];
        asked.order.direction = [Direction::Ascending, Direction::Descending][random.usize(..2)];
        asked
    }

    fn filter(&self) -> TokenFilter {
        let range = |dates: Option<(&str, &str)>| {
            let date = |text: &str| Some(text.parse().unwrap());
            dates.map_or(DateRange::default(), |(from, to)| {
                DateRange::new(Argument::FROM, date(from), date(to)).unwrap()
            })
        };
        let users = UserFilter::new(Argument::USER_IDS, self.ids.clone(), range(self.joined), self.is_active).unwrap();
        let users = users.named(self.name.map(|part| NamePart::new(part).unwrap()));
        let every_day = Weekdays::default();
        TokenFilter {
            range: range(self.dates),
            users,
            weekdays: if self.weekdays.is_empty() { every_day } else { self.weekdays.iter().copied().collect() },
            zone: Zone::parse(Argument::TIME_ZONE, self.zone).unwrap(),
            basis: if self.is_by_use { TimeBasis::UsedAt } else { TimeBasis::IssuedAt },
            ..TokenFilter::default()
        }
    }

    /// The pages of a list from its beginning and from its end, with what is behind each.
    async fn pages(&self, session: &Session, filter: &UserVisitsFilter) -> String {
        let parts = UserVisitsParts {
            visit_times: true,
            totals: true,
            rank: true,
            membership: true,
            behind: true,
            ..UserVisitsParts::default()
        };
        let mut text = String::new();
        for is_backward in [false, true] {
            let mut cursor = None;
            for _ in 0..3 {
                let arguments = if is_backward {
                    PageArguments { last: Some(3), before: cursor.as_deref(), ..PageArguments::default() }
                } else {
                    PageArguments { first: Some(3), after: cursor.as_deref(), ..PageArguments::default() }
                };
                let page = Page::new(arguments, self.order, PageLimits::default()).unwrap();
                let page = session.user_visits(filter, self.order, &page, parts).await.unwrap();
                let next = if is_backward { page.rows.first() } else { page.rows.last() };
                cursor = next.map(|row| self.order.cursor(row));
                let _ = writeln!(text, "{page:#?}");
            }
        }
        text
    }

    /// Every report, as text; and the number of days in the first.
    async fn answers(&self, session: &Session) -> (Vec<String>, usize) {
        let filter = self.filter();
        let series = |granularity| UsageQuestion::new(filter.clone(), granularity, None, None, GapFill::Omit).unwrap();
        let days = session.daily_usage(&series(Granularity::Day), Measures::ALL, None).await.unwrap().rows;
        let cohorts = TokenFilter {
            range: DateRange::new(Argument::FROM, "2022-01-01".parse().ok(), None).unwrap(),
            ..filter.clone()
        };
        let cohorts =
            |anchor| RetentionQuestion::new(cohorts.clone(), CohortUnit::Month, None, None, 24, anchor).unwrap();
        let active = DateRange::new(Argument::FROM, "2023-03-01".parse().ok(), "2024-06-01".parse().ok()).unwrap();
        let active = TokenFilter { range: active, ..filter.clone() };
        let members = UserVisitsFilter {
            range: filter.range,
            users: filter.users.clone(),
            zone: filter.zone,
            basis: filter.basis,
            ..UserVisitsFilter::default()
        };
        let all_parts = HeatmapParts { issued: true, time_to_use: true, months: false };
        let everything = UserVisitsParts {
            visit_times: true,
            totals: true,
            rank: true,
            membership: true,
            ..UserVisitsParts::default()
        };
        let simple = UserVisitsParts { totals: true, rank: true, names: true, ..UserVisitsParts::default() };
        let by_visits = UserVisitsOrder { field: UserVisitsField::Visits, direction: Direction::Descending };
        let by_id = UserVisitsOrder::default();
        let page = Page::first(7);
        let thresholds = Thresholds::new(30, 30, 90).unwrap();
        let membership = MembershipQuestion::new(filter.clone(), Granularity::Month, None, None, 30).unwrap();
        let answers = vec![
            format!("{days:#?}"),
            format!("{:#?}", session.usage(&series(Granularity::Month), Measures::ALL, None).await.unwrap().rows),
            format!("{:#?}", session.usage_totals(&filter, Measures::ALL).await.unwrap()),
            format!("{:#?}", session.heatmap(&filter, all_parts).await.unwrap()),
            format!("{:#?}", session.active_users(&active).await.unwrap()),
            format!("{:#?}", session.retention(&cohorts(CohortAnchor::FirstVisit)).await.unwrap()),
            format!("{:#?}", session.retention(&cohorts(CohortAnchor::JoinedAt)).await.unwrap()),
            format!("{:#?}", session.token_funnel(&filter).await.unwrap()),
            format!("{:#?}", session.frequency(&filter).await.unwrap()),
            format!("{:#?}", session.forecast(&filter, 14).await.unwrap()),
            format!("{:#?}", session.membership(&membership).await.unwrap()),
            format!("{:#?}", session.segments(thresholds, filter.users.clone(), filter.zone).await.unwrap()),
            format!("{:#?}", session.usage_dates(&filter).await.unwrap()),
            format!("{:#?}", session.user_visits(&members, by_id, &Page::all(), everything).await.unwrap()),
            format!("{:#?}", session.user_visits(&members, by_visits, &page, simple).await.unwrap()),
            self.pages(session, &members).await,
            self.pages(session, &session.segment_filter(self.segment, thresholds, filter.users.clone(), filter.zone))
                .await,
        ];
        (answers, days.len())
    }
}

/// Every report in one snapshot, from the rollup and from the door codes; each with the number of days.
pub async fn asked_twice(gateway: &TestGateway, asked: &Asked) -> [(Vec<String>, usize); 2] {
    let session = gateway.reports.snapshot_session();
    let kept = asked.answers(&session).await;
    [kept, asked.answers(&session.from_door_codes()).await]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_read_of_postgres_is_exact_whatever_happens_meanwhile() {
    /// The least number of transactions per writer. On a slow machine the writers continue until the readers have
    /// compared enough answers.
    const TRANSACTIONS: usize = 100;
    const READS: usize = 20;
    let (transactions, enough) = (rounds(TRANSACTIONS), rounds(READS));
    let gateway = Arc::new(rolled_up().await);
    let (stop, truncates, reads) =
        (Arc::new(AtomicBool::new(false)), Arc::new(Truncates::default()), Arc::new(AtomicUsize::new(0)));
    let mut readers = Vec::new();
    for reader in 0..2 {
        let (gateway, stop, truncates, reads) =
            (Arc::clone(&gateway), Arc::clone(&stop), Arc::clone(&truncates), Arc::clone(&reads));
        readers.push(tokio::spawn(async move {
            let mut random = fastrand::Rng::with_seed(100 + reader);
            while !stop.load(Ordering::SeqCst) {
                let asked = Asked::at_random(&mut random);
                let ended = truncates.ended.load(Ordering::SeqCst);
                let [kept, counted] = asked_twice(&gateway, &asked).await;
                // In PostgreSQL, a snapshot that is older than a TRUNCATE sees an empty table afterwards, so those
                // answers are not compared.
                if truncates.began.load(Ordering::SeqCst) == ended {
                    assert!(kept == counted, "{asked:?}: {}", difference(&kept.0, &counted.0));
                    reads.fetch_add(1, Ordering::SeqCst);
                }
            }
        }));
    }
    let refresher = {
        let (connection, stop) = (connect(&gateway.database).await, Arc::clone(&stop));
        tokio::spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                rollup::refresh(&connection).await.unwrap();
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
        })
    };
    let mut writers = Vec::new();
    for writer in 0..4 {
        let (connection, truncates, reads) =
            (connect(&gateway.database).await, Arc::clone(&truncates), Arc::clone(&reads));
        writers.push(tokio::spawn(async move {
            let mut random = fastrand::Rng::with_seed(writer);
            for done in 0..100 * transactions {
                if done >= transactions && reads.load(Ordering::SeqCst) >= enough {
                    break;
                }
                write(&connection, &mut random, &truncates).await;
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    stop.store(true, Ordering::SeqCst);
    refresher.await.unwrap();
    for reader in readers {
        reader.await.unwrap();
    }
    let reads = reads.load(Ordering::SeqCst);
    assert!(reads >= enough, "only {reads} reads were compared");
    assert!(gateway.reports.reads_rollup(), "all of them read the rollup");
    // With an empty log, the whole answer comes from the rollup.
    refresh_to_the_end(&gateway.database.owner).await;
    for zone in ZONES {
        for basis in ["ISSUED_AT", "USED_AT"] {
            assert_same(&gateway, &Asked::of(zone, basis)).await;
        }
    }
}

/// The number of transactions with a TRUNCATE that began, and that ended.
#[derive(Default)]
struct Truncates {
    began: AtomicUsize,
    ended: AtomicUsize,
}

/// The first lines that differ in two lists of answers, because answers are long.
pub fn difference(kept: &[String], counted: &[String]) -> String {
    let lines = |answers: &[String]| answers.join("\n").lines().map(str::to_owned).collect::<Vec<_>>();
    let (kept, counted) = (lines(kept), lines(counted));
    let at = kept.iter().zip(&counted).position(|(left, right)| left != right).unwrap_or_default();
    let around = |lines: &[String]| lines[at.saturating_sub(12)..lines.len().min(at + 6)].join("\n");
    format!("the rollup says\n{}\nand the door codes\n{}", around(&kept), around(&counted))
}

pub async fn assert_same(gateway: &TestGateway, asked: &Asked) -> (Vec<String>, usize) {
    let [kept, counted] = asked_twice(gateway, asked).await;
    assert!(kept == counted, "{asked:?}: {}", difference(&kept.0, &counted.0));
    kept
}

/// One transaction of up to three random statements, which sometimes stays open for a while or is rolled back.
async fn write(connection: &DatabaseConnection, random: &mut fastrand::Rng, truncates: &Truncates) {
    // Few slots, so that writers conflict. Some dates are from before days began at whole slots in all zones.
    let time = |random: &mut fastrand::Rng| {
        let day = ["2024-03-01", "2024-03-31", "2009-11-01", "2024-06-30", "1969-07-20"][random.usize(..5)];
        format!("'{day} {:02}:{:02}:{:02}'", random.u8(..24), random.u8(..60), random.u8(..60))
    };
    let mut statements =
        vec![["BEGIN", "BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ"][random.usize(..3)].to_owned()];
    let is_truncating = random.u8(..100) == 0;
    for _ in 0..random.usize(1..=3) {
        let (at, other, user) = (time(random), time(random), random.u8(1..=20));
        let some = format!(
            "id IN (SELECT id FROM tokens WHERE user_id = {user} ORDER BY id LIMIT {} FOR UPDATE SKIP LOCKED)",
            random.u8(1..=3)
        );
        statements.push(match random.u8(..6) {
            0 | 1 => format!("INSERT INTO tokens (user_id, token, created_at, used_at) VALUES ({user}, '------', {at}, NULL)"),
            2 => format!("UPDATE tokens SET used_at = {at} WHERE used_at IS NULL AND {some}"),
            3 => format!("UPDATE tokens SET created_at = {at}, used_at = {other}, user_id = {} WHERE {some}", random.u8(1..=20)),
            4 => format!("DELETE FROM tokens WHERE {some}"),
            _ => format!(
                "INSERT INTO tokens (user_id, token, created_at, used_at) SELECT 1 + n % 20, '------', TIMESTAMP {at} + n * INTERVAL '7 minutes',
                 CASE WHEN n % 3 = 0 THEN TIMESTAMP {at} + n * INTERVAL '11 minutes' END FROM generate_series(0, {}) AS n", random.u8(..60)),
        });
    }
    if is_truncating {
        statements.insert(1, "TRUNCATE tokens".to_owned());
        truncates.began.fetch_add(1, Ordering::SeqCst);
    }
    if random.u8(..4) == 0 {
        statements.push(format!("SELECT pg_sleep({})", f32::from(random.u8(..30)) / 1000.0));
    }
    statements.push(if random.u8(..5) == 0 { "ROLLBACK" } else { "COMMIT" }.to_owned());
    for statement in statements {
        // Conflicting writers may fail, as they do without a rollup.
        if let Err(error) = connection.execute_unprepared(&statement).await {
            let text = error.to_string();
            assert!(text.contains("could not serialize") || text.contains("deadlock"), "{text} in {statement}");
            connection.execute_unprepared("ROLLBACK").await.unwrap();
            break;
        }
    }
    if is_truncating {
        truncates.ended.fetch_add(1, Ordering::SeqCst);
    }
}

async fn reports_read_the_rollup_where_it_is_up_to_date() {
    let gateway = rolled_up().await;
    // Wrong numbers in the rollup show which reports read it.
    gateway
        .database
        .execute(
            "UPDATE rollup_days SET (counts, used, waits, unused, came) = \
             (SELECT counts, used, waits, unused, came FROM rollup_days ORDER BY length(used) DESC LIMIT 1) WHERE day = '2024-03-01'; \
             UPDATE rollup_users SET used = used + 1000 WHERE user_id = 3",
        )
        .await;
    let asked = Asked::of("UTC", "ISSUED_AT");
    let [(kept, _), (counted, _)] = asked_twice(&gateway, &asked).await;
    let same: Vec<_> = kept.iter().zip(&counted).map(|(kept, counted)| kept == counted).collect();
    // The table of cohorts by first visit begins with the days; by joining, the first date, and a forecast from other weeks
    // need not change.
    assert!(same.iter().filter(|same| **same).count() <= 3, "{same:?}");
    // Where the log says so, the door codes are read.
    rollup::rebuild(&gateway.database.owner).await.unwrap();
    assert_same(&gateway, &Asked::of("UTC", "ISSUED_AT")).await;
    refresh_to_the_end(&gateway.database.owner).await;
    assert_same(&gateway, &Asked::of("UTC", "ISSUED_AT")).await;
}

async fn filling_goes_in_steps_and_reads_stay_exact() {
    let gateway = TestGateway::empty(Backend::Postgres).await;
    gateway
        .database
        .execute(
            "INSERT INTO users (first_name, last_name, joined_at) VALUES ('First', 'Last', '2020-01-01');
             INSERT INTO tokens (user_id, token, created_at, used_at)
             SELECT 1, '------', at, CASE WHEN extract(day FROM at) > 9 THEN at + INTERVAL '1 hour' END
             FROM generate_series(TIMESTAMP '2020-01-01', '2020-12-31', '5 hours') AS at",
        )
        .await;
    rollup::create(&gateway.database.owner, PATIENCE).await.unwrap();
    let mut steps = 0;
    loop {
        // Look for the rollup after every step, so that reports read it as soon as it is usable.
        gateway.reports.look_for_rollup().await.unwrap();
        assert_same(&gateway, &Asked::of("Asia/Kathmandu", "USED_AT")).await;
        match rollup::refresh(&gateway.database.owner).await.unwrap() {
            Progress::Done => break,
            other @ (Progress::Busy | Progress::Barred) => {
                panic!("{other:?}: nobody else is at it, and all is in its place")
            }
            Progress::Underway { slots_until, .. } => assert!(slots_until.is_some()),
        }
        steps += 1;
    }
    assert!((20..60).contains(&steps), "{steps} steps");
    gateway.reports.look_for_rollup().await.unwrap();
    assert!(gateway.reports.reads_rollup());
    // An emptied table, and the rows inserted afterwards.
    gateway.database.execute("TRUNCATE tokens").await;
    assert_eq!(assert_same(&gateway, &Asked::of("UTC", "ISSUED_AT")).await.1, 0);
    refresh_to_the_end(&gateway.database.owner).await;
    gateway
        .database
        .execute("INSERT INTO tokens (user_id, token, created_at) VALUES (1, '------', '2024-02-29 12:00')")
        .await;
    assert_eq!(assert_same(&gateway, &Asked::of("UTC", "ISSUED_AT")).await.1, 1);
}

async fn a_rollup_that_goes_is_missed_by_nobody() {
    let gateway = rolled_up().await;
    rollup::drop_all(&gateway.database.owner, Duration::ZERO).await.unwrap();
    let day = gateway.query("{ dailyUsage(first: 1) { visits } }").await;
    assert_eq!(day["dailyUsage"][0]["visits"], 18);
    assert!(!gateway.reports.reads_rollup());
    assert_eq!(gateway.reports.look_for_rollup().await.unwrap(), None);
}

async fn only_one_refreshes_at_a_time() {
    let database = rolled_up().await.database;
    database.execute("UPDATE tokens SET used_at = NULL").await;
    database.execute("BEGIN; LOCK TABLE rollup_state IN EXCLUSIVE MODE").await;
    let other = connect(&database).await;
    let turn = rollup::refresh(&other);
    tokio::pin!(turn);
    assert!(tokio::time::timeout(Duration::from_millis(300), &mut turn).await.is_err(), "it waits for its turn");
    database.execute("ROLLBACK").await;
    assert!(matches!(turn.await.unwrap(), Progress::Underway { .. } | Progress::Done));
}

/// Two services on one database: the next answer of both has what was committed.
async fn services_fill_and_refresh_it_and_answers_are_fresh() {
    let database = TestDatabase::recorded(Backend::Postgres).await;
    let folder = tempfile::TempDir::new().unwrap();
    let variables = [("DATABASE_URL", database.url.as_str()), ("LOG_FORMAT", "json")];
    let (code, out, err) = run(folder.path(), &variables, &["rollup", "status"]);
    assert_eq!((code, out.as_str()), (0, "no rollup\n"), "{err}");
    let (code, out, err) = run(folder.path(), &variables, &["rollup", "create"]);
    assert!(code == 0 && out.starts_with("rollup up to date: "), "{out}{err}");
    assert!(err.contains("filling the rollup") && !err.contains('{'), "progress is for people: {err}");
    let (code, _, err) = run(folder.path(), &variables, &["rollup", "create"]);
    assert!(code == 1 && err.contains("there is a rollup already"), "{err}");
    let serving =
        [("DATABASE_URL", database.url.as_str()), ("USAGE_LOG_INTERVAL", "off"), ("ROLLUP_REFRESH_INTERVAL", "50ms")];
    let services = [Service::start(&serving).await, Service::start(&serving).await];
    for number in 1..=100 {
        let at = format!("2030-01-{:02} 12:00", number % 28 + 1);
        database
            .execute(&format!(
                "INSERT INTO tokens (user_id, token, created_at, used_at) VALUES (1, '------', '{at}', '{at}')"
            ))
            .await;
        for service in &services {
            let answer = query(service.address, "{ dailyUsage(filter: { from: \"2030-01-01\" }) { visits } }")
                .await
                .unwrap()
                .json();
            let visits: i64 =
                answer["data"]["dailyUsage"].as_array().unwrap().iter().filter_map(|day| day["visits"].as_i64()).sum();
            assert_eq!(visits, number, "{answer}");
        }
    }
    let quick = [("DATABASE_URL", database.url.as_str()), ("REQUEST_TIMEOUT", "2s"), ("DB_STATEMENT_TIMEOUT", "1s")];
    let refreshes = |out: &str| out.split(' ').find_map(|word| word.parse::<i64>().ok()).unwrap();
    let (_, status, _) = run(folder.path(), &variables, &["rollup", "status"]);
    assert!(refreshes(&status) > refreshes(&out), "{status}");
    assert!(services[0].log().contains("reports read the rollup"), "{}", services[0].log());
    let (code, out, err) = run(folder.path(), &quick, &["rollup", "drop"]);
    assert_eq!((code, out.as_str()), (0, "no rollup\n"), "{err}");
}

async fn roles_use_what_they_may() {
    let gateway = rolled_up().await;
    let role = format!("reader_{}", uuid::Uuid::new_v4().simple());
    let grant = |what: &str, on: &str| format!("GRANT {what} ON {on} TO {role}");
    gateway
        .database
        .execute(&format!(
            "CREATE ROLE {role} LOGIN PASSWORD '{role}'; {}",
            grant("SELECT (id, user_id, created_at, used_at)", "tokens")
        ))
        .await;
    let (_, address) = gateway.database.url.rsplit_once('@').unwrap();
    let url = format!("postgres://{role}:{role}@{address}");
    let reader = Database::connect(&config(&url, &[]).database, Access::Report).await.unwrap();
    let reader = reader.connection();
    assert_eq!(rollup::status(reader).await.unwrap(), None, "reports go on without");
    let tables = "rollup_days, rollup_users, rollup_log, rollup_state";
    gateway.database.execute(&grant("SELECT", tables)).await;
    assert!(rollup::status(reader).await.unwrap().is_some());
    assert!(!rollup::is_refreshable(reader).await.unwrap());
    gateway.database.execute(&grant("INSERT, UPDATE, DELETE", tables)).await;
    assert!(rollup::is_refreshable(reader).await.unwrap());
    // A role that writes door codes needs no right on the log.
    gateway
        .database
        .execute(&format!("{}; GRANT USAGE ON SEQUENCE tokens_id_seq TO {role}", grant("INSERT", "tokens")))
        .await;
    gateway.database.execute(&format!("REVOKE ALL ON {tables} FROM {role}")).await;
    let writer = Database::connect(&config(&url, &[]).database, Access::Maintain).await.unwrap();
    let insert = "INSERT INTO tokens (user_id, token, created_at) VALUES (1, '------', '2024-03-01 12:00')";
    writer.connection().execute_unprepared(insert).await.unwrap();
    let (kept, _) = assert_same(&gateway, &Asked::of("UTC", "ISSUED_AT")).await;
    assert!(issues_37(&kept));
}

/// Whether 37 door codes were issued on one of the days: those that are recorded on the first day, and another one.
fn issues_37(answers: &[String]) -> bool {
    answers[0].split_whitespace().collect::<String>().contains("tokens_issued:Some(37,)")
}

/// A role that may read and write door codes, and may create temporary tables, as every role may.
async fn door_service(database: &TestDatabase) -> (String, DatabaseConnection) {
    let role = format!("door_{}", uuid::Uuid::new_v4().simple());
    database
        .execute(&format!(
            "CREATE ROLE {role} LOGIN PASSWORD '{role}'; GRANT SELECT, INSERT ON tokens TO {role}; \
             GRANT USAGE ON SEQUENCE tokens_id_seq TO {role}"
        ))
        .await;
    let connection = connect(&database.seen_by(&role).await).await;
    (role, connection)
}

/// Tries an attack: creates objects that shadow those of the rollup's functions, and inserts a door code. Returns
/// whether the role became a superuser.
async fn gets_in(database: &TestDatabase) -> bool {
    let (role, connection) = door_service(database).await;
    let attack = format!(
        "CREATE TEMP TABLE rollup_log(slots tsrange, users int8range); \
         CREATE FUNCTION pg_temp.e() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'ALTER ROLE {role} SUPERUSER'; RETURN NEW; END $$; \
         CREATE TRIGGER e BEFORE INSERT ON pg_temp.rollup_log FOR EACH ROW EXECUTE FUNCTION pg_temp.e(); \
         GRANT INSERT ON pg_temp.rollup_log TO public; \
         CREATE FUNCTION pg_temp.date_bin(TEXT, TIMESTAMP, TIMESTAMP) RETURNS TIMESTAMP LANGUAGE plpgsql AS \
         $$ BEGIN EXECUTE 'ALTER ROLE {role} SUPERUSER'; RETURN $2; END $$; \
         INSERT INTO tokens (user_id, token, created_at) VALUES (5, '------', '2024-03-01 12:00')"
    );
    connection.execute_unprepared(&attack).await.unwrap();
    let sql = format!("SELECT rolsuper FROM pg_roles WHERE rolname = '{role}'");
    value(&database.owner, &sql).await
}

async fn value<T: sea_orm::TryGetable>(connection: &DatabaseConnection, sql: &str) -> T {
    let statement = sea_orm::Statement::from_string(sea_orm::DbBackend::Postgres, sql);
    connection.query_one_raw(statement).await.unwrap().unwrap().try_get_by_index(0).unwrap()
}

async fn nobody_gets_in_through_the_rollup() {
    let gateway = rolled_up().await;
    let database = &gateway.database;
    assert!(!gets_in(database).await);
    let (kept, _) = assert_same(&gateway, &Asked::of("UTC", "ISSUED_AT")).await;
    assert!(issues_37(&kept), "a write that was to be hidden");
    assert_eq!(rollup::unsafe_rollups(&database.owner).await.unwrap(), <[String; 0]>::default());
    // The functions with their owner's rights have a fixed search path, cannot be called by others, and belong to a
    // role that owns nothing else.
    let functions = "SELECT count(*) FILTER (WHERE NOT prosecdef OR 'search_path=pg_catalog, pg_temp' = ANY (proconfig)) = count(*) \
        AND bool_and(pg_get_userbyid(proowner) = 'coworking_rollup') \
        AND bool_and(NOT prosecdef OR NOT has_function_privilege('pg_monitor', oid, 'EXECUTE')) AND count(*) = 9 \
        FROM pg_proc WHERE proname LIKE 'rollup%'";
    assert!(value::<bool>(&database.owner, functions).await);
    let owned = "SELECT count(*) FROM pg_class WHERE relowner = 'coworking_rollup'::REGROLE AND relname NOT LIKE 'rollup%' AND relkind = 'r'";
    assert_eq!(value::<i64>(&database.owner, owned).await, 0);
    let role = "SELECT rolsuper OR rolcanlogin OR rolcreaterole OR rolcreatedb FROM pg_roles WHERE rolname = 'coworking_rollup'";
    assert!(!value::<bool>(&database.owner, role).await);
    // The same when tables with the rollup's names existed before: their triggers would run with the rights of the role
    // that fills them.
    for table in [
        "rollup_log (slots TSRANGE, users INT8RANGE)",
        "rollup_days (day DATE, counts BYTEA, used BYTEA, waits BYTEA, unused BYTEA, came BYTEA)",
        "rollup_slots (slot TIMESTAMP, issued INTEGER, issued_and_used INTEGER, used INTEGER)",
    ] {
        let database = TestDatabase::recorded(Backend::Postgres).await;
        let (role, connection) = door_service(&database).await;
        database.execute(&format!("GRANT CREATE ON SCHEMA public TO {role}")).await;
        let trap = format!(
            "CREATE TABLE {table}; CREATE FUNCTION e() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN EXECUTE 'ALTER ROLE {role} SUPERUSER'; RETURN NEW; END $$; \
             CREATE TRIGGER e BEFORE INSERT ON {} FOR EACH ROW EXECUTE FUNCTION e()",
            table.split(' ').next().unwrap()
        );
        connection.execute_unprepared(&trap).await.unwrap();
        let error = rollup::create(&database.owner, PATIENCE).await.unwrap_err().to_string();
        assert!(error.contains(&format!("belongs to {role}, and is no part of a rollup")), "{error}");
        let sql = format!("SELECT rolsuper FROM pg_roles WHERE rolname = '{role}'");
        assert!(!value::<bool>(&database.owner, &sql).await);
    }
    // Tables that another role created do not count as a rollup.
    let (role, _) = door_service(database).await;
    database.execute(&format!("ALTER TABLE rollup_log OWNER TO {role}")).await;
    let status = rollup::status(&database.owner).await.unwrap().unwrap();
    assert!(status.trouble.unwrap().contains("it is not trusted"));
    gateway.reports.look_for_rollup().await.unwrap();
    assert!(!gateway.reports.reads_rollup());
}

/// A rollup as the first version created it.
async fn an_unsafe_rollup_is_found_and_mended() {
    let database = TestDatabase::recorded(Backend::Postgres).await;
    database.execute(&std::fs::read_to_string(fixture_path("../rollup/first.sql")).unwrap()).await;
    database.execute("INSERT INTO rollup_log (slots, users) VALUES (tsrange('-infinity', 'infinity'), int8range(-2147483648, 2147483648))").await;
    assert!(gets_in(&database).await, "or the attack is none");
    let (reader, _) = door_service(&database).await;
    database
        .execute(&format!(
            "GRANT SELECT ON rollup_slots, rollup_visitors, rollup_users, rollup_log, rollup_state TO {reader}"
        ))
        .await;
    let found = rollup::unsafe_rollups(&database.owner).await.unwrap();
    assert_eq!(found, ["the rollup in schema public lets whoever may write tokens act as postgres"]);
    let serving = [
        ("DATABASE_URL", database.url.as_str()),
        ("USAGE_LOG_INTERVAL", "off"),
        ("ROLLUP_REFRESH_INTERVAL", "50ms"),
        ("LOG_FORMAT", "json"),
    ];
    let service = Service::start(&serving).await;
    service.wait_for_log("UNSAFE: run `coworking-analytics rollup upgrade`").await;
    let folder = tempfile::TempDir::new().unwrap();
    let variables = [("DATABASE_URL", database.url.as_str())];
    let (code, out, err) = run(folder.path(), &variables, &["rollup", "status"]);
    assert!(code == 0 && out.contains("an earlier version's: run `coworking-analytics rollup upgrade`"), "{out}{err}");
    assert!(out.contains("UNSAFE: the rollup in schema public lets"), "{out}");
    let (code, out, err) = run(folder.path(), &variables, &["rollup", "upgrade"]);
    assert!(code == 0 && out.starts_with("rollup up to date: ") && !out.contains("UNSAFE"), "{out}{err}");
    assert!(!gets_in(&database).await);
    assert!(
        value::<bool>(&database.owner, &format!("SELECT has_table_privilege('{reader}', 'rollup_days', 'SELECT')"))
            .await,
        "rights stay"
    );
    service.wait_for_log("reports read the rollup from now on").await;
    let (code, out, err) = run(folder.path(), &variables, &["rollup", "verify"]);
    assert!(code == 0 && out.starts_with("rollup up to date: "), "{out}{err}");
    let gateway = TestGateway::on(database, &[]).await;
    gateway.reports.look_for_rollup().await.unwrap();
    assert!(gateway.reports.reads_rollup());
    assert_same(&gateway, &Asked::of("UTC", "ISSUED_AT")).await;
    // Differences are reported and repaired.
    drop(service);
    gateway.database.execute("UPDATE rollup_users SET used = used + 1 WHERE user_id = 3").await;
    let variables = [("DATABASE_URL", gateway.database.url.as_str())];
    let (code, _, err) = run(folder.path(), &variables, &["rollup", "verify"]);
    let told = "the rollup was not what the tokens say, and is counted anew: rollup_users 3";
    assert!(code == 1 && err.contains(told), "{err}");
}

/// The usual case: the coworking service's role owns the tables.
async fn owners_who_are_no_superusers_keep_it_themselves() {
    let database = TestDatabase::recorded(Backend::Postgres).await;
    let (role, owner) = door_service(&database).await;
    database
        .execute(&format!("ALTER TABLE tokens OWNER TO {role}; ALTER TABLE users OWNER TO {role}; GRANT CREATE ON SCHEMA public TO {role}"))
        .await;
    rollup::create(&owner, PATIENCE).await.unwrap();
    refresh_to_the_end(&owner).await;
    let gateway = TestGateway::on(database.seen_by(&role).await, &[]).await;
    gateway.reports.look_for_rollup().await.unwrap();
    assert!(gateway.reports.reads_rollup());
    owner.execute_unprepared("UPDATE tokens SET used_at = created_at WHERE user_id < 40").await.unwrap();
    assert_same(&gateway, &Asked::of("UTC", "ISSUED_AT")).await;
    rollup::upgrade(&owner, PATIENCE).await.unwrap();
    // Created by a superuser, the rollup belongs to a role that owns nothing else, and the owner of the tables can
    // still refresh it.
    rollup::drop_all(&owner, Duration::ZERO).await.unwrap();
    rollup::create(&database.owner, PATIENCE).await.unwrap();
    assert!(rollup::is_refreshable(&owner).await.unwrap());
    refresh_to_the_end(&owner).await;
    assert_same(&gateway, &Asked::of("UTC", "ISSUED_AT")).await;
}
