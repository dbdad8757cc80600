//! `notes`: the space's notes on dates.

use std::sync::Arc;

use async_graphql::{Context, InputObject, Object, Result, SimpleObject};

use crate::{
    config::notes,
    graphql::{
        cost,
        error::client_error,
        guard,
        types::{
            inputs::{self, RelativeRange, text},
            rows::{Rows, row},
            scalars::{Date, TimeZone},
        },
    },
    reports::{Argument, Error, Session},
};

/// The number of notes that the cost assumes.
const USUAL_NOTES: usize = 50;

/// The root of `notes`.
#[derive(Debug, Default)]
pub(in crate::graphql) struct NotesQuery;

#[Object]
impl NotesQuery {
    /// The notes on dates that the people of the space wrote down for their charts, such as holidays, by date. There are
    /// none unless configured otherwise, and at most 500.
    #[graphql(complexity = "cost::of(USUAL_NOTES, child_complexity)")]
    async fn notes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The dates whose notes to list. All notes are listed when the filter is left out.")]
        filter: Option<NotesFilterInput>,
        #[graphql(desc = "The time zone in which `range` knows what day it is. It is the default zone when it is \
                                  left out: UTC unless configured otherwise.")]
        time_zone: Option<TimeZone>,
    ) -> Option<Result<Rows<Note>>> {
        let notes = || {
            guard::reports(ctx)?;
            let here = inputs::here(ctx, Argument::TIME_ZONE, time_zone.as_ref(), None)?;
            let NotesFilterInput { from, to, range } = filter.unwrap_or_default();
            let range = here.range(range.map(Into::into), text(from.as_ref()), text(to.as_ref()))?;
            Ok::<_, Error>(ctx.data_unchecked::<Arc<Session>>().notes(range).map(Into::into).collect())
        };
        Some(notes().map(Rows).map_err(client_error))
    }
}

/// The dates whose notes `notes` lists.
#[derive(Debug, Default, InputObject)]
struct NotesFilterInput {
    /// Only notes on this local date or later.
    from: Option<Date>,
    /// Only notes on this local date or earlier.
    to: Option<Date>,
    /// Only notes on a range of dates that moves with the days, such as `THIS_YEAR`. It cannot be combined with `from`
    /// or `to`.
    range: Option<RelativeRange>,
}

/// A note on a date, or on several days in a row.
#[derive(Debug, SimpleObject)]
struct Note {
    /// The first local date.
    from: Date,
    /// The last local date; the same as `from` where the note is on a single day.
    to: Date,
    /// The text, on one line, of at most 80 characters.
    text: String,
}

row!(Note: from, to, text);

impl From<&notes::Note> for Note {
    fn from(note: &notes::Note) -> Self {
        Self { from: note.from.into(), to: note.to.into(), text: note.text.clone() }
    }
}
