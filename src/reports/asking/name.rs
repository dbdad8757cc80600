//! A part of a name. Both databases find the same names, whatever their locale: this file says which characters are the
//! same, and the statement lists them.

use std::{collections::HashMap, sync::LazyLock};

use crate::reports::{Argument, InvalidArgument};

/// The most characters of a part of a name: given and family name, and the space between them.
pub const MAX_NAME_PART: usize = 101;

/// What a name contains: some characters in a row, in any case, of `given name`, a space and `family name`.
///
/// Two characters are the same when their upper case has the same lower case in Unicode, each taken as one character. So
/// `σ` and `ς` are the same as `Σ`; `ß` is not `ss`, and `é` is neither `e` nor an `e` with a combining accent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamePart(String);

impl NamePart {
    /// The part of a name with this text. Characters that have a meaning in patterns have none here.
    ///
    /// # Errors
    /// When it is empty, too long, or has control characters, or characters that no text has.
    pub fn new(text: &str) -> Result<Self, InvalidArgument> {
        let length = text.chars().count();
        let wrong = |problem: String| Err(InvalidArgument::new(Argument::NAME_CONTAINS, problem));
        if length == 0 || length > MAX_NAME_PART {
            return wrong(format!("has {length} characters; it must have 1 to {MAX_NAME_PART}"));
        }
        // SQLite reads the last three as one and the same.
        if text.contains(|letter: char| letter.is_control() || ('\u{fffd}'..='\u{ffff}').contains(&letter)) {
            return wrong("has a control character, or one that is not of any text: leave it out".to_owned());
        }
        Ok(Self(text.to_owned()))
    }

    /// For each character, all that are the same: at least itself.
    pub(in crate::reports) fn letters(&self) -> impl Iterator<Item = Vec<char>> {
        self.0.chars().map(|letter| SAME.get(&folded(letter)).cloned().unwrap_or_else(|| vec![letter]))
    }
}

/// The lower case of the upper case, where each is one character.
fn folded(letter: char) -> char {
    let upper = only(letter.to_uppercase()).unwrap_or(letter);
    only(upper.to_lowercase()).unwrap_or(upper)
}

fn only(mut letters: impl Iterator<Item = char>) -> Option<char> {
    letters.next().filter(|_| letters.next().is_none())
}

/// All characters that are the same as another one, by what they are folded to.
static SAME: LazyLock<HashMap<char, Vec<char>>> = LazyLock::new(|| {
    let mut same: HashMap<char, Vec<char>> = HashMap::new();
    for letter in '\0'..=char::MAX {
        let folded = folded(letter);
        if folded != letter {
            same.entry(folded).or_insert_with(|| vec![folded]).push(letter);
        }
    }
    same
});

#[cfg(test)]
mod tests {
    use super::*;

    fn letters(text: &str) -> Vec<String> {
        NamePart::new(text).unwrap().letters().map(String::from_iter).collect()
    }

    #[test]
    fn characters_are_the_same_in_any_case() {
        assert_eq!(letters("Aü%"), ["aA", "üÜ", "%"]);
        assert_eq!(letters("ς"), letters("Σ"));
        assert_eq!(letters("k"), ["kK\u{212a}"]);
        assert_eq!(letters("ß"), ["ßẞ"]);
        assert_eq!(letters("李"), ["李"]);
        assert!(SAME.values().all(|same| same.len() <= 5 && !same.iter().any(|letter| "[]^-*?\\".contains(*letter))));
    }

    #[test]
    fn parts_that_cannot_be_looked_for_are_refused() {
        for wrong in ["", "a\u{0}", "a\nb", "\u{7f}", "\u{85}", "\u{fffd}", "\u{ffff}", &"ä".repeat(102)] {
            assert!(NamePart::new(wrong).is_err(), "{wrong:?}");
        }
        assert!(NamePart::new(&"ä".repeat(101)).is_ok());
    }
}
