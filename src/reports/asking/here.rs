//! Reads the dates and filters of a request, in the same way for GraphQL and REST.

use chrono::{DateTime, NaiveDate, Utc};

use crate::reports::{
    Argument, InvalidArgument, Session, Week,
    filter::UserFilter,
    range::{DateRange, RelativeRange},
    time_zone::{Zone, parse_date_in},
};

/// A time zone, the request's time, and the first day of the week.
#[derive(Debug, Clone, Copy)]
pub struct Here {
    /// The zone of every date.
    pub zone: Zone,
    now: DateTime<Utc>,
    week_start: Week,
}

impl Here {
    /// With the zone named `zone`, which `argument` gave, or the default zone.
    ///
    /// # Errors
    /// When there is no such zone.
    pub fn new(
        session: &Session,
        argument: Argument,
        zone: Option<&str>,
        week_start: Option<Week>,
    ) -> Result<Self, InvalidArgument> {
        let zone = session.zone(argument, zone)?;
        Ok(Self { zone, now: session.now(), week_start: week_start.unwrap_or_default() })
    }

    /// A range: either a relative one, or one with dates.
    ///
    /// # Errors
    /// When both are given, a date is not valid, or the dates are not in order.
    pub fn range(
        self,
        relative: Option<RelativeRange>,
        from: Option<&str>,
        to: Option<&str>,
    ) -> Result<DateRange, InvalidArgument> {
        let Some(relative) = relative else { return self.dates((Argument::FROM, from), (Argument::TO, to)) };
        if let Some(other) = [(Argument::FROM, from), (Argument::TO, to)].into_iter().find(|(_, date)| date.is_some()) {
            return Err(
                InvalidArgument::new(Argument::RANGE, "cannot be combined with ").and(other.0, ": use one of them")
            );
        }
        Ok(DateRange::relative(relative, self.zone.date_at(self.now), self.week_start.0))
    }

    /// The range from two optional dates, each with the argument that gave it.
    fn dates(
        self,
        (from_name, from): (Argument, Option<&str>),
        (to_name, to): (Argument, Option<&str>),
    ) -> Result<DateRange, InvalidArgument> {
        DateRange::new(from_name, self.date(from_name, from)?, self.date(to_name, to)?)
    }

    /// A date, if given.
    ///
    /// # Errors
    /// When it is not a date.
    pub fn date(self, argument: Argument, date: Option<&str>) -> Result<Option<NaiveDate>, InvalidArgument> {
        date.map(|text| parse_date_in(self.zone, argument, text)).transpose()
    }

    /// The members that count.
    ///
    /// # Errors
    /// When there are too many ids, a date is not valid, or the dates are not in order.
    pub fn users(
        self,
        ids: Option<Vec<i32>>,
        joined_from: Option<&str>,
        joined_to: Option<&str>,
        is_active: Option<bool>,
    ) -> Result<UserFilter, InvalidArgument> {
        let joined = self.dates((Argument::JOINED_FROM, joined_from), (Argument::JOINED_TO, joined_to))?;
        UserFilter::new(Argument::USER_IDS, ids, joined, is_active)
    }
}
