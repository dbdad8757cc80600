//! Random documents made from the schema. Valid ones must get answers of the right shape, broken ones an error with a
//! code. `RANDOM_DOCUMENTS=100000` runs that many instead of a few hundred.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use axum::{body::Body, http::Request};
use coworking_analytics::codes::{self, BAD_USER_INPUT, INTERNAL_SERVER_ERROR, LIMIT_EXCEEDED};
use fastrand::Rng;
use serde_json::{Map, Value, json};

use crate::support::{Answer, Backend, TestDatabase, TestGateway};

/// Queries everything that documents are made from.
const INTROSPECTION: &str = "{ __schema { types { kind name enumValues { name } inputFields { ...Input }
    fields { name args { ...Input } type { ...Type } } } } }
    fragment Input on __InputValue { name defaultValue type { ...Type } }
    fragment Type on __Type { kind name ofType { kind name ofType { kind name ofType { kind name } } } }";
const DEPTH: usize = 5;
/// The limit on answers, and some bytes for what surrounds the data.
const ANSWER_BYTES: usize = (8 << 20) + 1_000;

#[tokio::test]
async fn valid_documents_are_answered_in_their_shape_and_broken_ones_with_a_code() {
    let gateway = TestGateway::on(TestDatabase::recorded(Backend::Sqlite).await, &[]).await;
    let schema = Schema::of(&gateway.answer(INTROSPECTION).await);
    let (mut answered, mut refused) = (0, BTreeMap::<String, usize>::new());
    for seed in 0..wanted() {
        let mut random = Rng::with_seed(seed);
        let document = Maker::new(&schema, &mut random).operation();
        let answer = send(&gateway, &document.text, &document.variables).await;
        let body = check(&answer, &document.text);
        for error in body["errors"].as_array().into_iter().flatten() {
            let code = error["extensions"]["code"].as_str().unwrap();
            assert!([BAD_USER_INPUT, LIMIT_EXCEEDED].contains(&code), "{seed}: {error}\n{}", document.text);
        }
        if let Some(data) = body.get("data") {
            has_shape(data, &document.shape, &document.text);
            answered += 1;
        }
        for _ in 0..2 {
            let broken = broken(&document.text, &mut random);
            let answer = send(&gateway, &broken, &document.variables).await;
            let body = check(&answer, &broken);
            for error in body["errors"].as_array().into_iter().flatten() {
                *refused.entry(error["extensions"]["code"].as_str().unwrap().to_owned()).or_default() += 1;
            }
        }
    }
    assert!(answered * 2 > wanted(), "only {answered} were answered");
    assert!(refused.len() >= 3, "{refused:?}");
}

#[expect(clippy::disallowed_methods, reason = "the test run's own setting")]
fn wanted() -> u64 {
    std::env::var("RANDOM_DOCUMENTS").ok().and_then(|count| count.parse().ok()).unwrap_or(300)
}

async fn send(gateway: &TestGateway, query: &str, variables: &Map<String, Value>) -> Answer {
    let body = json!({ "query": query, "variables": variables }).to_string();
    let request = Request::post("/graphql")
        .header("content-type", "application/json")
        .header("accept", "application/graphql-response+json");
    gateway.send(request.body(Body::from(body)).unwrap()).await
}

/// The checks that hold for every answer.
fn check(answer: &Answer, document: &str) -> Value {
    assert!([200, 400, 405, 406].contains(&answer.status.as_u16()), "{}: {document}", answer.status);
    assert!(answer.body.len() < ANSWER_BYTES, "{} bytes: {document}", answer.body.len());
    let body = answer.json();
    assert!(body.get("data").is_some() || body["errors"].as_array().is_some_and(|errors| !errors.is_empty()), "{body}");
    for error in body["errors"].as_array().into_iter().flatten() {
        let code = error["extensions"]["code"].as_str().unwrap_or_else(|| panic!("{error}: {document}"));
        assert!(codes::ALL.contains(&code), "{error}: {document}");
        assert_ne!(code, INTERNAL_SERVER_ERROR, "{error}: {document}");
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{error}: {document}");
    }
    body
}

/// The expected keys of an answer, with the keys of nested objects.
type Shape = BTreeMap<String, Option<Keys>>;

#[derive(Debug, Default)]
struct Keys(Shape);

fn has_shape(data: &Value, shape: &Shape, document: &str) {
    match data {
        Value::Array(items) => items.iter().for_each(|item| has_shape(item, shape, document)),
        Value::Object(fields) => {
            let keys: BTreeSet<_> = fields.keys().collect();
            assert_eq!(keys, shape.keys().collect(), "{document}");
            for (key, below) in shape {
                match below {
                    Some(Keys(below)) => has_shape(&fields[key], below, document),
                    None => assert!(!fields[key].is_object(), "{key}: {document}"),
                }
            }
        }
        other => assert!(other.is_null(), "{other}: {document}"),
    }
}

