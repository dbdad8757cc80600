//! What the GraphQL library gets wrong, corrected before it looks at a document. The tests below hold that it still gets
//! it wrong: when one fails after an update, the correction that it names can go.

pub(in crate::graphql) mod coercion;
pub(in crate::graphql) mod variables;

#[cfg(test)]
mod tests {
    use async_graphql::{EmptyMutation, EmptySubscription, Object, Request, Schema, Variables};
    use serde_json::{Value, json};

    struct Query;

    #[Object]
    impl Query {
        async fn usual(&self, #[graphql(default = 7)] n: i32) -> i32 {
            n
        }

        async fn maybe(&self, n: Option<i32>) -> Option<i32> {
            n
        }
    }

    /// What the library makes of a document without corrections.
    async fn answer(document: &str, variables: Value) -> Value {
        let schema = Schema::new(Query, EmptyMutation, EmptySubscription);
        let request = Request::new(document).variables(Variables::from_json(variables));
        serde_json::to_value(schema.execute(request).await).unwrap()
    }

    /// `variables`: the default of a variable holds in directives too. An upstream change is open:
    /// <https://github.com/async-graphql/async-graphql/pull/1827>
    #[tokio::test]
    async fn include_ignores_the_default_of_a_variable() {
        let answer = answer("query($on: Boolean = true) { usual @include(if: $on) }", json!({})).await;
        assert_ne!(answer["data"], json!({ "usual": 7 }));
    }

    /// `variables`: an argument whose variable is left out has its default.
    /// <https://spec.graphql.org/September2025/#CoerceArgumentValues()>
    #[tokio::test]
    async fn an_argument_whose_variable_is_left_out_has_no_default() {
        let answer = answer("query($n: Int) { usual(n: $n) }", json!({})).await;
        assert_ne!(answer["data"], json!({ "usual": 7 }));
    }

    /// `variables`: a required variable that is left out fails the request.
    /// <https://spec.graphql.org/September2025/#CoerceVariableValues()>
    #[tokio::test]
    async fn a_required_variable_that_is_left_out_is_null() {
        let answer = answer("query($n: Int!) { maybe(n: $n) }", json!({})).await;
        assert_eq!(answer["data"], json!({ "maybe": null }));
    }

    /// `coercion`: a value beyond the range of `Int` does not fit the schema, so nothing is executed.
    /// <https://spec.graphql.org/September2025/#sec-Int.Input-Coercion>
    #[tokio::test]
    async fn an_int_of_more_than_32_bits_reaches_the_resolver() {
        let answer = answer("{ one: maybe(n: 1) big: maybe(n: 3000000000) }", json!({})).await;
        assert!(answer["errors"][0].get("path").is_some(), "{answer}");
    }

    /// `coercion`: a variable of the wrong type fails the request.
    #[tokio::test]
    async fn a_variable_beyond_its_type_reaches_the_resolver() {
        let answer = answer("query($n: Int) { maybe(n: $n) }", json!({ "n": 3_000_000_000_i64 })).await;
        assert!(answer["errors"][0].get("path").is_some(), "{answer}");
    }
}
