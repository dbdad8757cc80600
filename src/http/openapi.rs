//! The description of the routes, made of the same tables that requests are read by.
//! Source: <https://spec.openapis.org/oas/v3.1.0>

use std::sync::LazyLock;

use axum::response::Response;
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, Info, KnownFormat, ObjectBuilder, OpenApi, OpenApiBuilder, PathItem,
    PathsBuilder, Ref, RefOr, ResponseBuilder, SchemaFormat,
    path::{HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn, ParameterStyle},
    schema::{AdditionalProperties, ArrayBuilder, Schema, SchemaType, Type},
    security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
};

use super::{
    body,
    reports::{Column, Format, Holds, Kind, Parameter, REPORTS, Report},
};

/// What a parameter that is a list may hold.
const MAX_ITEMS: usize = 1_000;

/// The description as JSON.
pub(super) async fn document() -> Response {
    static DOCUMENT: LazyLock<String> = LazyLock::new(|| openapi().to_json().unwrap_or_default() + "\n");
    body("application/json", DOCUMENT.as_str())
}

fn openapi() -> OpenApi {
    let mut info = Info::new("coworking-analytics", env!("CARGO_PKG_VERSION"));
    info.description = Some(
        "Reports on the check-ins of a coworking space, read only. The same reports, and more, are at /graphql."
            .to_owned(),
    );
    let mut paths = PathsBuilder::new();
    let text = |about: &str| ResponseBuilder::new().description(about).content("text/html", content(string().build()));
    let probe = |summary: &str| {
        OperationBuilder::new().summary(Some(summary)).response("200", text("ok")).response("405", refers("Error"))
    };
    let alive = probe("Whether the process is alive.");
    let ready = probe("Whether reports can be made.").response("500", text("failed"));
    paths = paths
        .path("/health_check", PathItem::new(HttpMethod::Get, alive))
        .path("/readiness_check", PathItem::new(HttpMethod::Get, ready));
    let state = OperationBuilder::new()
        .summary(Some("What goes on inside, for operators: needs the scope admin."))
        .securities(Some(securities()))
        .response(
            "200",
            ResponseBuilder::new()
                .description("The state of this replica.")
                .content("application/json", content(ObjectBuilder::new().build())),
        );
    let state = ["401", "403", "405", "429", "503"]
        .into_iter()
        .fold(state, |state, status| state.response(status, refers("Error")));
    paths = paths.path("/api/status", PathItem::new(HttpMethod::Get, state));
    for report in REPORTS {
        paths = paths.path(report.path, PathItem::new(HttpMethod::Get, operation(report)));
    }
    let error = ObjectBuilder::new()
        .property("errors", ArrayBuilder::new().items(RefOr::T(one_error())).min_items(Some(1)))
        .required("errors");
    let failed = ResponseBuilder::new()
        .description(
            "Why there is no answer: extensions.code tells causes apart, extensions.argument names a parameter.",
        )
        .content("application/json", ContentBuilder::new().schema(Some(Ref::from_schema_name("Error"))).build());
    let components = ComponentsBuilder::new()
        .schema("Error", Schema::Object(error.build()))
        .response("Error", failed.build())
        .security_scheme("apiKey", SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("x-api-key"))))
        .security_scheme("bearer", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    OpenApiBuilder::new().info(info).paths(paths.build()).components(Some(components.build())).build()
}

fn one_error() -> Schema {
    let extensions = ObjectBuilder::new()
        .property("code", string())
        .property("argument", string())
        .property("scope", string())
        .property("retryAfter", whole())
        .required("code");
    let error = ObjectBuilder::new()
        .property("message", string())
        .property("extensions", extensions)
        .required("message")
        .required("extensions");
    Schema::Object(error.build())
}

