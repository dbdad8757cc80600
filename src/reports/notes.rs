//! The space's notes on dates: of its configuration, not of the database.

use crate::{
    config::notes::Note,
    reports::{Session, range::DateRange},
};

impl Session {
    /// The notes on dates of the range, by date. A note on several days is one of each of them.
    pub fn notes(&self, range: DateRange) -> impl Iterator<Item = &Note> {
        let begins_later = move |note: &Note| range.to().is_some_and(|to| note.from > to);
        let ended_before = move |note: &Note| range.from().is_some_and(|from| note.to < from);
        self.notes.iter().filter(move |note| !begins_later(note) && !ended_before(note))
    }
}
