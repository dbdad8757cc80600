//! The file of notes on dates. Errors name each wrong line and never show it: notes are for the space's own people.

use std::{
    fs::File,
    io::{self, Read as _},
};

use chrono::NaiveDate;

use super::Environment;

/// The most bytes of the file.
const FILE_MAX: u64 = 65_536;
/// The most notes.
const NOTES_MAX: usize = 500;
/// Longer texts would not fit beside a chart.
const TEXT_MAX: usize = 80;
/// Of more mistakes, only the number is told.
const TOLD_MAX: usize = 20;

/// What happened on a date, or on several days in a row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Note {
    /// The first local date.
    pub from: NaiveDate,
    /// The last local date; the first one where it is a single day.
    pub to: NaiveDate,
    /// The text, on one line.
    pub text: String,
}

/// The notes of the file that `NOTES_FILE` names, by date; none when it is not set.
pub(super) fn read(environment: &Environment) -> Vec<Note> {
    let Some(path) = environment.get("NOTES_FILE") else { return Vec::new() };
    let bytes = match contents(path.trim()) {
        Ok(bytes) => bytes,
        Err(error) => {
            environment.reject("NOTES_FILE", format!("is \"{path}\", which cannot be read: {error}"));
            return Vec::new();
        }
    };
    if bytes.len() as u64 > FILE_MAX {
        environment.reject("NOTES_FILE", format!("is \"{path}\", which has more than {FILE_MAX} bytes"));
        return Vec::new();
    }
    let (notes, problems) = parse(&bytes);
    for (line, problem) in problems.iter().take(TOLD_MAX) {
        environment.reject("NOTES_FILE", format!("is wrong in line {line}: {problem}"));
    }
    if problems.len() > TOLD_MAX {
        environment.reject("NOTES_FILE", format!("is wrong in {} more lines", problems.len() - TOLD_MAX));
    }
    if notes.len() > NOTES_MAX {
        environment.reject("NOTES_FILE", format!("has {} notes; it may have {NOTES_MAX}", notes.len()));
    }
    notes
}

/// The file, or enough of it to see that it is too large.
fn contents(path: &str) -> io::Result<Vec<u8>> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The notes in the order of their dates, and the wrong lines.
fn parse(bytes: &[u8]) -> (Vec<Note>, Vec<(usize, &'static str)>) {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let (mut notes, mut problems) = (Vec::new(), Vec::new());
    for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        match note(line) {
            Ok(note) => notes.extend(note),
            Err(problem) => problems.push((number, problem)),
        }
    }
    notes.sort();
    (notes, problems)
}

/// The note of a line; none where it is empty or a comment.
fn note(line: &[u8]) -> Result<Option<Note>, &'static str> {
    let line = str::from_utf8(line).map_err(|_| "it is not UTF-8")?.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (dates, text) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let (from, to) = dates.split_once("..").unwrap_or((dates, dates));
    let [from, to] = [from, to].map(date);
    let (Some(from), Some(to)) = (from, to) else {
        return Err("expected a date such as 2026-10-03, or dates such as 2026-12-24..2026-12-26, and a text");
    };
    if from > to {
        return Err("the first date is after the last one");
    }
    let text = text.trim();
    if text.is_empty() {
        return Err("expected a text after the date");
    }
    if text.chars().count() > TEXT_MAX || text.contains(char::is_control) {
        return Err("expected a text of at most 80 characters, without control characters");
    }
    Ok(Some(Note { from, to, text: text.to_owned() }))
}

/// A date as it is written everywhere here, with all of its digits.
fn date(text: &str) -> Option<NaiveDate> {
    text.parse().ok().filter(|date: &NaiveDate| date.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_lines_of_dates_and_texts() {
        let file = "\u{feff}# Closed\r\n2026-12-24..2026-12-26  closed\r\n\r\n2026-10-03\tGerman unity # day\n";
        let (notes, problems) = parse(file.as_bytes());
        let note = |from: &str, to: &str, text: &str| Note {
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
            text: text.to_owned(),
        };
        assert_eq!(
            notes,
            [note("2026-10-03", "2026-10-03", "German unity # day"), note("2026-12-24", "2026-12-26", "closed"),]
        );
        assert_eq!(problems, []);
        assert_eq!(parse(b""), (Vec::new(), Vec::new()));
        let long = format!("2026-10-03 {}", "ä".repeat(TEXT_MAX));
        assert_eq!(parse(long.as_bytes()).0.len(), 1);
    }

    #[test]
    fn every_wrong_line_is_named() {
        let long = format!("2026-10-03 {}", "ä".repeat(TEXT_MAX + 1));
        for line in [
            &b"holiday"[..],
            b"2026-10-3 holiday",
            b"+2026-10-03 holiday",
            b"2026-02-30 holiday",
            b"2026-10-03",
            b"2026-10-03..2026-10-02 holiday",
            b"2026-10-03.. holiday",
            b"2026-10-03...2026-10-04 holiday",
            b"2026-10-03 holi\x07day",
            b"2026-10-03 \xff",
            long.as_bytes(),
        ] {
            let (notes, problems) = parse(&[b"2026-01-01 new year\n", line, b"\n", line].concat());
            let lines: Vec<_> = problems.iter().map(|(line, _)| *line).collect();
            assert_eq!((notes.len(), lines), (1, vec![2, 3]), "{}", String::from_utf8_lossy(line));
        }
    }
}
