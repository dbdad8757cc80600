//! The views for SQL tools have the numbers of GraphQL, for a role that can read nothing else.

use chrono::{DateTime, Days, NaiveDate, Utc};
use coworking_analytics::{
    clock::Clock,
    database::{Access, Database},
};
use migration::Migration;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, FromQueryResult, Statement};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use uuid::Uuid;

use crate::support::{Backend, TestDatabase, TestGateway, config, on_both_databases, on_postgres};

on_both_databases!(
    views_say_what_graphql_says,
    views_have_these_columns_and_are_read_only,
    undoing_removes_the_views_alone,
    what_has_their_name_is_never_replaced,
);

on_postgres!(a_role_by_the_recipe_sees_the_views_and_nothing_else, whoever_may_read_and_create_can_make_the_views,);

const DAILY_USAGE: &str = "report_daily_usage";
const USER_VISITS: &str = "report_user_visits";

/// A row of either source; the names differ only in case.
#[derive(Debug, PartialEq, Serialize, Deserialize, FromQueryResult)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Day {
    date: NaiveDate,
    starts_at: DateTime<Utc>,
    visits: i64,
    tokens_issued: i64,
    tokens_unused: i64,
    conversion_rate: Option<f64>,
    unique_visitors: i64,
    is_partial: bool,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, FromQueryResult)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Member {
    user_id: i32,
    visits: i64,
    tokens_issued: i64,
    tokens_unused: i64,
    first_visit_at: Option<DateTime<Utc>>,
    last_visit_at: Option<DateTime<Utc>>,
    joined_at: Option<DateTime<Utc>>,
    is_active: Option<bool>,
}

const QUERY: &str = "{
    dailyUsage { date startsAt visits tokensIssued tokensUnused conversionRate uniqueVisitors isPartial }
    userVisits(first: 1000) {
        nodes { userId visits tokensIssued tokensUnused firstVisitAt lastVisitAt joinedAt isActive }
    }
}";

async fn views_say_what_graphql_says(backend: Backend) {
    let gateway = TestGateway::recorded(backend).await;
    // Views use the database's clock. Today and later days are partial, yesterday is not.
    let now = Clock::system().now();
    *gateway.now.lock().unwrap() = now;
    for date in [now.date_naive() - Days::new(1), now.date_naive(), now.date_naive() + Days::new(2)] {
        let insert = "INSERT INTO tokens (user_id, token, created_at, used_at) VALUES";
        gateway.database.execute(&format!("{insert} (3, '------', '{date} 23:59:59.999999', NULL)")).await;
    }
    // A member without a row in `users`.
    gateway
        .database
        .execute(match backend {
            Backend::Postgres => {
                "ALTER TABLE tokens DROP CONSTRAINT tokens_users_id_fk; DELETE FROM users WHERE id = 2"
            }
            Backend::Sqlite => "PRAGMA foreign_keys = OFF; DELETE FROM users WHERE id = 2",
        })
        .await;
    let answer = gateway.query(QUERY).await;
    let owner = &gateway.database.owner;

    let days: Vec<Day> = read(owner, "SELECT * FROM report_daily_usage ORDER BY date").await;
    assert_eq!(days, rows::<Day>(&answer["dailyUsage"]));
    let partial: Vec<_> = days.iter().rev().take(4).map(|day| day.is_partial).collect();
    assert_eq!(partial, [true, true, false, false]);
    assert!(days.iter().any(|day| day.visits == 0) && days.iter().any(|day| day.unique_visitors < day.visits));

    let members: Vec<Member> = read(owner, "SELECT * FROM report_user_visits ORDER BY user_id").await;
    assert_eq!(members, rows::<Member>(&answer["userVisits"]["nodes"]));
    assert!(members.iter().any(|member| member.first_visit_at.is_none()));
    assert!(members.iter().any(|member| member.user_id == 2 && member.joined_at.is_none()));
}

