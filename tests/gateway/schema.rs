//! The committed schema is the one of the code, and everything in it has a description.

use coworking_analytics::graphql;

#[test]
fn the_committed_schema_is_that_of_the_code() {
    let committed = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/schema.graphql")).unwrap();
    assert!(
        committed == graphql::sdl(),
        "schema.graphql differs from the code; run `make schema` and look at the difference"
    );
}

#[test]
fn everything_in_the_schema_is_described() {
    let sdl = graphql::sdl();
    let is_root = |line: &str| ["query: Query", "subscription: Subscription"].contains(&line);
    let mut described = false;
    let mut undescribed = Vec::new();
    let mut in_description = false;
    for line in sdl.lines().map(str::trim) {
        if line.starts_with("\"\"\"") {
            in_description = !in_description && line.matches("\"\"\"").count() == 1;
            described = true;
        } else if !in_description && !line.is_empty() && !line.starts_with(['}', ')']) {
            // The library's own definitions and the schema's root declaration need no description.
            if !described && !line.starts_with("directive") && !line.starts_with("schema") && !is_root(line) {
                undescribed.push(line.to_owned());
            }
            described = false;
        }
    }
    assert!(undescribed.is_empty(), "without a description: {undescribed:#?}");
}
