//! The names of the tables. Statements that change a rollup use names with a schema, since a search path may lead to
//! other tables, or to functions of other users.

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};

/// The tables that `tokens` and `users` stand for on this connection. The schema is that of `tokens`; the rollup is in
/// it too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Quoted where SQL needs it.
    schema: String,
    tokens: String,
    users: String,
}

impl Place {
    /// Looks the tables up.
    ///
    /// # Errors
    /// When one is missing, or what the database says.
    pub(super) async fn of(connection: &impl ConnectionTrait) -> Result<Self, DbErr> {
        let sql = "SELECT quote_ident(tokens_schema.nspname) AS schema, \
                       format('%I.%I', tokens_schema.nspname, tokens.relname) AS tokens, \
                       format('%I.%I', users_schema.nspname, users.relname) AS users \
                   FROM pg_class AS tokens JOIN pg_namespace AS tokens_schema ON tokens_schema.oid = tokens.relnamespace, \
                        pg_class AS users JOIN pg_namespace AS users_schema ON users_schema.oid = users.relnamespace \
                   WHERE tokens.oid = to_regclass('tokens') AND users.oid = to_regclass('users')";
        let row = connection.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await?;
        let row = row.ok_or_else(|| {
            DbErr::Custom("there are no tables tokens and users; `coworking-analytics migrate` makes them".to_owned())
        })?;
        let place = Self {
            schema: row.try_get("", "schema")?,
            tokens: row.try_get("", "tokens")?,
            users: row.try_get("", "users")?,
        };
        // Scripts also put the names into string literals.
        if [&place.tokens, &place.users].iter().any(|name| name.contains(['\'', '$', '{'])) {
            return Err(DbErr::Custom(format!("no rollup can be kept in {}: rename the schema", place.schema)));
        }
        Ok(place)
    }

    /// The script with the names of these tables.
    pub(super) fn sql(&self, script: &str) -> String {
        let merged = |rows| include_str!("merged.sql").replace("{rows}", rows);
        let both = "(SELECT user_id, created_at, used_at FROM new_rows \
                    UNION ALL SELECT user_id, created_at, used_at FROM old_rows) AS both_rows";
        script
            .replace("{inserted}", &merged("new_rows"))
            .replace("{updated}", &merged(both))
            .replace("{deleted}", &merged("old_rows"))
            .replace("{parts}", include_str!("parts.sql"))
            .replace("{triggers}", include_str!("triggers.sql"))
            .replace("{schema}", &self.schema)
            .replace("{tokens}", &self.tokens)
            .replace("{users}", &self.users)
    }
}