fn operation(report: &Report) -> OperationBuilder {
    let rows = || Schema::Array(ArrayBuilder::new().items(RefOr::T(row(report.columns))).build());
    let json = if report.is_legacy { legacy(report) } else { rows() };
    let answer = ResponseBuilder::new()
        .description(report.about)
        .content(Format::Json.media_type(), content(json))
        .content("text/csv", content(string().build()))
        .content(Format::Ndjson.media_type(), content(string().build()));
    let parameters = report.parameters.iter().copied().flatten().map(parameter);
    let mut operation = OperationBuilder::new()
        .operation_id(Some(report.name))
        .summary(Some(report.about))
        .parameters(Some(parameters))
        .securities(Some(securities()))
        .response("200", answer);
    for status in ["400", "401", "403", "405", "429", "500", "503", "504"] {
        operation = operation.response(status, refers("Error"));
    }
    operation
}

/// Nobody in particular, an API key, or a token.
fn securities() -> [SecurityRequirement; 3] {
    let of = |name| SecurityRequirement::new::<_, [&str; 0], &str>(name, []);
    [SecurityRequirement::default(), of("apiKey"), of("bearer")]
}

fn refers(response: &str) -> RefOr<utoipa::openapi::Response> {
    RefOr::Ref(Ref::from_response_name(response))
}

fn content(schema: impl Into<RefOr<Schema>>) -> utoipa::openapi::Content {
    ContentBuilder::new().schema(Some(schema)).build()
}

/// The legacy service's maps.
fn legacy(report: &Report) -> Schema {
    let entry: Schema = if report.name == "daily_usage" {
        Schema::Object(whole().build())
    } else {
        let entry = ObjectBuilder::new().property("joined_at", string()).property("visits", whole());
        Schema::Object(entry.required("joined_at").required("visits").build())
    };
    Schema::Object(
        ObjectBuilder::new().additional_properties(Some(AdditionalProperties::from(RefOr::T(entry)))).build(),
    )
}

fn row(columns: &[Column]) -> Schema {
    let row = columns.iter().fold(ObjectBuilder::new(), |row, column| {
        let kind = match column.holds {
            Holds::Text | Holds::Date | Holds::Instant => Type::String,
            Holds::Whole => Type::Integer,
            Holds::Number => Type::Number,
            Holds::Flag => Type::Boolean,
        };
        let format = match column.holds {
            Holds::Date => Some(SchemaFormat::KnownFormat(KnownFormat::Date)),
            Holds::Instant => Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)),
            _ => None,
        };
        let kind = SchemaType::from_iter([kind, Type::Null]);
        row.property(column.name, ObjectBuilder::new().schema_type(kind).format(format)).required(column.name)
    });
    Schema::Object(row.build())
}

fn parameter(parameter: &Parameter) -> utoipa::openapi::path::Parameter {
    let names = |names: Vec<&'static str>| Schema::Object(string().enum_values(Some(names)).build());
    let list =
        |items: Schema| Schema::Array(ArrayBuilder::new().items(RefOr::T(items)).max_items(Some(MAX_ITEMS)).build());
    let schema = match parameter.kind {
        Kind::Date => Schema::Object(
            string()
                .pattern(Some(r"^(\d{4}-\d{2}-\d{2}|-?\d{11,15})$"))
                .examples(["2026-11-01", "1793491200000"])
                .build(),
        ),
        Kind::Zone => Schema::Object(string().examples(["Europe/Berlin"]).build()),
        Kind::Flag => Schema::Object(ObjectBuilder::new().schema_type(Type::Boolean).build()),
        Kind::Whole(least, most) => Schema::Object(whole().minimum(Some(least)).maximum(Some(most)).build()),
        Kind::Ids => list(Schema::Object(whole().minimum(Some(i32::MIN)).maximum(Some(i32::MAX)).build())),
        Kind::Name(all) => names(all()),
        Kind::Names(all) => list(names(all())),
    };
    let is_list = matches!(parameter.kind, Kind::Ids | Kind::Names(_));
    let built = ParameterBuilder::new()
        .name(parameter.name)
        .parameter_in(ParameterIn::Query)
        .description(Some(parameter.about))
        .schema(Some(schema));
    if is_list { built.style(Some(ParameterStyle::Form)).explode(Some(false)).build() } else { built.build() }
}

fn string() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn whole() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Integer)
}
