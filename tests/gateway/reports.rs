//! Every report is complete: each root field of the schema has a scope, a route, a subscription and its documentation.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;

use crate::support::{Backend, TestDatabase, TestGateway, requests::in_snake_case};

const DEVELOPMENT: &str = "see docs/development.md, \"Add a report\"";

/// The root fields, with their arguments.
async fn roots(gateway: &TestGateway, root: &str) -> Vec<Value> {
    let document = format!("{{ __type(name: \"{root}\") {{ fields {{ name description args {{ name }} }} }} }}");
    gateway.query(&document).await["__type"]["fields"].as_array().unwrap().clone()
}

fn name(field: &Value) -> &str {
    field["name"].as_str().unwrap()
}

fn page(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

#[tokio::test]
async fn every_report_needs_a_scope_and_says_which() {
    let closed = [("ANONYMOUS_SCOPES", "none")];
    let gateway = TestGateway::on(TestDatabase::empty(Backend::Sqlite).await, &closed).await;
    for field in roots(&gateway, "Query").await {
        let name = name(&field);
        let answer = gateway.answer(&format!("{{ {name} {{ __typename }} }}")).await;
        let extensions = &answer["errors"][0]["extensions"];
        assert_eq!(extensions["code"], "UNAUTHENTICATED", "`{name}` asks for no scope: {DEVELOPMENT}");
        let scope = extensions["scope"].as_str().unwrap();
        let description = field["description"].as_str().unwrap();
        assert!(
            scope == "reports" || description.contains(&format!("Needs the scope `{scope}`.")),
            "the description of `{name}` does not say that it needs the scope `{scope}`: {DEVELOPMENT}"
        );
    }
}

#[tokio::test]
async fn every_report_has_a_route_a_subscription_and_its_pages() {
    let gateway = TestGateway::empty(Backend::Sqlite).await;
    let fields = roots(&gateway, "Query").await;
    let names: BTreeSet<_> = fields.iter().map(name).collect();
    let live = roots(&gateway, "Subscription").await;
    assert_eq!(live.iter().map(name).collect::<BTreeSet<_>>(), names, "Subscription has not the fields of Query");
    let index = gateway.get("/api/reports").await.json();
    let (readme, reports) = (page("README.md"), page("docs/reports.md"));
    let parity = page("tests/gateway/parity/questions.rs")
        + &page("tests/gateway/parity/reports.rs")
        + &page("tests/gateway/parity.rs");
    for field in &fields {
        let name = name(field);
        let route = format!("/api/reports/{}", in_snake_case(name));
        let entry = index.as_array().unwrap().iter().find(|entry| entry["path"] == route.as_str());
        let entry = entry.unwrap_or_else(|| panic!("`{name}` has no route {route}: {DEVELOPMENT}"));
        assert!(readme.contains(&format!("| `{name}` |")), "`{name}` has no row in README.md: {DEVELOPMENT}");
        let heading = format!("## `{name}`\n");
        assert!(reports.contains(&heading), "`{name}` has no heading in docs/reports.md: {DEVELOPMENT}");
        // Notes are read from a file, and not counted.
        let is_asked = name == "notes" || parity.contains(&format!("{name}("));
        assert!(is_asked, "`{name}` is not asked at random: {DEVELOPMENT}");
        // Every argument of the field is a parameter of the route.
        let parameters: BTreeSet<_> =
            entry["parameters"].as_array().unwrap().iter().map(|parameter| parameter.as_str().unwrap()).collect();
        for argument in field["args"].as_array().unwrap() {
            let argument = in_snake_case(argument["name"].as_str().unwrap());
            // Except: the filter's conditions are separate parameters, files have no pages, and `dailyUsage` is in
            // order of date.
            let is_elsewhere = ["filter", "after", "before", "last"].contains(&argument.as_str())
                || name == "dailyUsage" && ["order_by", "first"].contains(&argument.as_str());
            assert!(
                is_elsewhere || parameters.contains(argument.as_str()),
                "{route} has no parameter {argument}, which `{name}` has as an argument: {DEVELOPMENT}"
            );
        }
    }
    assert_eq!(index.as_array().unwrap().len(), names.len(), "a route without a field: {index}");
}
