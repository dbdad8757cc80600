//! Fuzz targets for the REST routes. Each takes bytes, and panics when a rule is broken.

use crate::{
    http::{
        error::Failure,
        rest::{
            REPORTS,
            parameters::Asked,
            table::{Column, DELIMITERS, Format, Holds, written},
        },
    },
    reports::{Session, fuzzing::Source},
};

/// Query strings: every failure is a short message that names a parameter of the route.
pub fn query_strings(bytes: &[u8], session: &Session) {
    let mut source = Source(bytes);
    let report = source.pick(&REPORTS).0;
    let query = String::from_utf8_lossy(source.0);
    let asked = match Asked::read(report.parameters, &query) {
        Ok(asked) => asked,
        Err(failure) => {
            assert_eq!(failure.status(), 400);
            assert!(failure.body().len() < 2_000, "a long message");
            return;
        }
    };
    let check = |failure: Option<Failure>| {
        let Some(failure) = failure else { return };
        assert!(failure.body().len() < 2_500, "a long message");
        let Failure::BadParameter { argument, .. } = failure else { unreachable!("another failure: {failure:?}") };
        let is_known = report.parameters.iter().copied().flatten().any(|parameter| parameter.name == argument);
        assert!(is_known, "{argument} is not a parameter of {}", report.name);
    };
    check(asked.tokens(session).err());
    check(asked.members(session).err());
    check(asked.segment(session).err());
    check(asked.order().err());
    check(asked.whole("first").err());
}

/// Tables as CSV: parsing one gives the values that were written, and no cell is a formula.
pub fn csv(bytes: &[u8]) {
    check_written(bytes, Format::Csv, ",");
    for (_, delimiter) in DELIMITERS {
        check_written(bytes, Format::Excel(delimiter), delimiter);
    }
}

type Row = (String, String, i64);

static COLUMNS: [Column<Row>; 3] = [
    Column::new("a", Holds::Text, "", |row| (&row.0).into()),
    Column::new("b", Holds::Text, "", |row| (&row.1).into()),
    Column::new("c", Holds::Whole, "", |row| row.2.into()),
];

fn check_written(bytes: &[u8], format: Format, delimiter: &str) {
    let mut source = Source(bytes);
    let mut rows = Vec::new();
    while !source.0.is_empty() {
        rows.push((source.text().into_owned(), source.text().into_owned(), i64::from(source.byte()) - 128));
    }
    let table = written(format, &COLUMNS, rows.clone());
    assert_eq!(table.starts_with('\u{feff}'), format != Format::Csv);
    let read = parse(table.trim_start_matches('\u{feff}'), delimiter);
    assert_eq!(read.len(), rows.len() + 1);
    for (row, (a, b, c)) in read.iter().skip(1).zip(rows) {
        assert_eq!(row.len(), 3);
        for (cell, text) in row.iter().zip([a, b]) {
            // Whatever separator a spreadsheet uses, no part of a cell begins a formula.
            for piece in cell.split([',', ';', '|', '\t', '\r', '\n']) {
                let piece = piece.trim_start_matches(|letter: char| letter == '"' || letter.is_whitespace());
                assert!(!piece.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']), "{cell:?}");
            }
            assert!(!cell.starts_with(['\t', '\r', '\n']), "{cell:?}");
            // Nothing but apostrophes is added.
            assert_eq!(cell.replace('\'', ""), text.replace('\'', ""));
        }
        assert_eq!(row[2], c.to_string());
    }
}

/// A parser of RFC 4180.
fn parse(text: &str, delimiter: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell, mut is_quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if is_quoted && letters.peek() == Some(&'"') => cell.extend(letters.next()),
            '"' => is_quoted = !is_quoted,
            letter if !is_quoted && delimiter.contains(letter) => row.push(std::mem::take(&mut cell)),
            '\r' if !is_quoted && letters.peek() == Some(&'\n') => {
                letters.next();
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            letter => cell.push(letter),
        }
    }
    assert!(!is_quoted && cell.is_empty() && row.is_empty(), "the table does not end with its last line");
    rows
}