async fn views_have_these_columns_and_are_read_only(backend: Backend) {
    let database = TestDatabase::recorded(backend).await;
    let columns_of = |view: &str| match backend {
        Backend::Postgres => format!(
            "SELECT attname::text AS name, col_description(attrelid, attnum) IS NOT NULL AS is_described
             FROM pg_attribute WHERE attrelid = '{view}'::regclass ORDER BY attnum"
        ),
        Backend::Sqlite => format!("SELECT name, true AS is_described FROM pragma_table_info('{view}') ORDER BY cid"),
    };
    let expected = [
        (DAILY_USAGE, "date starts_at visits tokens_issued tokens_unused conversion_rate unique_visitors is_partial"),
        (USER_VISITS, "user_id visits tokens_issued tokens_unused first_visit_at last_visit_at joined_at is_active"),
    ];
    for (view, names) in expected {
        let columns: Vec<(String, bool)> = answer(&database.owner, &columns_of(view))
            .await
            .unwrap()
            .iter()
            .map(|row| (row.try_get("", "name").unwrap(), row.try_get("", "is_described").unwrap()))
            .collect();
        // No view has the column `token` with the door codes.
        assert_eq!(columns.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(" "), names);
        assert!(columns.iter().all(|(_, is_described)| *is_described), "{columns:?}");
        let delete = database.owner.execute_unprepared(&format!("DELETE FROM {view}")).await;
        let refused = delete.unwrap_err().to_string();
        assert!(refused.contains(view), "{refused}");
    }
}

/// Undoes the migrations after the first.
async fn down_to_the_tables(database: &TestDatabase) {
    for _ in 1..Migration::ALL.len() {
        migration::down(&database.owner).await.unwrap();
    }
}

async fn undoing_removes_the_views_alone(backend: Backend) {
    let database = TestDatabase::recorded(backend).await;
    down_to_the_tables(&database).await;
    for view in [DAILY_USAGE, USER_VISITS] {
        assert!(count(&database.owner, view).await.is_err(), "{view}");
    }
    assert_eq!(count(&database.owner, "users").await.unwrap(), 320);
    assert_eq!(count(&database.owner, "tokens").await.unwrap(), 1_115);
    migration::up(&database.owner).await.unwrap();
    assert!(count(&database.owner, DAILY_USAGE).await.unwrap() > 0);
}

async fn what_has_their_name_is_never_replaced(backend: Backend) {
    for theirs in ["VIEW report_user_visits AS SELECT 7 AS n", "TABLE report_user_visits AS SELECT 7 AS n"] {
        let database = TestDatabase::recorded(backend).await;
        down_to_the_tables(&database).await;
        database.execute(&format!("CREATE {theirs}")).await;
        let error = migration::up(&database.owner).await.unwrap_err().to_string();
        for told in ["nothing was replaced", "report_user_visits", "already exists"] {
            assert!(error.contains(told), "{error}");
        }
        let kept = answer(&database.owner, "SELECT CAST(n AS bigint) AS n FROM report_user_visits").await.unwrap();
        assert_eq!(kept[0].try_get::<i64>("", "n").unwrap(), 7);
        assert!(count(&database.owner, DAILY_USAGE).await.is_err(), "both or none");
        let status = migration::status(&database.owner).await.unwrap();
        let applied: Vec<_> =
            status.iter().filter(|(_, is_applied)| *is_applied).map(|(migration, _)| *migration).collect();
        assert_eq!(applied, [Migration::AdoptOrCreateTables]);
    }
}

