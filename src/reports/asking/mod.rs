//! The types of a question: time zones, dates and ranges, the calendar, filters, orders, pages and defaults. Constructors check
//! their input, so every existing value is valid.

pub mod argument;
pub mod calendar;
pub mod defaults;
pub mod filter;
pub mod here;
pub mod name;
pub mod page;
pub mod range;
pub mod time_zone;
