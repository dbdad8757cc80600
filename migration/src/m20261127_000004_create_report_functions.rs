//! Creates the reports as functions with dates, a time zone and a basis, on PostgreSQL. The gateway itself does not call
//! them. SQLite has no such functions.

use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbBackend, DbErr, Statement};

/// The functions, in the order in which they are made.
const SCRIPTS: [&str; 2] = [include_str!("functions/parts.sql"), include_str!("functions/reports.sql")];

pub(crate) async fn apply(transaction: &DatabaseTransaction) -> Result<(), DbErr> {
    if transaction.get_database_backend() == DbBackend::Sqlite {
        return Ok(());
    }
    let names = Names::of(transaction).await?;
    for script in SCRIPTS {
        transaction.execute_unprepared(&names.sql(script)).await.map_err(|error| {
            DbErr::Migration(format!("the functions for SQL tools were not made, and nothing was replaced: {error}"))
        })?;
    }
    // Everybody may call a new function, until this is taken away.
    each(transaction, &names, "REVOKE EXECUTE ON FUNCTION {} FROM PUBLIC").await
}

pub(crate) async fn undo(transaction: &DatabaseTransaction) -> Result<(), DbErr> {
    if transaction.get_database_backend() == DbBackend::Sqlite {
        return Ok(());
    }
    each(transaction, &Names::of(transaction).await?, "DROP FUNCTION IF EXISTS {}").await
}

/// Runs a statement for each function, the last one first: later ones are made of earlier ones.
async fn each(transaction: &DatabaseTransaction, names: &Names, statement: &str) -> Result<(), DbErr> {
    let scripts = SCRIPTS.concat();
    let signatures: Vec<_> = scripts.split("CREATE FUNCTION ").skip(1).filter_map(signature).collect();
    for signature in signatures.iter().rev() {
        transaction.execute_unprepared(&names.sql(&statement.replace("{}", signature))).await?;
    }
    Ok(())
}

/// The name and the arguments at the beginning of a definition, without defaults.
fn signature(definition: &str) -> Option<String> {
    let (name, rest) = definition.split_once('(')?;
    let (arguments, _) = rest.split_once("RETURNS")?;
    let arguments = arguments.trim_end().strip_suffix(')')?;
    let types = arguments.split(',').map(|argument| argument.split(" DEFAULT ").next().unwrap_or_default().trim());
    Some(format!("{name}({})", types.collect::<Vec<_>>().join(", ")))
}

/// The quoted names of what the functions read, and where they are made.
struct Names {
    here: String,
    schema: String,
    tokens: String,
    users: String,
}

impl Names {
    async fn of(transaction: &DatabaseTransaction) -> Result<Self, DbErr> {
        let sql = "SELECT quote_ident(current_schema()) AS here, quote_ident(tokens_schema.nspname) AS schema, \
                       format('%I.%I', tokens_schema.nspname, tokens.relname) AS tokens, \
                       format('%I.%I', users_schema.nspname, users.relname) AS users \
                   FROM pg_class AS tokens JOIN pg_namespace AS tokens_schema ON tokens_schema.oid = tokens.relnamespace, \
                        pg_class AS users JOIN pg_namespace AS users_schema ON users_schema.oid = users.relnamespace \
                   WHERE tokens.oid = to_regclass('tokens') AND users.oid = to_regclass('users')";
        let row = transaction.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await?;
        let row = row.ok_or_else(|| DbErr::Migration("there are no tables tokens and users".to_owned()))?;
        let name = |column| row.try_get::<String>("", column);
        let names =
            Self { here: name("here")?, schema: name("schema")?, tokens: name("tokens")?, users: name("users")? };
        // Scripts also put the names into string literals.
        if [&names.here, &names.tokens, &names.users].iter().any(|name| name.contains(['\'', '$', '{'])) {
            let problem =
                format!("no functions can be made for {} and {}: rename the schema", names.tokens, names.users);
            return Err(DbErr::Migration(problem));
        }
        Ok(names)
    }

    /// The script with these names.
    fn sql(&self, script: &str) -> String {
        script
            .replace("{here}", &self.here)
            .replace("{schema}", &self.schema)
            .replace("{tokens}", &self.tokens)
            .replace("{users}", &self.users)
    }
}