/// Removes, replaces and repeats some tokens of a document.
fn broken(document: &str, random: &mut Rng) -> String {
    const STRANGERS: [&str; 14] = [
        "{",
        "}",
        "(",
        ")",
        "null",
        "$x",
        "...",
        "@skip",
        "__schema",
        "mutation",
        "subscription",
        "\"",
        "-1e999",
        "\u{0}",
    ];
    let mut tokens: Vec<_> = document.split_inclusive([' ', '{', '}', '(', ')', ':', ',']).map(str::to_owned).collect();
    for _ in 0..random.usize(1..4) {
        let at = random.usize(..tokens.len());
        match random.u8(..5) {
            0 if tokens.len() > 1 => drop(tokens.remove(at)),
            1 => tokens.truncate(at.max(1)),
            2 => tokens.insert(at, format!("{} ", random.choice(STRANGERS).unwrap())),
            3 => tokens.insert(at, random.choice(&tokens).unwrap().clone()),
            _ => {
                let letters: Vec<_> = tokens[at].chars().rev().collect();
                tokens[at] = letters.into_iter().collect();
            }
        }
    }
    tokens.concat()
}

/// The types of the schema, by name.
struct Schema(BTreeMap<String, Value>);

impl Schema {
    fn of(introspected: &Value) -> Self {
        let types = introspected["data"]["__schema"]["types"].as_array().unwrap();
        Self(types.iter().map(|kind| (kind["name"].as_str().unwrap().to_owned(), kind.clone())).collect())
    }

    fn named(&self, reference: &Value) -> &Value {
        let mut reference = reference;
        while reference["name"].is_null() {
            reference = &reference["ofType"];
        }
        &self.0[reference["name"].as_str().unwrap()]
    }
}

fn is_object(kind: &Value) -> bool {
    kind["kind"] == "OBJECT"
}

/// A type as it is written in documents.
fn written(reference: &Value) -> String {
    match reference["kind"].as_str().unwrap() {
        "NON_NULL" => written(&reference["ofType"]) + "!",
        "LIST" => format!("[{}]", written(&reference["ofType"])),
        _ => reference["name"].as_str().unwrap().to_owned(),
    }
}

struct Made {
    text: String,
    variables: Map<String, Value>,
    shape: Shape,
}

struct Maker<'a> {
    schema: &'a Schema,
    random: &'a mut Rng,
    names: usize,
    declared: String,
    variables: Map<String, Value>,
}

impl<'a> Maker<'a> {
    fn new(schema: &'a Schema, random: &'a mut Rng) -> Self {
        Self { schema, random, names: 0, declared: String::new(), variables: Map::new() }
    }

    fn operation(mut self) -> Made {
        let (selection, shape) = self.selection("Query", DEPTH);
        let declared = if self.declared.is_empty() { String::new() } else { format!("({})", self.declared) };
        Made { text: format!("query Random{declared} {selection}"), variables: self.variables, shape }
    }

    fn selection(&mut self, name: &str, depth: usize) -> (String, Shape) {
        let kind = &self.schema.0[name];
        let fields: Vec<&Value> = kind["fields"].as_array().unwrap().iter().collect();
        let is_fit = |field: &&&Value| depth > 1 || !is_object(self.schema.named(&field["type"]));
        let fields: Vec<&Value> = fields.iter().filter(is_fit).copied().collect();
        let (mut text, mut shape) = ("{ ".to_owned(), Shape::new());
        let count = if name == "Query" { self.random.usize(1..=2) } else { self.random.usize(1..=5) };
        for _ in 0..count {
            let Some(field) = self.random.choice(&fields).copied() else { break };
            let is_taken = shape.contains_key(field["name"].as_str().unwrap());
            let (one, key, below) = self.field(field, depth, is_taken);
            shape.insert(key, below);
            match self.random.u8(..12) {
                0 => write!(text, "... on {name} {{ {one} }} ").unwrap(),
                1 => write!(text, "... @include(if: true) {{ {one} }} ").unwrap(),
                _ => text.push_str(&one),
            }
        }
        if shape.is_empty() || self.random.u8(..8) == 0 {
            text.push_str("__typename ");
            shape.insert("__typename".to_owned(), None);
        }
        text.push_str("} ");
        (text, shape)
    }

