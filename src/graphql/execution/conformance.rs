//! Tests of execution against the specification, on this schema, with fields that are made to fail or to be slow.
//! Sources: <https://spec.graphql.org/September2025/#sec-Handling-Execution-Errors>,
//! <https://spec.graphql.org/September2025/#sec-Serialized-Map-Ordering>

use async_graphql::{
    PathSegment, ServerError, ServerResult, Value, async_trait,
    extensions::{Extension, ExtensionContext, ExtensionFactory, NextResolve, ResolveInfo},
};
use sea_orm::ConnectionTrait as _;
use serde_json::json;
use std::time::Duration;
use tempfile::TempDir;

use super::{schema::builder, *};
use crate::{
    access::Caller,
    clock::Clock,
    config::{Config, limits::PageLimits},
    database::{Access, Database},
};

/// Makes the field at one path fail, and the field at another path slow. A path looks like `userVisits.nodes.0.userId`.
#[derive(Debug, Clone, Copy)]
struct Trouble {
    fails: &'static str,
    slow: &'static str,
}

impl ExtensionFactory for Trouble {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(*self)
    }
}

#[async_trait::async_trait]
impl Extension for Trouble {
    async fn resolve(
        &self,
        ctx: &ExtensionContext<'_>,
        info: ResolveInfo<'_>,
        next: NextResolve<'_>,
    ) -> ServerResult<Option<Value>> {
        let path = info.path_node.to_string();
        if path == self.slow {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        if path == self.fails {
            // The library reports the error of a resolver in the same way.
            let segment =
                |part: &str| part.parse().map_or_else(|_| PathSegment::Field(part.to_owned()), PathSegment::Index);
            let path = path.split('.').map(segment).collect();
            return Err(ServerError::new("on purpose", Some(info.field.name.pos)).with_path(path));
        }
        next.run(ctx, info).await
    }
}

/// The schema on the recorded data.
struct Troubled {
    database: Database,
    _folder: TempDir,
}

impl Troubled {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::on_file(&folder.path().join("test.db"));
        let database = Database::connect(&config.database, Access::Maintain).await.unwrap();
        migration::up(database.connection()).await.unwrap();
        let data = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/legacy/data.sql");
        database.connection().execute_unprepared(&std::fs::read_to_string(data).unwrap()).await.unwrap();
        Self { database, _folder: folder }
    }

    async fn answer(&self, trouble: Trouble, document: &str) -> String {
        let schema = builder().data(PageLimits::default()).extension(trouble).finish();
        let session = Reports::new(self.database.clone(), Clock::system()).snapshot_session();
        let request = async_graphql::Request::new(document).data(Caller::of_tests());
        let request = request.data(loader::users(Arc::clone(&session))).data(session);
        serde_json::to_string(&schema.execute(request).await).unwrap()
    }

    async fn json(&self, trouble: Trouble, document: &str) -> serde_json::Value {
        serde_json::from_str(&self.answer(trouble, document).await).unwrap()
    }
}

const NO_TROUBLE: Trouble = Trouble { fails: "", slow: "" };

#[tokio::test]
async fn keys_come_in_the_order_of_the_document_whichever_is_done_first() {
    let document = "{ slow: userVisits(first: 1) { totalCount nodes { visits userId user { id } } } a: __typename \
                    ...Rest b: dailyUsage(first: 1) { visits date } } fragment Rest on Query { c: __typename a: __typename }";
    let expected = r#"{"data":{"slow":{"totalCount":189,"nodes":[{"visits":4,"userId":2,"user":{"id":2}}]},"a":"Query","c":"Query","b":[{"visits":18,"date":"2024-03-01"}]}}"#;
    let troubled = Troubled::new().await;
    for slow in ["", "slow", "slow.totalCount", "slow.nodes.0.visits", "slow.nodes.0.user", "a", "b"] {
        assert_eq!(troubled.answer(Trouble { slow, ..NO_TROUBLE }, document).await, expected, "{slow} is slow");
    }
}

#[tokio::test]
async fn a_failing_field_nulls_its_nearest_nullable_parent_and_no_more() {
    let document = "{ userVisits(first: 2) { totalCount nodes { userId user { id firstName } } } dailyUsage(first: 2) { date visits } }";
    let troubled = Troubled::new().await;
    let whole = troubled.json(NO_TROUBLE, document).await["data"].take();
    for (fails, nulled, reported) in [
        // Between these and the root field, no field is nullable.
        ("userVisits.totalCount", "/userVisits", "userVisits.totalCount"),
        ("userVisits.nodes", "/userVisits", "userVisits.nodes"),
        // In a row these are plain values, which never fail: the library would report the path of the row. (Rows of
        // plain values only are written without the library's resolvers.)
        ("userVisits.nodes.1.userId", "/userVisits", "userVisits.nodes.1"),
        // A user is nullable.
        ("userVisits.nodes.1.user.id", "/userVisits/nodes/1/user", "userVisits.nodes.1.user.id"),
        ("userVisits.nodes.1.user.firstName", "/userVisits/nodes/1/user", "userVisits.nodes.1.user.firstName"),
    ] {
        let mut expected = whole.clone();
        expected.pointer_mut(nulled).unwrap().take();
        let answer = troubled.json(Trouble { fails, ..NO_TROUBLE }, document).await;
        assert_eq!(answer["data"], expected, "{fails}");
        let errors = answer["errors"].as_array().unwrap();
        let path: Vec<_> = errors[0]["path"].as_array().unwrap().iter().map(ToString::to_string).collect();
        let path = path.join(".").replace('"', "");
        assert_eq!((errors.len(), path.as_str()), (1, reported), "{answer}");
    }
}

#[tokio::test]
async fn a_nullable_field_that_fails_is_null_with_one_error_at_its_path() {
    let troubled = Troubled::new().await;
    troubled
        .database
        .connection()
        .execute_unprepared("PRAGMA foreign_keys = OFF; ALTER TABLE users RENAME TO gone")
        .await
        .unwrap();
    let document = "{ userVisits(first: 2) { nodes { tokensIssued user { id } } } }";
    let answer = troubled.json(NO_TROUBLE, document).await;
    let nodes = json!([{ "tokensIssued": 8, "user": null }, { "tokensIssued": 5, "user": null }]);
    assert_eq!(answer["data"]["userVisits"]["nodes"], nodes, "{answer}");
    let paths: Vec<_> = answer["errors"].as_array().unwrap().iter().map(|error| error["path"].clone()).collect();
    assert_eq!(paths, [json!(["userVisits", "nodes", 0, "user"]), json!(["userVisits", "nodes", 1, "user"])]);
}
