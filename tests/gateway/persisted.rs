//! Documents that clients name by an id instead of sending them.

use axum::{body::Body, http::Request};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Answer, Backend, TestDatabase, TestGateway, process, snapshot};

const DOCUMENT: &str = "query Daily { dailyUsage(first: 1) { visits } }";
/// The hash of the document above.
const HASH: &str = "ca128358bef66c87bf69151b3cbe8626f097d923e519285649932ad8ae715a16";

async fn post(gateway: &TestGateway, body: Value) -> Answer {
    let request = Request::post("/graphql").header("content-type", "application/json");
    gateway.send(request.body(Body::from(body.to_string())).unwrap()).await
}

fn named(hash: &str) -> Value {
    json!({ "extensions": { "persistedQuery": { "version": 1, "sha256Hash": hash } } })
}

fn sent(query: &str, hash: &str) -> Value {
    let mut body = named(hash);
    body["query"] = query.into();
    body
}

fn code(answer: &Answer) -> String {
    answer.json()["errors"][0]["extensions"]["code"].as_str().unwrap_or("none").to_owned()
}

#[tokio::test]
async fn clients_register_documents_by_their_hash() {
    let gateway = TestGateway::recorded(Backend::Sqlite).await;
    let unknown = post(&gateway, named(HASH)).await;
    assert_eq!(unknown.status, 200);
    snapshot("persisted_query_not_found", &unknown.json());
    let wrong = post(&gateway, sent("{ __typename }", HASH)).await;
    snapshot("persisted_query_of_another_hash", &wrong.json());
    assert_eq!(code(&post(&gateway, named(HASH)).await), "PERSISTED_QUERY_NOT_FOUND", "a wrong hash registers nothing");
    let registered = post(&gateway, sent(DOCUMENT, HASH)).await;
    assert_eq!(registered.json()["data"]["dailyUsage"][0]["visits"], 18);
    assert_eq!(post(&gateway, named(&HASH.to_uppercase())).await.body, registered.body);
    assert_eq!(post(&gateway, json!({ "documentId": format!("sha256:{HASH}") })).await.body, registered.body);
    let extensions = named(HASH)["extensions"].to_string();
    let query = serde_urlencoded::to_string([("operationName", "Daily"), ("extensions", &extensions)]).unwrap();
    assert_eq!(gateway.get(&format!("/graphql?{query}")).await.body, registered.body);
}

#[tokio::test]
async fn documents_that_are_not_valid_are_not_kept() {
    let gateway = TestGateway::empty(Backend::Sqlite).await;
    let (document, hash) = ("{ nothing }", "919c0b7aa452b0b2fb42688461501bb8b0c3ef3b9d05ce7b9afd4f28bbe96ceb");
    assert_eq!(code(&post(&gateway, sent(document, hash)).await), "GRAPHQL_VALIDATION_FAILED");
    assert_eq!(code(&post(&gateway, named(hash)).await), "PERSISTED_QUERY_NOT_FOUND");
}

#[tokio::test]
async fn what_names_no_document_is_refused() {
    let gateway = TestGateway::empty(Backend::Sqlite).await;
    for (name, extension) in [
        ("version", json!({ "version": 2, "sha256Hash": HASH })),
        ("hash", json!({ "version": 1 })),
        ("shape", json!("hash")),
    ] {
        let answer = post(&gateway, json!({ "extensions": { "persistedQuery": extension } })).await;
        assert_eq!(answer.status, 400);
        snapshot(&format!("persisted_query_of_wrong_{name}"), &answer.json());
    }
}

#[tokio::test]
async fn trusted_documents_can_be_all_there_is() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("daily.graphql"), format!("{DOCUMENT}\n")).unwrap();
    let path = folder.path().to_str().unwrap();
    let database = TestDatabase::recorded(Backend::Sqlite).await;
    let gateway = TestGateway::on(database, &[("PERSISTED_DOCUMENTS_DIR", path), ("PERSISTED_ONLY", "true")]).await;
    let by_id = post(&gateway, json!({ "documentId": HASH })).await;
    assert_eq!(by_id.json()["data"]["dailyUsage"][0]["visits"], 18);
    assert_eq!(post(&gateway, named(HASH)).await.body, by_id.body);
    assert_eq!(post(&gateway, json!({ "query": DOCUMENT })).await.body, by_id.body);
    let refused = post(&gateway, json!({ "query": "{ __typename }" })).await;
    snapshot("persisted_only", &refused.json());
    assert_eq!(
        code(
            &post(&gateway, sent("{ __typename }", "7f56e67dd21ab3f30d1ff8b7bed08893f0a0db86449836189b361dd1e56ddb4b"))
                .await
        ),
        "PERSISTED_QUERY_NOT_FOUND"
    );
    assert_eq!(
        code(&post(&gateway, named("7f56e67dd21ab3f30d1ff8b7bed08893f0a0db86449836189b361dd1e56ddb4b")).await),
        "PERSISTED_QUERY_NOT_FOUND"
    );
}

#[test]
fn a_folder_that_cannot_be_used_stops_the_start() {
    let folder = TempDir::new().unwrap();
    let only = [("PERSISTED_ONLY", "true")];
    let (code, _, err) = process::run(folder.path(), &only, &["serve"]);
    assert!(code == 2 && err.contains("PERSISTED_DOCUMENTS_DIR"), "{err}");
    let missing = [("PERSISTED_DOCUMENTS_DIR", "missing"), ("APP_PORT", "0"), ("METRICS_PORT", "off")];
    let (code, _, err) = process::run(folder.path(), &missing, &["serve"]);
    assert!(code != 0 && err.contains("cannot read missing, of PERSISTED_DOCUMENTS_DIR"), "{err}");
}
