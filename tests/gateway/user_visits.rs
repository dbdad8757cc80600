//! `userVisits` on the recorded data: complete answers, paging while rows are inserted, and one snapshot per request.

use serde_json::{Value, json};

use crate::support::{Backend, TestGateway, on_both_databases, snapshot};

on_both_databases!(
    a_page_with_everything,
    members_without_tokens_are_listed_on_request,
    pages_stay_right_while_rows_arrive,
    all_reports_of_a_request_read_one_snapshot,
    omitted_variables_leave_defaults_in_place,
);

async fn a_page_with_everything(backend: Backend) {
    let gateway = TestGateway::recorded(backend).await;
    let list = "totalCount totals { visits tokensIssued tokensUnused conversionRate }
                pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
                edges { cursor node { userId visits tokensIssued tokensUnused firstVisitAt lastVisitAt joinedAt isActive
                                      user { id firstName lastName joinedAt isActive } } }";
    let query = format!("{{ userVisits(first: 3, orderBy: {{ field: VISITS, direction: DESC }}) {{ {list} }} }}");
    snapshot("user_visits_top_3", &gateway.answer(&query).await);
    let query = format!(
        "{{ userVisits(last: 2, filter: {{ to: \"2024-03-05\", timeZone: \"America/New_York\", basis: USED_AT }}) {{ {list} }} }}"
    );
    snapshot("user_visits_last_2_of_a_range", &gateway.answer(&query).await);
}

async fn members_without_tokens_are_listed_on_request(backend: Backend) {
    let gateway = TestGateway::recorded(backend).await;
    let count = async |filter: &str| {
        let answer = gateway.query(&format!("{{ userVisits(filter: {{ {filter} }}) {{ totalCount }} }}")).await;
        answer["userVisits"]["totalCount"].as_i64().unwrap()
    };
    assert_eq!(count("").await, 189);
    assert_eq!(count("includeUsersWithoutVisits: true").await, 320);
    assert_eq!(count("includeUsersWithoutVisits: true, userIds: [1, 2, 999]").await, 2);
    let never = "{ userVisits(filter: { includeUsersWithoutVisits: true, userIds: [1] }) { nodes { userId visits tokensIssued lastVisitAt } } }";
    let zeros = json!([{ "userId": 1, "visits": 0, "tokensIssued": 0, "lastVisitAt": null }]);
    assert_eq!(gateway.query(never).await["userVisits"]["nodes"], zeros);
}

async fn pages_stay_right_while_rows_arrive(backend: Backend) {
    let gateway = TestGateway::recorded(backend).await;
    let mut seen: Vec<i64> = Vec::new();
    let mut after = Value::Null;
    loop {
        let query = "query($after: String) { userVisits(first: 20, after: $after, orderBy: { field: JOINED_AT, direction: DESC }) {
            nodes { userId } pageInfo { endCursor hasNextPage } } }";
        let answer = gateway.post(query, json!({ "after": after })).await.json();
        let list = &answer["data"]["userVisits"];
        seen.extend(list["nodes"].as_array().unwrap().iter().map(|node| node["userId"].as_i64().unwrap()));
        if list["pageInfo"]["hasNextPage"] == json!(false) {
            break;
        }
        after = list["pageInfo"]["endCursor"].clone();
        // Newer members come before the page that was read, and must not shift the next pages.
        gateway
            .database
            .execute(
                "INSERT INTO users (first_name, last_name, joined_at) VALUES ('First', 'Last', '2024-04-14 11:00:00');
                 INSERT INTO tokens (user_id, token, created_at) SELECT max(id), 'sample', '2024-04-14 11:30:00' FROM users",
            )
            .await;
    }
    let mut distinct = seen.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!((seen.len(), distinct.len()), (189, 189));
}

async fn all_reports_of_a_request_read_one_snapshot(backend: Backend) {
    let gateway = TestGateway::recorded(backend).await;
    let query = "{ a: userVisits(first: 1) { totals { tokensIssued } } b: dailyUsage { tokensIssued } c: userVisits(first: 1) { totals { tokensIssued } } }";
    let insert = "INSERT INTO tokens (user_id, token, created_at) VALUES (2, 'sample', '2024-04-01 09:00:00')";
    let mut answers = Vec::new();
    for _ in 0..40 {
        // Rows are inserted while the request runs its three statements.
        let writes = async {
            for _ in 0..10 {
                gateway.database.execute(insert).await;
            }
        };
        let (answer, ()) = tokio::join!(gateway.query(query), writes);
        let a = answer["a"]["totals"]["tokensIssued"].as_i64().unwrap();
        let b: i64 = answer["b"].as_array().unwrap().iter().map(|row| row["tokensIssued"].as_i64().unwrap()).sum();
        assert_eq!(json!([a, b]), json!([a, answer["c"]["totals"]["tokensIssued"]]), "{answer}");
        assert_eq!(a, b, "{answer}");
        answers.push(a);
    }
    assert!(answers.last() > answers.first(), "rows arrived in between: {answers:?}");
}

async fn omitted_variables_leave_defaults_in_place(backend: Backend) {
    let gateway = TestGateway::recorded(backend).await;
    let query = "query($zone: TimeZone, $basis: TimeBasis, $first: Int, $from: Date, $show: Boolean! = true) {
        dailyUsage(timeZone: $zone, basis: $basis, first: $first, filter: { from: $from, to: \"2024-03-01\" }) { date visits @include(if: $show) } }";
    let answer = gateway.post(query, json!({})).await.json();
    assert_eq!(answer, json!({ "data": { "dailyUsage": [{ "date": "2024-03-01", "visits": 18 }] } }));
    let answer = gateway.post(query, json!({ "from": "2024-03-02", "show": false })).await.json();
    assert_eq!(answer["errors"][0]["extensions"]["argument"], "filter.from");
}
