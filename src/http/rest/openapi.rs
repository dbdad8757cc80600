//! `/api/openapi.json`, generated from the same declarations that requests are checked against.
//! Source: <https://spec.openapis.org/oas/v3.1.0>

use std::sync::LazyLock;

use axum::response::Response;
use serde_json::{Map, Value, json};

use crate::http::{
    body,
    rest::{
        INDEX, REPORTS,
        parameters::{Kind, Parameter},
        report::Report,
        table::{Format, Heading, Holds},
    },
};

/// The most items of a parameter that is a list.
const MAX_ITEMS: usize = 1_000;

/// The description as JSON.
pub(in crate::http) async fn document() -> Response {
    static DOCUMENT: LazyLock<String> = LazyLock::new(|| openapi().to_string() + "\n");
    body("application/json", DOCUMENT.as_str())
}

fn openapi() -> Value {
    let mut paths = Map::new();
    let text = |about: &str| json!({ "description": about, "content": content("text/html", &string()) });
    let probe = |summary: &str| json!({ "summary": summary, "responses": { "200": text("ok"), "405": failure() } });
    paths.insert("/health_check".to_owned(), json!({ "get": probe("Whether the process is alive.") }));
    let mut ready = probe("Whether reports can be made.");
    ready["responses"]["500"] = text("failed");
    paths.insert("/readiness_check".to_owned(), json!({ "get": ready }));
    let state = json!({
        "description": "The state of this replica.",
        "content": content("application/json", &json!({ "type": "object" })),
    });
    let status = json!({
        "summary": "What goes on inside, for operators: needs the scope admin.",
        "security": securities(),
        "responses": responses(state, &["401", "403", "405", "429", "503"]),
    });
    paths.insert("/api/status".to_owned(), json!({ "get": status }));
    paths.insert(INDEX.to_owned(), json!({ "get": index() }));
    for (report, _) in REPORTS {
        paths.insert(report.path(), json!({ "get": operation(report) }));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "coworking-analytics",
            "version": env!("CARGO_PKG_VERSION"),
            "description":
                "Reports on the check-ins of a coworking space, read only. The same reports, and more, are at /graphql.",
        },
        "paths": paths,
        "components": {
            "schemas": { "Error": { "type": "object", "required": ["errors"], "properties": {
                "errors": { "type": "array", "items": one_error(), "minItems": 1 },
            } } },
            "responses": { "Error": {
                "description": "Why there is no answer: extensions.code tells causes apart, extensions.argument names a parameter.",
                "content": content("application/json", &json!({ "$ref": "#/components/schemas/Error" })),
            } },
            "securitySchemes": {
                "apiKey": { "type": "apiKey", "in": "header", "name": "x-api-key" },
                "bearer": { "type": "http", "scheme": "bearer" },
            },
        },
    })
}

fn one_error() -> Value {
    json!({ "type": "object", "required": ["message", "extensions"], "properties": {
        "message": string(),
        "extensions": { "type": "object", "required": ["code"], "properties": {
            "code": string(),
            "argument": string(),
            "scope": string(),
            "retryAfter": whole(),
        } },
    } })
}

/// The operation of the list of reports.
fn index() -> Value {
    let about = "The reports: where each is, what it answers, its parameters, columns and formats.";
    let names = json!({ "type": "array", "items": string() });
    let report = json!({
        "type": "object",
        "required": ["path", "name", "about", "parameters", "columns", "formats"],
        "properties": {
            "path": string(), "name": string(), "about": string(),
            "parameters": names, "columns": names, "formats": names,
        },
    });
    let answer = json!({
        "description": about,
        "content": content("application/json", &json!({ "type": "array", "items": report })),
    });
    json!({
        "operationId": "reports",
        "summary": about,
        "security": securities(),
        "responses": responses(answer, &["401", "403", "405", "429", "503"]),
    })
}

fn operation(report: &Report) -> Value {
    let rows = || json!({ "type": "array", "items": row(&(report.columns)()) });
    let json = report.legacy.map_or_else(rows, |legacy| legacy());
    let answer = json!({ "description": report.about, "content": {
        (Format::Json.media_type()): { "schema": json },
        "text/csv": { "schema": string() },
        (Format::Ndjson.media_type()): { "schema": string() },
    } });
    let mut failures = vec!["400", "401", "403", "405", "429", "500", "503", "504"];
    if report.is_list {
        failures.push("426");
    }
    json!({
        "operationId": report.name,
        "summary": report.about,
        "parameters": report.parameters.iter().copied().flatten().map(parameter).collect::<Vec<_>>(),
        "security": securities(),
        "responses": responses(answer, &failures),
    })
}

/// The responses of an operation: the answer, and the failures with these statuses.
fn responses(answer: Value, failures: &[&str]) -> Map<String, Value> {
    let failures = failures.iter().map(|status| ((*status).to_owned(), failure()));
    std::iter::once(("200".to_owned(), answer)).chain(failures).collect()
}

fn failure() -> Value {
    json!({ "$ref": "#/components/responses/Error" })
}

/// No credential, an API key, or an access token.
fn securities() -> Value {
    json!([{}, { "apiKey": [] }, { "bearer": [] }])
}

fn content(media_type: &str, schema: &Value) -> Value {
    json!({ media_type: { "schema": schema } })
}

fn row(columns: &[Heading]) -> Value {
    let cell = |column: &Heading| {
        let (kind, format) = match column.holds {
            Holds::Text => ("string", None),
            Holds::Date => ("string", Some("date")),
            Holds::Instant => ("string", Some("date-time")),
            Holds::Whole => ("integer", None),
            Holds::Number => ("number", None),
            Holds::Flag => ("boolean", None),
        };
        let mut cell = json!({ "type": [kind, "null"], "description": column.about });
        if let Some(format) = format {
            cell["format"] = json!(format);
        }
        (column.name.to_owned(), cell)
    };
    let names: Vec<_> = columns.iter().map(|column| column.name).collect();
    json!({ "type": "object", "required": names, "properties": columns.iter().map(cell).collect::<Map<_, _>>() })
}

fn parameter(parameter: &Parameter) -> Value {
    let names = |names: Vec<&'static str>| json!({ "type": "string", "enum": names });
    let list = |items: Value| json!({ "type": "array", "items": items, "maxItems": MAX_ITEMS });
    let schema = match parameter.kind {
        Kind::Date => json!({
            "type": "string",
            "pattern": r"^(\d{4}-\d{2}-\d{2}|-?\d{11,15})$",
            "examples": ["2026-11-01", "1793491200000"],
        }),
        Kind::Zone => json!({ "type": "string", "examples": ["Europe/Berlin"] }),
        Kind::Text(most) => json!({ "type": "string", "minLength": 1, "maxLength": most }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Whole(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Kind::Ids => list(json!({ "type": "integer", "minimum": i32::MIN, "maximum": i32::MAX })),
        Kind::Name(all) => names(all()),
        Kind::Names(all) => list(names(all())),
    };
    let mut described = json!({
        "name": parameter.name,
        "in": "query",
        "required": false,
        "description": parameter.about,
        "schema": schema,
    });
    if matches!(parameter.kind, Kind::Ids | Kind::Names(_)) {
        // Items are separated by commas.
        described["style"] = json!("form");
        described["explode"] = json!(false);
    }
    described
}

fn string() -> Value {
    json!({ "type": "string" })
}

fn whole() -> Value {
    json!({ "type": "integer" })
}
