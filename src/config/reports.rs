//! What questions mean that leave it out.

use chrono_tz::Tz;

use super::Environment;

/// The defaults of the space. The legacy routes do not use them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportsConfig {
    /// `DEFAULT_TIME_ZONE`: the IANA name of the zone of the space, such as `Europe/Berlin`. UTC when it is not set.
    pub time_zone: Option<Tz>,
    /// `DEFAULT_BASIS`: whether visits count at the time of use (`USED_AT`) or of issue (`ISSUED_AT`); of issue when it is
    /// not set.
    pub by_use: Option<bool>,
}

impl ReportsConfig {
    pub(super) fn read(environment: &Environment) -> Self {
        Self {
            time_zone: environment.read(
                "DEFAULT_TIME_ZONE",
                None,
                "the IANA name of a time zone, such as \"Europe/Berlin\"",
                |value| value.parse().ok().map(Some),
            ),
            by_use: environment.read("DEFAULT_BASIS", None, "ISSUED_AT or USED_AT", |value| match value {
                "ISSUED_AT" => Some(Some(false)),
                "USED_AT" => Some(Some(true)),
                _ => None,
            }),
        }
    }
}
