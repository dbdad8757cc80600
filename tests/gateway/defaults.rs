//! `DEFAULT_TIME_ZONE` and `DEFAULT_BASIS`: what questions mean that leave it out.

use serde_json::json;

use crate::support::{Backend, TestDatabase, TestGateway, on_both_databases};

on_both_databases!(questions_that_leave_it_out_mean_the_defaults,);

const SPACE: [(&str, &str); 2] = [("DEFAULT_TIME_ZONE", "Asia/Kathmandu"), ("DEFAULT_BASIS", "USED_AT")];

/// Each report without a zone and a basis, then with `$zone` and `$basis`.
const REPORTS: [&str; 10] = [
    "dailyUsage($F) { date visits tokensIssued }",
    "usage($F) { totals { visits uniqueVisitors } buckets { label visits } }",
    "heatmap($F) { cells { weekday hour visits } }",
    "activeUsers($F filter: { from: \"2024-03-01\", to: \"2024-04-14\" }) { date daily }",
    "retention($F cohort: WEEK) { label members periods { active } }",
    "frequency($F) { visits members }",
    "membership($F granularity: DAY) { label active firstVisits }",
    "forecast($F) { days { date expected } }",
    "tokenFunnel($Z filter: { to: \"2024-04-01\" }) { issued used }",
    "userVisits(filter: { $F to: \"2024-04-01\" }) { totals { visits tokensIssued } }",
];

async fn questions_that_leave_it_out_mean_the_defaults(backend: Backend) {
    let plain = TestGateway::recorded(backend).await;
    let space = TestGateway::on(TestDatabase::recorded(backend).await, &SPACE).await;
    let mut differ = 0;
    for report in REPORTS {
        let asked = |zone: &str, basis: &str| {
            let zone = if zone.is_empty() { String::new() } else { format!("timeZone: \"{zone}\"") };
            let basis = if basis.is_empty() { String::new() } else { format!("basis: {basis}") };
            let document = report.replace("$F", &format!("{zone} {basis}")).replace("$Z", &zone);
            format!("{{ {} }}", document.replace("( )", "").replace("()", ""))
        };
        let left_out = space.answer(&asked("", "")).await;
        let named = plain.answer(&asked("Asia/Kathmandu", "USED_AT")).await;
        assert_eq!(left_out["data"], named["data"], "{report}");
        assert!(left_out["data"].is_object(), "{report}: {left_out}");
        let used = if report.contains("$Z") {
            json!({ "timeZone": "Asia/Kathmandu" })
        } else {
            json!({ "timeZone": "Asia/Kathmandu", "basis": "USED_AT" })
        };
        assert_eq!(left_out["extensions"]["defaults"], used, "{report}");

        // What is named is meant, and an answer says nothing of defaults that it did not use.
        let utc = space.answer(&asked("UTC", "ISSUED_AT")).await;
        assert_eq!(utc, plain.answer(&asked("", "")).await, "{report}");
        assert_eq!(utc.get("extensions"), None, "{report}");
        differ += usize::from(utc["data"] != left_out["data"]);
    }
    assert!(differ >= 8, "the defaults hardly matter here: {differ}");
}

/// Routes with parameters use the defaults, and say so; those without are the legacy service's.
#[tokio::test]
async fn routes_mean_the_defaults_and_the_legacy_ones_do_not() {
    let plain = TestGateway::recorded(Backend::Sqlite).await;
    let space = TestGateway::configured(&SPACE).await;
    for path in ["daily_usage?format=csv", "heatmap?weekdays=MONDAY", "user_visits?to=2024-04-01", "forecast"] {
        let answer = space.get(&format!("/api/reports/{path}")).await;
        assert_eq!(answer.header("x-defaults"), "time_zone=Asia/Kathmandu; basis=USED_AT", "{path}");
        let more = if path.contains('?') { "&" } else { "?" };
        let named = format!("/api/reports/{path}{more}time_zone=Asia/Kathmandu&basis=USED_AT");
        let (named, other) = (plain.get(&named).await, plain.get(&format!("/api/reports/{path}")).await);
        assert_eq!(answer.body, named.body, "{path}");
        assert_ne!(answer.body, other.body, "{path}");
        assert!(named.headers.get("x-defaults").is_none() && other.headers.get("x-defaults").is_none(), "{path}");
    }
    for path in ["daily_usage", "user_visits"] {
        let path = format!("/api/reports/{path}");
        let (answer, legacy) = (space.get(&path).await, plain.get(&path).await);
        assert_eq!(answer.body, legacy.body, "{path}");
        assert!(answer.headers.get("x-defaults").is_none(), "{path}");
    }
}
