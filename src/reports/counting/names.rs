//! Names in SQL. `lower` and `LIKE` know only ASCII on SQLite, and what the collation knows on PostgreSQL; patterns that
//! list the characters find the same on both.

use entity::user;
use sea_orm::{
    DbBackend,
    sea_query::{BinOper, Expr, ExprTrait as _},
};

use crate::reports::asking::name::NamePart;

/// The condition that a member's full name contains a part.
pub(in crate::reports) fn contains(backend: DbBackend, part: &NamePart) -> Expr {
    let column = |column| Expr::col((user::Entity, column));
    let name = |sql| Expr::cust_with_exprs(sql, [column(user::Column::FirstName), column(user::Column::LastName)]);
    match backend {
        DbBackend::Sqlite => name("(? || ' ' || ?)").binary(BinOper::Custom("GLOB"), glob(part)),
        // The pattern lists all cases, so no collation is asked for any.
        _ => name("($1 || ' ' || $2)::TEXT COLLATE \"C\"").binary(BinOper::Custom("~"), regex(part)),
    }
}

/// For `GLOB`, in which brackets hold the characters of a place.
fn glob(part: &NamePart) -> String {
    let place = |letters: Vec<char>| match letters[..] {
        [letter] if !"*?[".contains(letter) => letter.to_string(),
        _ => format!("[{}]", String::from_iter(letters)),
    };
    format!("*{}*", part.letters().map(place).collect::<String>())
}

/// For `~`. Beyond ASCII, characters are written by their numbers: a database in an older encoding lacks some, and would
/// refuse the pattern.
fn regex(part: &NamePart) -> String {
    let character = |letter: &char| match *letter {
        letter if letter.is_ascii_alphanumeric() => letter.to_string(),
        letter if letter.is_ascii() => format!("\\{letter}"),
        letter => format!("\\U{:08x}", u32::from(letter)),
    };
    let place = |letters: Vec<char>| format!("[{}]", letters.iter().map(character).collect::<String>());
    part.letters().map(place).collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_list_characters_and_mean_nothing_else() {
        let part = NamePart::new("Ü.*?[k]^\\ %_").unwrap();
        assert_eq!(glob(&part), "*[üÜ].[*][?][[][kK\u{212a}]]^\\ %_*");
        assert_eq!(
            regex(&part),
            "[\\U000000fc\\U000000dc][\\.][\\*][\\?][\\[][kK\\U0000212a][\\]][\\^][\\\\][\\ ][\\%][\\_]"
        );
    }
}
