//! Writes rows of a report as JSON, as lines of JSON, or as CSV for programs and for spreadsheets.

use std::{borrow::Cow, fmt::Write as _};

use axum::http::HeaderValue;
use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat, Utc};
use serde::Serialize;

/// The formats, by their names in requests.
pub(in crate::http) const FORMATS: [&str; 4] = ["json", "csv", "ndjson", "excel"];
/// The delimiters of CSV for spreadsheets: their names in requests, and the delimiters.
pub(in crate::http) const DELIMITERS: [(&str, &str); 3] = [(";", ";"), (",", ","), ("tab", "\t")];

/// The format of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Format {
    /// An array of objects, and a newline.
    Json,
    /// One object per line; the last line is empty, so that a part does not look like the whole.
    Ndjson,
    /// CSV by RFC 4180, with a header.
    /// Source: <https://www.rfc-editor.org/rfc/rfc4180>
    Csv,
    /// CSV for spreadsheets that open it by a double click: with this delimiter, and with a byte order mark, without
    /// which Excel does not read the file as UTF-8.
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

    /// Whether numbers have a decimal comma, as in `0,5`. Spreadsheets that expect `;` as the delimiter read `0.5` as a
    /// text or a date.
    fn has_decimal_comma(self) -> bool {
        self == Self::Excel(";")
    }
}

/// A column of a report, with rows of this type.
#[derive(Debug)]
pub(in crate::http) struct Column<R> {
    heading: Heading,
    cell: fn(&R) -> Cell<'_>,
}

/// The description of a column.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) struct Heading {
    pub(in crate::http) name: &'static str,
    pub(in crate::http) holds: Holds,
    /// Its description, in a sentence.
    pub(in crate::http) about: &'static str,
}

/// The type of a column's values; every value can also be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Holds {
    Text,
    Date,
    /// An instant in UTC, in the format of RFC 3339.
    Instant,
    Whole,
    Number,
    Flag,
}

impl<R> Column<R> {
    pub(in crate::http) const fn new(
        name: &'static str,
        holds: Holds,
        about: &'static str,
        cell: fn(&R) -> Cell<'_>,
    ) -> Self {
        Self { heading: Heading { name, holds, about }, cell }
    }
}

/// The descriptions of the columns.
pub(in crate::http) fn headings<R>(columns: &[Column<R>]) -> Vec<Heading> {
    columns.iter().map(|column| column.heading).collect()
}

/// A value in a column.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub(in crate::http) enum Cell<'a> {
    Text(Cow<'a, str>),
    Whole(i64),
    Number(f64),
    Flag(bool),
    /// `null` in JSON, and empty in CSV.
    Absent,
}

impl<'a, T: Into<Cell<'a>>> From<Option<T>> for Cell<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Absent, Into::into)
    }
}

impl<'a> From<&'a String> for Cell<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text.into())
    }
}

impl<'a> From<&'a str> for Cell<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Cell<'_> {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<i64> for Cell<'_> {
    fn from(number: i64) -> Self {
        Self::Whole(number)
    }
}

impl From<i32> for Cell<'_> {
    fn from(number: i32) -> Self {
        Self::Whole(number.into())
    }
}

impl From<u8> for Cell<'_> {
    fn from(number: u8) -> Self {
        Self::Whole(number.into())
    }
}

impl From<f64> for Cell<'_> {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Cell<'_> {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<NaiveDate> for Cell<'_> {
    fn from(date: NaiveDate) -> Self {
        date.to_string().into()
    }
}

impl From<DateTime<Utc>> for Cell<'_> {
    fn from(instant: DateTime<Utc>) -> Self {
        instant.to_rfc3339_opts(SecondsFormat::AutoSi, true).into()
    }
}

impl From<NaiveDateTime> for Cell<'_> {
    fn from(instant: NaiveDateTime) -> Self {
        instant.and_utc().into()
    }
}

/// Writes a whole table.
pub(in crate::http) fn written<R>(
    format: Format,
    columns: &'static [Column<R>],
    rows: impl IntoIterator<Item = R>,
) -> String {
    let mut writer = Writer::new(format, columns);
    for row in rows {
        writer.row(&row);
    }
    writer.finish()
}

/// A table that is being written.
#[derive(Debug)]
pub(in crate::http) struct Writer<R: 'static> {
    format: Format,
    columns: &'static [Column<R>],
    written: String,
    has_rows: bool,
}

