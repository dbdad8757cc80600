//! What may be asked: zones, dates and ranges, the calendar, filters, orders and pages. What exists is valid.

pub mod argument;
pub mod calendar;
pub mod filter;
pub mod here;
pub mod page;
pub mod range;
pub mod time_zone;
