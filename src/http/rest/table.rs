//! Rows of a report as JSON, as a line of JSON each, or as CSV for programs and for spreadsheets.

use std::fmt::Write as _;

use axum::http::HeaderValue;
use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat, Utc};
use serde_json::Value;

/// Every format, by the name that a request gives it.
pub(in crate::http) const FORMATS: [&str; 4] = ["json", "csv", "ndjson", "excel"];
/// What may separate the cells of a spreadsheet's file, by the name that a request gives it.
pub(in crate::http) const DELIMITERS: [(&str, &str); 3] = [(";", ";"), (",", ","), ("tab", "\t")];

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Format {
    /// An array of objects, and a newline.
    Json,
    /// An object a line.
    Ndjson,
    /// By RFC 4180, with a header.
    /// Source: <https://www.rfc-editor.org/rfc/rfc4180>
    Csv,
    /// The same for spreadsheets that are opened by a double click: cells separated by this, and a byte order mark,
    /// without which Excel takes the file for another encoding than UTF-8.
    Excel(&'static str),
}

impl Format {
    pub(in crate::http) fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Excel(_) => "text/csv; charset=utf-8",
        }
    }

    pub(in crate::http) fn header(self) -> HeaderValue {
        HeaderValue::from_static(self.media_type())
    }

    pub(in crate::http) fn extension(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Csv | Self::Excel(_) => "csv",
        }
    }

    fn delimiter(self) -> &'static str {
        if let Self::Excel(delimiter) = self { delimiter } else { "," }
    }

    /// Whether numbers are written as `0,5`: so they are read where `;` separates cells, and `0.5` is a text or a date.
    fn has_decimal_comma(self) -> bool {
        self == Self::Excel(";")
    }
}

/// A column of a report.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) struct Column {
    pub(in crate::http) name: &'static str,
    pub(in crate::http) holds: Holds,
}

/// What a column holds, besides nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Holds {
    Text,
    Date,
    /// An instant in UTC by RFC 3339.
    Instant,
    Whole,
    Number,
    Flag,
}

pub(in crate::http) const fn column(name: &'static str, holds: Holds) -> Column {
    Column { name, holds }
}

/// A value in a column; absent ones are `null`, and empty in CSV.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::http) struct Cell(Value);

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self(Value::Null), Into::into)
    }
}

macro_rules! cells {
    ($($value:ty),+) => { $(impl From<$value> for Cell { fn from(value: $value) -> Self { Self(value.into()) } })+ };
}
cells!(String, &str, i64, i32, u8, f64, bool);

impl From<NaiveDate> for Cell {
    fn from(date: NaiveDate) -> Self {
        date.to_string().into()
    }
}

impl From<DateTime<Utc>> for Cell {
    fn from(instant: DateTime<Utc>) -> Self {
        instant.to_rfc3339_opts(SecondsFormat::AutoSi, true).into()
    }
}

impl From<NaiveDateTime> for Cell {
    fn from(instant: NaiveDateTime) -> Self {
        instant.and_utc().into()
    }
}

/// Rows on their way out.
#[derive(Debug)]
pub(in crate::http) struct Writer {
    format: Format,
    columns: &'static [Column],
    written: String,
    has_rows: bool,
}

impl Writer {
    /// Begins a table.
    pub(in crate::http) fn new(format: Format, columns: &'static [Column]) -> Self {
        let mut written = String::new();
        match format {
            Format::Json => written.push('['),
            Format::Ndjson => {}
            Format::Csv | Format::Excel(_) => {
                let mark = if format == Format::Csv { "" } else { "\u{feff}" };
                let names: Vec<_> = columns.iter().map(|column| column.name).collect();
                written = format!("{mark}{}\r\n", names.join(format.delimiter()));
            }
        }
        Self { format, columns, written, has_rows: false }
    }

    /// Adds a row: a cell for each column.
    pub(in crate::http) fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        debug_assert_eq!(N, self.columns.len(), "a cell for each column");
        match self.format {
            Format::Csv | Format::Excel(_) => {
                for (index, Cell(value)) in cells.into_iter().enumerate() {
                    if index > 0 {
                        self.written.push_str(self.format.delimiter());
                    }
                    field(&mut self.written, &value, self.format.has_decimal_comma());
                }
                self.written.push_str("\r\n");
            }
            Format::Json | Format::Ndjson => {
                if self.format == Format::Json && self.has_rows {
                    self.written.push(',');
                }
                for (index, (column, Cell(value))) in self.columns.iter().zip(cells).enumerate() {
                    let before = if index == 0 { '{' } else { ',' };
                    let _ = write!(self.written, "{before}\"{}\":{value}", column.name);
                }
                self.written.push('}');
                if self.format == Format::Ndjson {
                    self.written.push('\n');
                }
            }
        }
        self.has_rows = true;
    }

    /// What is written so far, once it is so much.
    pub(in crate::http) fn full(&mut self, bytes: usize) -> Option<String> {
        (self.written.len() >= bytes).then(|| std::mem::replace(&mut self.written, String::with_capacity(bytes + 512)))
    }

    /// Ends the table; the rest of what is written.
    pub(in crate::http) fn finish(mut self) -> String {
        if self.format == Format::Json {
            self.written.push_str("]\n");
        }
        self.written
    }
}