impl<R> Writer<R> {
    /// Begins a table.
    pub(in crate::http) fn new(format: Format, columns: &'static [Column<R>]) -> Self {
        let mut written = String::new();
        match format {
            Format::Json => written.push('['),
            Format::Ndjson => {}
            Format::Csv | Format::Excel(_) => {
                let mark = if format == Format::Csv { "" } else { "\u{feff}" };
                let names: Vec<_> = columns.iter().map(|column| column.heading.name).collect();
                written = format!("{mark}{}\r\n", names.join(format.delimiter()));
            }
        }
        Self { format, columns, written, has_rows: false }
    }

    /// Adds a row.
    pub(in crate::http) fn row(&mut self, row: &R) {
        match self.format {
            Format::Csv | Format::Excel(_) => {
                for (index, column) in self.columns.iter().enumerate() {
                    if index > 0 {
                        self.written.push_str(self.format.delimiter());
                    }
                    field(&mut self.written, &(column.cell)(row), self.format.has_decimal_comma());
                }
                self.written.push_str("\r\n");
            }
            Format::Json | Format::Ndjson => {
                if self.format == Format::Json && self.has_rows {
                    self.written.push(',');
                }
                for (index, column) in self.columns.iter().enumerate() {
                    let before = if index == 0 { '{' } else { ',' };
                    let cell = json(&(column.cell)(row));
                    let _ = write!(self.written, "{before}\"{}\":{cell}", column.heading.name);
                }
                self.written.push('}');
                if self.format == Format::Ndjson {
                    self.written.push('\n');
                }
            }
        }
        self.has_rows = true;
    }

    /// What was written so far, if it is at least this number of bytes.
    pub(in crate::http) fn full(&mut self, bytes: usize) -> Option<String> {
        (self.written.len() >= bytes).then(|| std::mem::replace(&mut self.written, String::with_capacity(bytes + 512)))
    }

    /// Ends the table, and returns what was written since the last [`Self::full`].
    pub(in crate::http) fn finish(mut self) -> String {
        match self.format {
            Format::Json => self.written.push_str("]\n"),
            Format::Ndjson => self.written.push('\n'),
            Format::Csv | Format::Excel(_) => {}
        }
        self.written
    }
}

/// Characters that begin a formula in some spreadsheet. The full-width forms do so in some languages.
const FORMULA: [char; 8] = ['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];
/// Characters that may separate cells in some spreadsheet, whatever the delimiter of the file. Much of Europe uses `;`.
const SEPARATORS: [char; 6] = [',', ';', '|', '\t', '\r', '\n'];

/// The text, with an apostrophe before everything that a spreadsheet could take for a formula.
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

/// A cell as JSON.
fn json(cell: &Cell<'_>) -> String {
    serde_json::to_string(cell).unwrap_or_default()
}

/// Writes a CSV field. Text that a spreadsheet could take for a formula, at its beginning or after a possible
/// separator, gets an apostrophe before it; numbers do not.
/// Source: <https://owasp.org/www-community/attacks/CSV_Injection>
fn field(line: &mut String, cell: &Cell<'_>, has_decimal_comma: bool) {
    let Cell::Text(text) = cell else {
        match cell {
            Cell::Absent => {}
            Cell::Number(_) if has_decimal_comma => line.push_str(&json(cell).replace('.', ",")),
            _ => line.push_str(&json(cell)),
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

    type Row = (&'static str, i64, Option<f64>);

    static COLUMNS: [Column<Row>; 3] = [
        Column::new("name", Holds::Text, "", |row| row.0.into()),
        Column::new("visits", Holds::Whole, "", |row| row.1.into()),
        Column::new("rate", Holds::Number, "", |row| row.2.into()),
    ];

    fn written(format: Format, name: &'static str) -> String {
        super::written(format, &COLUMNS, [(name, -3, None), ("B", 4, Some(0.5))])
    }

    #[test]
    fn the_same_rows_in_three_formats() {
        assert_eq!(written(Format::Csv, "A"), "name,visits,rate\r\nA,-3,\r\nB,4,0.5\r\n");
        let (first, second) = (r#"{"name":"A","visits":-3,"rate":null}"#, r#"{"name":"B","visits":4,"rate":0.5}"#);
        assert_eq!(written(Format::Ndjson, "A"), format!("{first}\n{second}\n\n"));
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
