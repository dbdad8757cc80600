//! The daily usage in the format of the legacy service, for its report and its log.

use serde::{Serialize, Serializer, ser::SerializeMap as _};

use super::series::SeriesRow;

/// Visits by date in the legacy format: a map in order of the dates, without days that have no visit.
#[derive(Debug)]
pub struct LegacyDailyUsage<'a>(pub &'a [SeriesRow]);

impl Serialize for LegacyDailyUsage<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for day in self.0 {
            if let Some(visits) = day.figures.visits.filter(|visits| *visits > 0) {
                map.serialize_entry(&day.date(), &visits)?;
            }
        }
        map.end()
    }
}
