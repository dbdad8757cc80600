//! The space itself, as its dashboard shows it.

use super::{
    Environment,
    notes::{self, Note},
};

/// Longer names would not fit on the page.
const NAME_MAX: usize = 80;

/// The space itself, as its dashboard shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpaceConfig {
    /// `SPACE_NAME`: what the space is called: the dashboard's title, on its pictures and on paper too. At most 80
    /// characters, on one line. None by default.
    pub name: Option<String>,
    /// `CAPACITY`: how many desks the space has, at least 1: the dashboard says which part of them the arrivals of the
    /// busiest hour would take. None by default.
    pub capacity: Option<u32>,
    /// `NOTES_FILE`: a file of notes on dates, such as `2026-10-03 holiday`, read at start: a line a note, of a date or
    /// of dates such as `2026-12-24..2026-12-26`, a space and a text of at most 80 characters; at most 500 of them.
    /// Empty lines and those that begin with `#` mean nothing. By date; none by default.
    pub notes: Vec<Note>,
}

impl SpaceConfig {
    pub(super) fn read(environment: &Environment) -> Self {
        let expected = format!("a name of at most {NAME_MAX} characters, on one line");
        let is_name = |name: &str| name.chars().count() <= NAME_MAX && !name.contains(char::is_control);
        Self {
            name: environment.read("SPACE_NAME", None, &expected, |name| {
                is_name(name).then(|| Some(name.to_owned()).filter(|name| !name.is_empty()))
            }),
            capacity: environment.read("CAPACITY", None, "a whole number of desks from 1 to 1000000", |value| {
                value.parse().ok().filter(|number| (1..=1_000_000).contains(number)).map(Some)
            }),
            notes: notes::read(environment),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &'static str, value: &'static str) -> (SpaceConfig, bool) {
        let environment = Environment::new(move |asked| (asked == name).then(|| value.to_owned()));
        let space = SpaceConfig::read(&environment);
        (space, environment.problems.borrow().is_empty())
    }

    #[test]
    fn names_and_desks_are_taken_as_they_make_sense() {
        assert_eq!(read("SPACE_NAME", " Haus <Süd> & Co ").0.name.as_deref(), Some("Haus <Süd> & Co"));
        assert_eq!(read("SPACE_NAME", " "), (SpaceConfig { name: None, capacity: None, notes: Vec::new() }, true));
        assert!(!read("SPACE_NAME", "two\nlines").1);
        assert_eq!(read("CAPACITY", "40"), (SpaceConfig { name: None, capacity: Some(40), notes: Vec::new() }, true));
        for wrong in ["0", "-1", "many", "1.5", "1000001"] {
            assert!(!read("CAPACITY", wrong).1, "{wrong}");
        }
    }
}
