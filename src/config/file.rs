//! The file `.env` of the folder in which the program is started. A value is taken as it is written, so that a password
//! may contain anything; quotes are for values that begin or end with a space or a quote. Errors name the line, and
//! never show it, since it may contain a password.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

/// The name of the file.
const NAME: &str = ".env";

/// Variables from a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File {
    /// Where it is.
    pub(super) path: PathBuf,
    pub(super) variables: BTreeMap<String, String>,
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It exists, and cannot be read.
    #[error("the file {0} cannot be read: {1}; let this user read it, or start in another folder")]
    Unreadable(PathBuf, #[source] io::Error),
    /// A line is wrong.
    #[error("the file {0} is wrong in line {1}: {2}")]
    Wrong(PathBuf, usize, Problem),
}

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("expected NAME=value, or a comment that begins with #")]
    NoAssignment,
    #[error("expected a name of letters, digits and _ before the =")]
    NoName,
    #[error("a value that begins with a quote has to end with the same quote; only a comment may follow")]
    Quote,
    #[error("the same variable is set in line {0}")]
    Again(usize),
    #[error("it is not UTF-8")]
    NoText,
}

impl File {
    /// Reads the file of `folder`; `None` when there is none.
    pub(super) fn of(folder: &Path) -> Result<Option<Self>, FileError> {
        let path = folder.join(NAME);
        match fs::read(&path) {
            Ok(bytes) => match parse(&bytes) {
                Ok(variables) => Ok(Some(Self { path, variables })),
                Err((line, problem)) => Err(FileError::Wrong(path, line, problem)),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(FileError::Unreadable(path, error)),
        }
    }
}

/// Returns the number of the first wrong line otherwise.
fn parse(bytes: &[u8]) -> Result<BTreeMap<String, String>, (usize, Problem)> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut seen: BTreeMap<String, (usize, String)> = BTreeMap::new();
    for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        let wrong = |problem| (number, problem);
        let line = str::from_utf8(line).map_err(|_| wrong(Problem::NoText))?.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = line.split_once('=').ok_or(wrong(Problem::NoAssignment))?;
        let name = name.strip_prefix("export ").unwrap_or(name).trim();
        if !is_name(name) {
            return Err(wrong(Problem::NoName));
        }
        let value = read(value.trim_start()).ok_or(wrong(Problem::Quote))?;
        if let Some((before, _)) = seen.insert(name.to_owned(), (number, value)) {
            return Err(wrong(Problem::Again(before)));
        }
    }
    Ok(seen.into_iter().map(|(name, (_, value))| (name, value)).collect())
}

fn is_name(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && name.starts_with(|first: char| first == '_' || first.is_ascii_alphabetic())
}

/// A value without its quotes, if it has some. Between double quotes, `\"` and `\\` stand for a quote and a backslash.
fn read(value: &str) -> Option<String> {
    let Some(quote) = value.chars().next().filter(|first| matches!(first, '"' | '\'')) else {
        return Some(value.to_owned());
    };
    let mut text = String::new();
    let mut rest = value[1..].chars();
    while let Some(next) = rest.next() {
        match next {
            _ if next == quote => {
                let rest = rest.as_str().trim_start();
                return (rest.is_empty() || rest.starts_with('#')).then_some(text);
            }
            '\\' if quote == '"' && rest.as_str().starts_with(['"', '\\']) => text.extend(rest.next()),
            _ => text.push(next),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value_of(line: &str) -> String {
        parse(format!("# first\r\n{line}\r\n\r\nOTHER=1").as_bytes()).unwrap()["A"].clone()
    }

    #[test]
    fn values_are_what_is_written() {
        for (line, value) in [
            ("A=pa$sword1", "pa$sword1"),
            ("A=pa\\word", "pa\\word"),
            ("A=${HOME}$(date)`id`", "${HOME}$(date)`id`"),
            ("A=two words # and no comment", "two words # and no comment"),
            ("A=a\"b'c", "a\"b'c"),
            ("  export A = b=c==  ", "b=c=="),
            ("A=", ""),
            ("A=''", ""),
            ("A=' spaces '", " spaces "),
            ("A='it\\'", "it\\"),
            ("A=\"say \\\"yes\\\" \\\\ \\n $x\"  # a comment", "say \"yes\" \\ \\n $x"),
            ("A=päß", "päß"),
        ] {
            assert_eq!(value_of(line), value, "{line}");
        }
        assert_eq!(parse(b"\xef\xbb\xbfA=1").unwrap()["A"], "1");
        assert!(parse(b"").unwrap().is_empty());
    }

    #[test]
    fn a_wrong_line_is_named() {
        for (line, problem) in [
            (&b"just words"[..], Problem::NoAssignment),
            (b"=value", Problem::NoName),
            (b"1A=value", Problem::NoName),
            (b"A B=value", Problem::NoName),
            (b"A='open", Problem::Quote),
            (b"A=\"open\\\"", Problem::Quote),
            (b"A='a'b", Problem::Quote),
            (b"X=again", Problem::Again(1)),
            (b"A=\xff", Problem::NoText),
        ] {
            let text = [b"X=1\n\n", line].concat();
            assert_eq!(parse(&text), Err((3, problem)), "{}", String::from_utf8_lossy(line));
        }
    }
}
