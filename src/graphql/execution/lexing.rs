//! A document's tokens and brackets, counted in one pass before anything is parsed or kept.
//! Source: <https://spec.graphql.org/September2025/#sec-Language.Source-Text.Lexical-Tokens>

/// The number of tokens in a text, and the depth of its brackets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::graphql) struct Tokens {
    pub(in crate::graphql) count: usize,
    pub(in crate::graphql) nesting: usize,
}

/// Counts the tokens of `text`, whether or not they make a document.
pub(in crate::graphql) fn count(text: &str) -> Tokens {
    let mut tokens = Tokens::default();
    let mut open = 0_usize;
    let mut rest = text.as_bytes();
    while let Some(&first) = rest.first() {
        let length = match first {
            b' ' | b'\t' | b'\n' | b'\r' | b',' => {
                rest = &rest[1..];
                continue;
            }
            b'#' => {
                rest = &rest[until(rest, |byte| matches!(byte, b'\n' | b'\r'))..];
                continue;
            }
            b'"' => string(rest),
            b'{' | b'[' | b'(' => {
                open += 1;
                tokens.nesting = tokens.nesting.max(open);
                1
            }
            b'}' | b']' | b')' => {
                open = open.saturating_sub(1);
                1
            }
            b'.' => until(rest, |byte| byte != b'.').min(3),
            _ if is_word(first) => until(rest, |byte| !is_word(byte)),
            _ => 1,
        };
        tokens.count += 1;
        rest = &rest[length..];
    }
    tokens
}

/// Part of a name or a number. Bytes outside ASCII count as one word, although they are not valid there.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn until(bytes: &[u8], ends: impl Fn(u8) -> bool) -> usize {
    bytes.iter().position(|byte| ends(*byte)).unwrap_or(bytes.len())
}

/// The length of the string at the beginning of `bytes`; all bytes if the string does not end.
fn string(bytes: &[u8]) -> usize {
    const BLOCK: &[u8] = b"\"\"\"";
    let is_block = bytes.starts_with(BLOCK);
    let mut at = if is_block { BLOCK.len() } else { 1 };
    while at < bytes.len() {
        let rest = &bytes[at..];
        at += match rest[0] {
            b'\\' if is_block && rest[1..].starts_with(BLOCK) => 1 + BLOCK.len(),
            b'\\' if !is_block => 2,
            b'"' if is_block && rest.starts_with(BLOCK) => return at + BLOCK.len(),
            b'"' | b'\n' | b'\r' if !is_block => return at + 1,
            _ => 1,
        };
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_counted_as_the_specification_has_them() {
        for (text, expected, nesting) in [
            ("", 0, 0),
            ("{ a }", 3, 1),
            ("{a,b,,c}", 5, 1),
            ("query Q($n: Int! = 5) { a(first: $n) @include(if: true) { ...F } }", 31, 2),
            ("{ a # } } }\n }", 3, 1),
            ("{ a(b: \"} \\\" {\") }", 8, 2),
            ("{ a(b: \"\"\"one \\\"\"\" { two\"\"\") }", 8, 2),
            ("\"never ends", 1, 0),
            ("\"ends\\", 1, 0),
            ("{[({[(", 6, 6),
            ("}}}{", 4, 1),
            ("... on User", 3, 0),
        ] {
            assert_eq!(count(text), Tokens { count: expected, nesting }, "{text}");
        }
    }
}