/// What begins a formula in some spreadsheet: the full-width forms do in some languages.
const FORMULA: [char; 8] = ['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];
/// Where some spreadsheet begins a cell, whichever separator the file is written with: in half of Europe it is `;`.
const SEPARATORS: [char; 6] = [',', ';', '|', '\t', '\r', '\n'];

/// Text with an apostrophe before whatever a spreadsheet would take for a formula.
fn guarded(text: &str) -> String {
    let mut guarded = String::with_capacity(text.len() + 1);
    if text.starts_with(['\t', '\r', '\n']) {
        guarded.push('\'');
    }
    let mut begins = true;
    for letter in text.chars() {
        if begins && FORMULA.contains(&letter) {
            guarded.push('\'');
        }
        begins = SEPARATORS.contains(&letter) || (begins && (letter == '"' || letter.is_whitespace()));
        guarded.push(letter);
    }
    guarded
}

/// A field of CSV. Text that a spreadsheet would take for a formula, at its beginning or behind what may separate cells,
/// has an apostrophe before it; numbers are never touched. Source: <https://owasp.org/www-community/attacks/CSV_Injection>
fn field(line: &mut String, value: &Value, has_decimal_comma: bool) {
    let Value::String(text) = value else {
        if value.is_f64() && has_decimal_comma {
            line.push_str(&value.to_string().replace('.', ","));
        } else if !value.is_null() {
            let _ = write!(line, "{value}");
        }
        return;
    };
    let text = guarded(text);
    let needs_quotes = text.contains(SEPARATORS) || text.contains('"') || text.starts_with(' ') || text.ends_with(' ');
    if needs_quotes {
        let _ = write!(line, "\"{}\"", text.replace('"', "\"\""));
    } else {
        line.push_str(&text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 3] =
        [column("name", Holds::Text), column("visits", Holds::Whole), column("rate", Holds::Number)];

    fn written(format: Format, name: &str) -> String {
        let mut writer = Writer::new(format, &COLUMNS);
        writer.row([name.into(), (-3_i64).into(), Cell::from(None::<f64>)]);
        writer.row(["B".into(), 4_i64.into(), 0.5.into()]);
        writer.finish()
    }

    #[test]
    fn the_same_rows_in_three_formats() {
        assert_eq!(written(Format::Csv, "A"), "name,visits,rate\r\nA,-3,\r\nB,4,0.5\r\n");
        let (first, second) = (r#"{"name":"A","visits":-3,"rate":null}"#, r#"{"name":"B","visits":4,"rate":0.5}"#);
        assert_eq!(written(Format::Ndjson, "A"), format!("{first}\n{second}\n"));
        assert_eq!(written(Format::Json, "A"), format!("[{first},{second}]\n"));
    }

    #[test]
    fn a_spreadsheet_opens_it_by_a_double_click() {
        for (delimiter, written_so) in [
            (";", "\u{feff}name;visits;rate\r\nZoë;-3;\r\nB;4;0,5\r\n"),
            (",", "\u{feff}name,visits,rate\r\nZoë,-3,\r\nB,4,0.5\r\n"),
            ("\t", "\u{feff}name\tvisits\trate\r\nZoë\t-3\t\r\nB\t4\t0.5\r\n"),
        ] {
            assert_eq!(written(Format::Excel(delimiter), "Zoë"), written_so);
            for (text, field) in [
                ("a;b", "\"a;b\""),
                ("a,b", "\"a,b\""),
                ("a\tb", "\"a\tb\""),
                ("\"Jo\"", "\"\"\"Jo\"\"\""),
                ("1.5", "1.5"),
                ("=1+1", "'=1+1"),
                ("a;=1+1", "\"a;'=1+1\""),
            ] {
                let table = written(Format::Excel(delimiter), text);
                assert_eq!(table.lines().nth(1), Some(&*format!("{field}{delimiter}-3{delimiter}")), "{text}");
            }
        }
    }

    #[test]
    fn text_stays_text_in_a_spreadsheet() {
        for (text, field) in [
            ("=1+1", "'=1+1"),
            ("+49", "'+49"),
            ("-2", "'-2"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "\"'\t'=1\""),
            ("\rA", "\"'\rA\""),
            ("a;=1+1;b", "\"a;'=1+1;b\""),
            ("a; \"=1+1", "\"a; \"\"'=1+1\""),
            ("two\n-2", "\"two\n'-2\""),
            ("\u{ff1d}1+1", "'\u{ff1d}1+1"),
            ("\u{ff0b}\u{ff20}", "'\u{ff0b}\u{ff20}"),
            ("Anna-Lena +49", "Anna-Lena +49"),
            ("=a,\"b\"", "\"'=a,\"\"b\"\"\""),
            ("O'Neill, Jo", "\"O'Neill, Jo\""),
            ("two\r\nlines", "\"two\r\nlines\""),
            (" spaced", "\" spaced\""),
            ("Ümit", "Ümit"),
        ] {
            assert_eq!(
                written(Format::Csv, text).strip_prefix("name,visits,rate\r\n"),
                Some(&*format!("{field},-3,\r\nB,4,0.5\r\n"))
            );
        }
    }
}
