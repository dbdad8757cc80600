//! `FEDERATION=on`: the schema as a subgraph of a larger graph. The clients' tests compose it with another subgraph.

use serde_json::{Value, json};

use crate::support::{Backend, TestDatabase, TestGateway, on_both_databases};

on_both_databases!(members_are_found_by_id,);

const ENTITIES: &str =
    "query Q($of: [_Any!]!) { _entities(representations: $of) { __typename ... on User { id firstName } } }";

async fn subgraph(backend: Backend, variables: &[(&str, &str)]) -> TestGateway {
    let variables: Vec<_> = [&[("FEDERATION", "on")], variables].concat();
    TestGateway::on(TestDatabase::recorded(backend).await, &variables).await
}

fn user(id: i32) -> Value {
    json!({ "__typename": "User", "id": id })
}

/// In the order of the request, those who do not exist as null.
async fn members_are_found_by_id(backend: Backend) {
    let gateway = subgraph(backend, &[]).await;
    let known = gateway.query("{ members(first: 1000) { nodes { user { id firstName } } } }").await;
    let known: Vec<_> = known["members"]["nodes"].as_array().unwrap().iter().map(|node| node["user"].clone()).collect();
    assert!(known.len() > 2);
    let of: Vec<_> = known.iter().rev().map(|user| json!({ "__typename": "User", "id": user["id"] })).collect();
    let of = [of, vec![user(1_000_000)]].concat();
    let answer = gateway.post(ENTITIES, json!({ "of": of })).await.json();
    let expected = known.iter().rev().map(|user| {
        let mut user = user.clone();
        user["__typename"] = json!("User");
        user
    });
    assert_eq!(answer, json!({ "data": { "_entities": expected.chain([Value::Null]).collect::<Vec<_>>() } }));
}

#[tokio::test]
async fn the_sdl_names_the_key_and_only_where_it_is_on() {
    let gateway = subgraph(Backend::Sqlite, &[]).await;
    let sdl = gateway.query("{ _service { sdl } }").await["_service"]["sdl"].as_str().unwrap().to_owned();
    assert!(sdl.contains("type User @key(fields: \"id\")"), "{sdl}");
    assert!(sdl.contains("type PageInfo @shareable"), "{sdl}");
    assert!(!sdl.contains("_entities"), "{sdl}");
    let alone = TestGateway::recorded(Backend::Sqlite).await;
    for document in ["{ _service { sdl } }", ENTITIES] {
        let answer = alone.post(document, json!({ "of": [user(1)] })).await;
        assert_eq!(answer.json()["errors"][0]["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED", "{document}");
    }
}

/// A larger graph sees no more than its key allows, and asks for no more than the limits allow.
#[tokio::test]
async fn scopes_and_limits_hold_for_a_larger_graph() {
    let gateway = subgraph(Backend::Sqlite, &[("ANONYMOUS_SCOPES", "reports"), ("INTROSPECTION", "off")]).await;
    let code = async |document: &str, count: usize| {
        let of: Vec<_> = (0..count).map(|_| user(1)).collect();
        let answer = gateway.post(document, json!({ "of": of })).await.json();
        assert!(answer["data"].is_null(), "{answer}");
        answer["errors"][0]["extensions"]["code"].clone()
    };
    assert_eq!(code(ENTITIES, 1).await, "UNAUTHENTICATED");
    assert_eq!(code("{ _service { sdl } }", 0).await, "GRAPHQL_VALIDATION_FAILED", "it tells as much as introspection");
    let gateway = subgraph(Backend::Sqlite, &[("MAX_COMPLEXITY", "2000")]).await;
    let answer = async |count: usize| {
        let of: Vec<_> = (0..count).map(|_| user(1)).collect();
        gateway.post(ENTITIES, json!({ "of": of })).await.json()
    };
    assert!(answer(190).await["errors"].is_null());
    assert_eq!(answer(201).await["errors"][0]["extensions"]["limit"], "complexity");
}
