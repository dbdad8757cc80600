//! `NOTES_FILE`: the space's notes on dates, over both interfaces.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::TestGateway;

const FILE: &str = "# Notes\n2024-03-04..2024-03-06 =closed, for \"paint\"\n2024-02-29 leap day\n2024-04-14 party\n";

#[tokio::test]
async fn notes_are_those_on_dates_of_the_range() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("notes");
    std::fs::write(&file, FILE).unwrap();
    let gateway = TestGateway::configured(&[("NOTES_FILE", file.to_str().unwrap())]).await;
    let paint = json!({ "from": "2024-03-04", "to": "2024-03-06", "text": "=closed, for \"paint\"" });
    let leap = json!({ "from": "2024-02-29", "to": "2024-02-29", "text": "leap day" });
    let party = json!({ "from": "2024-04-14", "to": "2024-04-14", "text": "party" });
    for (arguments, parameters, expected) in [
        ("", "", vec![&leap, &paint, &party]),
        ("(filter: { from: \"2024-03-06\" })", "from=2024-03-06", vec![&paint, &party]),
        ("(filter: { from: \"2024-03-05\", to: \"2024-03-05\" })", "from=2024-03-05&to=2024-03-05", vec![&paint]),
        ("(filter: { to: \"2024-03-04\" })", "to=2024-03-04", vec![&leap, &paint]),
        ("(filter: { from: \"2024-03-07\", to: \"2024-04-13\" })", "from=2024-03-07&to=2024-04-13", vec![]),
        (
            "(filter: { range: LAST_MONTH }, timeZone: \"Asia/Tehran\")",
            "range=LAST_MONTH&time_zone=Asia/Tehran",
            vec![&paint],
        ),
    ] {
        let notes = gateway.query(&format!("{{ notes{arguments} {{ from to text }} }}")).await;
        assert_eq!(notes["notes"], json!(expected), "{arguments}");
        let rows = gateway.get(&format!("/api/reports/notes?{parameters}")).await;
        assert_eq!(rows.json(), json!(expected), "{parameters}");
    }
    let sheet = gateway.get("/api/reports/notes?format=csv&to=2024-03-04").await;
    let lines =
        "from,to,text\r\n2024-02-29,2024-02-29,leap day\r\n2024-03-04,2024-03-06,\"'=closed, for \"\"paint\"\"\"\r\n";
    assert_eq!(sheet.body, lines);
    let wrong = gateway.get("/api/reports/notes?from=yesterday").await;
    assert_eq!(wrong.status.as_u16(), 400, "{}", wrong.body);
    let none: Value = TestGateway::configured(&[]).await.query("{ notes { text } }").await;
    assert_eq!(none["notes"], json!([]));
}
