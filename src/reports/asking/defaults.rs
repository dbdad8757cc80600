//! What a question means that does not name its time zone or its time basis.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::{
    config::reports::ReportsConfig,
    reports::{Argument, InvalidArgument, Session, filter::TimeBasis, time_zone::Zone},
};

/// The zone and the basis of questions that name none; `None` where the gateway's configuration names none either, so that
/// it is UTC, and the time of issue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Defaults {
    /// The zone.
    pub zone: Option<Zone>,
    /// The basis.
    pub basis: Option<TimeBasis>,
}

impl Defaults {
    /// The defaults of a configuration.
    #[must_use]
    pub fn of(config: &ReportsConfig) -> Self {
        let basis = |by_use| if by_use { TimeBasis::UsedAt } else { TimeBasis::IssuedAt };
        Self { zone: config.time_zone.map(Zone::of), basis: config.by_use.map(basis) }
    }
}

/// Which defaults the questions of a session used.
#[derive(Debug, Default)]
pub(in crate::reports) struct Used {
    zone: AtomicBool,
    basis: AtomicBool,
}

impl Session {
    /// The zone with this name, which `argument` gave, or the default zone.
    ///
    /// # Errors
    /// When there is no such zone.
    pub fn zone(&self, argument: Argument, name: Option<&str>) -> Result<Zone, InvalidArgument> {
        if let Some(name) = name {
            return Zone::parse(argument, name);
        }
        self.used.zone.store(true, Ordering::Relaxed);
        Ok(self.defaults.zone.unwrap_or_default())
    }

    /// This basis, or the default one.
    #[must_use]
    pub fn basis(&self, basis: Option<TimeBasis>) -> TimeBasis {
        if basis.is_none() {
            self.used.basis.store(true, Ordering::Relaxed);
        }
        basis.or(self.defaults.basis).unwrap_or_default()
    }

    /// The configured defaults that a question of this session used.
    #[must_use]
    pub fn used_defaults(&self) -> Defaults {
        Defaults {
            zone: self.defaults.zone.filter(|_| self.used.zone.load(Ordering::Relaxed)),
            basis: self.defaults.basis.filter(|_| self.used.basis.load(Ordering::Relaxed)),
        }
    }
}
