//! The budget of cost that each caller has per minute.

use std::net::{IpAddr, SocketAddr};

use axum::{body::Body, http::Request};
use coworking_analytics::{
    access::{Scopes, keys::NewKey},
    http::{Peer, Terms},
};

use crate::support::{Answer, TestGateway, requests::heatmap};

/// A request from an address.
fn from(address: &str, path: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::get(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let address = SocketAddr::new(address.parse::<IpAddr>().unwrap(), 40_000);
    request.extension(Peer { address, terms: Terms::All }).body(Body::empty()).unwrap()
}

/// Sends a request that costs more than the budget of a minute, and another one; returns the refusal of the second.
async fn exhaust(gateway: &TestGateway, address: &str, headers: &[(&str, &str)]) -> Answer {
    let document = "{ dailyUsage(first: 3700) { date visits tokensIssued } }";
    let path = format!("/graphql?{}", serde_urlencoded::to_string([("query", document)]).unwrap());
    // Cached answers cost almost nothing.
    let headers: Vec<_> = headers.iter().copied().chain([("cache-control", "no-cache")]).collect();
    assert_eq!(gateway.send(from(address, &path, &headers)).await.status, 200);
    gateway.send(from(address, &path, &headers)).await
}

#[tokio::test]
async fn each_caller_has_a_budget_of_cost() {
    let key = NewKey::invent("board", Scopes::parse("reports").unwrap(), None).unwrap();
    let gateway = TestGateway::configured(&[("RATE_LIMIT", "6000"), ("API_KEYS", &key.line)]).await;
    let refused = exhaust(&gateway, "203.0.113.7", &[]).await;
    let error = &refused.json()["errors"][0];
    assert_eq!((refused.status.as_u16(), error["extensions"]["code"].as_str()), (429, Some("RATE_LIMITED")));
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert_eq!(error["extensions"]["retryAfter"], wait);
    assert!((30..=61).contains(&wait), "{wait}");
    // Every route except the probes.
    for (path, status) in
        [("/api/reports/daily_usage", 429), ("/graphiql", 429), ("/health_check", 200), ("/readiness_check", 200)]
    {
        assert_eq!(gateway.send(from("203.0.113.7", path, &[])).await.status, status, "{path}");
    }
    // Another address has its own budget, and so has a key, from any address.
    assert_eq!(gateway.send(from("203.0.113.8", &heatmap(), &[])).await.status, 200);
    let as_key = [("x-api-key", key.key.as_str())];
    assert_eq!(gateway.send(from("203.0.113.7", &heatmap(), &as_key)).await.status, 200);
    exhaust(&gateway, "203.0.113.9", &as_key).await;
    assert_eq!(gateway.send(from("203.0.113.10", &heatmap(), &as_key)).await.status, 429, "one key, one budget");
    assert_eq!(gateway.send(from("203.0.113.10", &heatmap(), &[])).await.status, 200);
    // The header X-Forwarded-For is not trusted.
    let forged = [("x-forwarded-for", "198.51.100.1")];
    assert_eq!(gateway.send(from("203.0.113.7", &heatmap(), &forged)).await.status, 429);
}

#[tokio::test]
async fn work_costs_more_than_kept_answers() {
    let gateway = TestGateway::configured(&[("RATE_LIMIT", "20000")]).await;
    let different = |n: usize| {
        let document = format!("{{ dailyUsage(first: {n}) {{ date visits }} }}");
        format!("/graphql?{}", serde_urlencoded::to_string([("query", document)]).unwrap())
    };
    let mut answered = 0;
    while gateway.send(from("203.0.113.7", &different(answered + 1), &[])).await.status == 200 {
        answered += 1;
    }
    assert!((10..40).contains(&answered), "{answered}");
}

#[tokio::test]
async fn proxies_that_are_trusted_say_who_asks() {
    let gateway = TestGateway::configured(&[("RATE_LIMIT", "6000"), ("TRUSTED_PROXY_HOPS", "1")]).await;
    let client = [("x-forwarded-for", "198.51.100.1, 203.0.113.7")];
    assert_eq!(exhaust(&gateway, "10.0.0.1", &client).await.status, 429);
    let other = [("x-forwarded-for", "203.0.113.7, 203.0.113.8")];
    assert_eq!(gateway.send(from("10.0.0.1", &heatmap(), &other)).await.status, 200);
    let same = [("x-forwarded-for", "198.51.100.99, 203.0.113.7")];
    assert_eq!(gateway.send(from("10.0.0.2", &heatmap(), &same)).await.status, 429);
}

#[tokio::test]
async fn guessing_keys_is_slow() {
    let gateway = TestGateway::configured(&[("RATE_LIMIT", "3000000")]).await;
    let guess = async |n: usize| {
        let key = format!("cwa_{n}");
        gateway.send(from("203.0.113.7", &heatmap(), &[("x-api-key", &key)])).await.status.as_u16()
    };
    let mut refused = Vec::new();
    for n in 0..100 {
        refused.push(guess(n).await);
    }
    let tried = refused.iter().filter(|status| **status == 401).count();
    assert!((60..80).contains(&tried), "{tried}");
    assert_eq!(refused.last(), Some(&429));
    // Requests without a credential from the same address are not affected.
    assert_eq!(gateway.send(from("203.0.113.7", &heatmap(), &[])).await.status, 200);
}
