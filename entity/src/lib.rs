//! The two tables of the coworking database, as SeaORM entities: rows and relations, nothing else.
//!
//! What the API shows is chosen elsewhere. The column `tokens.token` is a door code and is
//! deliberately not mapped: what has no field cannot leak.

pub mod token;
pub mod user;