async fn a_role_by_the_recipe_sees_the_views_and_nothing_else() {
    let database = TestDatabase::recorded(Backend::Postgres).await;
    let role = follow(&database, "## Views and functions for SQL tools", "sql_tools").await;
    let (_, address) = database.url.rsplit_once('@').unwrap();
    let url = format!("postgres://{role}:{role}@{address}");
    let tool = Database::connect(&config(&url, &[]).database, Access::Maintain).await.unwrap();
    let tool = tool.connection();
    for view in [DAILY_USAGE, USER_VISITS] {
        assert!(count(tool, view).await.unwrap() > 0, "{view}");
    }
    for report in
        ["daily_usage", "usage", "heatmap", "active_users", "frequency", "membership", "retention", "token_funnel"]
    {
        assert!(count(tool, &format!("report_{report}(zone => 'Europe/Berlin')")).await.unwrap() > 0, "{report}");
    }
    assert_eq!(count(tool, "report_segments()").await.unwrap(), 5);
    assert!(count(tool, "report_user_visits()").await.unwrap() > 0);
    refused(tool, "SELECT * FROM report_visits(NULL, NULL, 'UTC', 'USED_AT')").await;
    for table in ["tokens", "users", "seaql_migrations"] {
        refused(tool, &format!("SELECT 1 FROM {table}")).await;
    }
    refused(tool, "SELECT token FROM tokens").await;
}

async fn whoever_may_read_and_create_can_make_the_views() {
    let database = TestDatabase::recorded(Backend::Postgres).await;
    for _ in Migration::ALL {
        down_to_the_tables(&database).await;
    }
    database.execute("DROP TABLE seaql_migrations").await;
    let role = follow(&database, "## A role", "reporting").await;
    database.execute(&format!("GRANT CREATE ON SCHEMA public TO {role}; SET ROLE {role}")).await;
    migration::up(&database.owner).await.unwrap();
    assert!(count(&database.owner, DAILY_USAGE).await.unwrap() > 0);
    assert!(count(&database.owner, USER_VISITS).await.unwrap() > 0);
    refused(&database.owner, "SELECT token FROM tokens").await;
}

/// Runs the SQL of a section of `docs/postgresql.md` for a role with a unique name, because roles belong to the whole
/// server. The role's password is its name.
async fn follow(database: &TestDatabase, section: &str, role: &str) -> String {
    let docs = include_str!("../../docs/postgresql.md");
    let (_, section) = docs.split_once(&format!("{section}\n")).unwrap();
    let (_, recipe) = section.split_once("```sql\nCREATE ROLE").unwrap();
    let (recipe, _) = recipe.split_once("```").unwrap();
    let recipe = format!("CREATE ROLE{recipe}");
    let (_, name) = database.url.rsplit_once('/').unwrap();
    let own = format!("{role}_{}", Uuid::new_v4().simple());
    let recipe =
        recipe.replace(role, &own).replace('…', &own).replace("DATABASE coworking", &format!("DATABASE {name}"));
    database.execute(&recipe).await;
    own
}

async fn refused(connection: &DatabaseConnection, sql: &str) {
    let error = connection.execute_unprepared(sql).await.expect_err(sql).to_string();
    assert!(error.contains("permission denied"), "{sql}: {error}");
}

fn rows<T: DeserializeOwned>(list: &Value) -> Vec<T> {
    serde_json::from_value(list.clone()).unwrap()
}

/// Rows converted through JSON, like an answer: parsing JSON may change the last bit of a ratio.
async fn read<T: FromQueryResult + Serialize + DeserializeOwned>(connection: &DatabaseConnection, sql: &str) -> Vec<T> {
    let answer = answer(connection, sql).await.unwrap();
    let rows: Vec<_> = answer.iter().map(|row| T::from_query_result(row, "").unwrap()).collect();
    serde_json::from_str(&serde_json::to_string(&rows).unwrap()).unwrap()
}

async fn count(connection: &DatabaseConnection, rows: &str) -> Result<i64, DbErr> {
    answer(connection, &format!("SELECT count(*) AS n FROM {rows}")).await?[0].try_get("", "n")
}

async fn answer(connection: &DatabaseConnection, sql: &str) -> Result<Vec<sea_orm::QueryResult>, DbErr> {
    connection.query_all_raw(Statement::from_string(connection.get_database_backend(), sql)).await
}