    fn field(&mut self, field: &Value, depth: usize, is_taken: bool) -> (String, String, Option<Keys>) {
        let name = field["name"].as_str().unwrap();
        let arguments: Vec<_> = field["args"].as_array().unwrap().iter().filter_map(|one| self.argument(one)).collect();
        // A field with arguments gets an alias, so that it does not conflict with the same field with other arguments.
        let key = if arguments.is_empty() && !is_taken && self.random.u8(..6) > 0 {
            name.to_owned()
        } else {
            self.names += 1;
            format!("a{}", self.names)
        };
        let mut text = if key == name { String::new() } else { format!("{key}: ") };
        text.push_str(name);
        if !arguments.is_empty() {
            write!(text, "({})", arguments.join(", ")).unwrap();
        }
        text.push(' ');
        let kind = self.schema.named(&field["type"]);
        if !is_object(kind) {
            return (text, key, None);
        }
        let (below, shape) = self.selection(kind["name"].as_str().unwrap(), depth - 1);
        (text + &below, key, Some(Keys(shape)))
    }

    /// An argument with a value; none if it can be omitted.
    fn argument(&mut self, argument: &Value) -> Option<String> {
        let kind = &argument["type"];
        let is_needed = kind["kind"] == "NON_NULL" && argument["defaultValue"].is_null();
        if !is_needed && self.random.u8(..5) > 1 {
            return None;
        }
        let name = argument["name"].as_str().unwrap();
        let (literal, value) = self.value(kind);
        if self.random.u8(..4) > 0 {
            return Some(format!("{name}: {literal}"));
        }
        self.names += 1;
        let variable = format!("v{}", self.names);
        write!(self.declared, "${variable}: {} ", written(kind)).unwrap();
        self.variables.insert(variable.clone(), value);
        Some(format!("{name}: ${variable}"))
    }

    /// A value: as written in a document, and as JSON for a variable.
    fn value(&mut self, reference: &Value) -> (String, Value) {
        match reference["kind"].as_str().unwrap() {
            "NON_NULL" => self.present(&reference["ofType"]),
            _ if self.random.u8(..12) == 0 => ("null".to_owned(), Value::Null),
            _ => self.present(reference),
        }
    }

    /// The same, but never null.
    fn present(&mut self, reference: &Value) -> (String, Value) {
        match reference["kind"].as_str().unwrap() {
            "LIST" => {
                let items: Vec<_> = (0..self.random.usize(..4)).map(|_| self.value(&reference["ofType"])).collect();
                let literals: Vec<_> = items.iter().map(|(literal, _)| literal.as_str()).collect();
                let literal = format!("[{}]", literals.join(", "));
                (literal, items.into_iter().map(|(_, value)| value).collect())
            }
            "ENUM" => {
                let name = self.schema.named(reference)["enumValues"].as_array().unwrap();
                let name = self.random.choice(name).unwrap()["name"].as_str().unwrap();
                (name.to_owned(), name.into())
            }
            "INPUT_OBJECT" => self.object(self.schema.named(reference)),
            _ => {
                let value = self.scalar(reference["name"].as_str().unwrap());
                (value.to_string(), value)
            }
        }
    }

    fn object(&mut self, kind: &Value) -> (String, Value) {
        let (mut literals, mut values) = (Vec::new(), Map::new());
        for field in kind["inputFields"].as_array().unwrap() {
            let is_needed = field["type"]["kind"] == "NON_NULL" && field["defaultValue"].is_null();
            if is_needed || self.random.u8(..3) == 0 {
                let name = field["name"].as_str().unwrap();
                let (literal, value) = self.value(&field["type"]);
                literals.push(format!("{name}: {literal}"));
                values.insert(name.to_owned(), value);
            }
        }
        (format!("{{{}}}", literals.join(", ")), values.into())
    }

    fn scalar(&mut self, name: &str) -> Value {
        const DATES: [&str; 8] = [
            "2024-03-01",
            "2024-03-31",
            "2024-04-14",
            "2023-02-29",
            "0001-01-01",
            "9999-12-31",
            "1712000000000",
            "soon",
        ];
        const ZONES: [&str; 6] = ["UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Apia", "Mars/Olympus", ""];
        const NUMBERS: [i64; 9] = [0, 1, 2, 7, 30, 100, 1_000, -1, 2_147_483_647];
        const TEXTS: [&str; 4] = ["", "bm9uc2Vuc2U", "djE6dXNlcl9pZDphc2M6Mjoy", "é\"\\\u{7f}"];
        let is_sensible = self.random.bool();
        match name {
            "Boolean" => self.random.bool().into(),
            "Int" => (*self.random.choice(&NUMBERS).unwrap()).into(),
            "Float" => json!(0.5),
            "Date" => (*self.random.choice(&DATES[..if is_sensible { 3 } else { 8 }]).unwrap()).into(),
            "TimeZone" => (*self.random.choice(&ZONES[..if is_sensible { 4 } else { 6 }]).unwrap()).into(),
            "String" => (*self.random.choice(&TEXTS).unwrap()).into(),
            other => panic!("no values for {other}"),
        }
    }
}
