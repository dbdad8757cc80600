//! The two tables of the coworking database, as SeaORM entities.
//!
//! The column `tokens.token`, the secret of a door code, is deliberately not mapped, so that it cannot leak.

pub mod token;
pub mod user;
