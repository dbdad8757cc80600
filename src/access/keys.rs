//! API keys: random, shown once, and stored as hashes only, one per line: name, scopes, expiry, hash.

use std::{
    fs, io,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use ring::rand::{SecureRandom as _, SystemRandom};
use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tracing::{error, info};

use super::{Denied, Identity, Scopes};
use crate::config::access::AccessConfig;

/// The prefix of every key, by which scanners find leaked keys.
const PREFIX: &str = "cwa_";
/// Random bytes in a key. That many cannot be guessed, so one round of SHA-256 is enough for the stored hash.
const RANDOM_BYTES: usize = 32;
/// The longest name, in bytes.
const NAME_BYTES: usize = 64;
/// The most keys. A key from a request is compared with all of them.
const KEYS_MAX: usize = 1_000;
/// How often the file is read.
const LOOK: Duration = Duration::from_secs(1);

/// Why the API keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The file cannot be read.
    #[error("cannot read {0}, of API_KEYS_FILE: {1}")]
    Io(PathBuf, #[source] io::Error),
    /// A line has a wrong form. The error does not show the line, since it may be a key.
    #[error("API key in line {0} {1}; a line holds a name, scopes, an expiry and a hash, as `key new` prints it")]
    Line(usize, &'static str),
    /// There are too many keys.
    #[error("there are more than {KEYS_MAX} API keys")]
    TooMany,
}

/// The stored part of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kept {
    name: Arc<str>,
    scopes: Scopes,
    expires: Option<DateTime<Utc>>,
    hash: [u8; 32],
}

impl Kept {
    fn is_live(&self, now: DateTime<Utc>) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }
}

/// A new key: the key for its owner, and the line to store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// The key itself. It cannot be derived from the line.
    pub key: String,
    /// The line for `API_KEYS_FILE` or `API_KEYS`.
    pub line: String,
}

impl NewKey {
    /// Makes a key that is valid up to the end of `until`, in UTC, or for ever when that is `None`.
    ///
    /// # Errors
    /// When the name is not one word of at most 64 printable ASCII characters, or the system has no random bytes.
    pub fn invent(name: &str, scopes: Scopes, until: Option<NaiveDate>) -> Result<Self, String> {
        if !is_name(name) {
            return Err(format!("the name must be one word of at most {NAME_BYTES} printable ASCII characters"));
        }
        let mut random = [0; RANDOM_BYTES];
        SystemRandom::new().fill(&mut random).map_err(|_| "the system has no random bytes".to_owned())?;
        let key = format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(random));
        let expires = until.map_or_else(|| "never".to_owned(), |date| date.to_string());
        let line = format!("{name} {scopes} {expires} {:x}", Sha256::digest(&key));
        Ok(Self { key, line })
    }
}

/// All stored keys.
#[derive(Debug)]
pub(super) struct Keys {
    from_variable: Vec<Kept>,
    file: Option<PathBuf>,
    from_file: RwLock<Vec<Kept>>,
}

impl Keys {
    pub(super) fn read(config: &AccessConfig) -> Result<Self, KeysError> {
        let from_variable = config.api_keys.as_ref().map_or(Ok(Vec::new()), |keys| read(keys.expose_secret()))?;
        let file = config.api_keys_file.clone();
        let from_file = file.as_ref().map_or(Ok(Vec::new()), |path| read(&contents(path)?))?;
        Ok(Self { from_variable, file, from_file: RwLock::new(from_file) })
    }

    /// The owner of a key. The key is compared with every stored one, each in constant time.
    pub(super) fn find(&self, key: &str, now: DateTime<Utc>) -> Result<(Identity, Scopes), Denied> {
        let hash: [u8; 32] = Sha256::digest(key).into();
        let mut found = None;
        self.each(|kept| {
            if bool::from(kept.hash.ct_eq(&hash)) {
                found = Some(kept.clone());
            }
        });
        match found {
            Some(kept) if kept.is_live(now) => Ok((Identity::Key { name: kept.name, hash }, kept.scopes)),
            Some(_) => Err(Denied::Invalid("The API key has expired.")),
            None => Err(Denied::Invalid("The API key or token is not known here.")),
        }
    }

    pub(super) fn is_live(&self, hash: &[u8; 32], now: DateTime<Utc>) -> bool {
        let mut is_live = false;
        self.each(|kept| is_live |= kept.hash == *hash && kept.is_live(now));
        is_live
    }

    pub(super) fn list(&self) -> Vec<(Arc<str>, Scopes, Option<DateTime<Utc>>)> {
        let mut list = Vec::new();
        self.each(|kept| list.push((Arc::clone(&kept.name), kept.scopes, kept.expires)));
        list
    }

    fn each(&self, look: impl FnMut(&Kept)) {
        let from_file = self.from_file.read().unwrap_or_else(PoisonError::into_inner);
        self.from_variable.iter().chain(from_file.iter()).for_each(look);
    }

    /// Reads the file again every second: mounted secrets change through symbolic links, without a notification. If the
    /// file is wrong, the keys stay as they were.
    pub(super) async fn keep_current(&self) {
        let Some(path) = &self.file else { return };
        let mut told = None;
        loop {
            tokio::time::sleep(LOOK).await;
            match contents(path).and_then(|text| read(&text)) {
                Ok(keys) => {
                    let mut kept = self.from_file.write().unwrap_or_else(PoisonError::into_inner);
                    if *kept != keys {
                        info!(keys = keys.len(), "API keys read again");
                        *kept = keys;
                    }
                    told = None;
                }
                Err(error) => {
                    let problem = error.to_string();
                    if told.as_ref() != Some(&problem) {
                        error!(error = %problem, "API keys not read again: those from before stay; mend the file");
                        told = Some(problem);
                    }
                }
            }
        }
    }
}

fn contents(path: &PathBuf) -> Result<String, KeysError> {
    fs::read_to_string(path).map_err(|error| KeysError::Io(path.clone(), error))
}

/// Parses lines, which may also be separated by semicolons. A line that begins with `#` is a comment.
fn read(text: &str) -> Result<Vec<Kept>, KeysError> {
    let lines = text.split(['\n', ';']).map(str::trim).enumerate();
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let keys: Vec<_> = lines
        .map(|(number, line)| read_line(line).map_err(|problem| KeysError::Line(number + 1, problem)))
        .collect::<Result<_, _>>()?;
    if keys.len() > KEYS_MAX { Err(KeysError::TooMany) } else { Ok(keys) }
}

fn read_line(line: &str) -> Result<Kept, &'static str> {
    let fields: Vec<_> = line.split_whitespace().collect();
    let [name, scopes, expires, hash] = fields[..] else { return Err("has not four fields") };
    if !is_name(name) {
        return Err("has a name that is too long");
    }
    let scopes = Scopes::parse(scopes).ok_or("has an unknown scope: reports, members and admin are known")?;
    let expires = match expires {
        "never" => None,
        date => Some(end_of(date).ok_or("expires neither on a date (YYYY-MM-DD) nor `never`")?),
    };
    let hash = read_hash(hash).ok_or("has no SHA-256 in hexadecimal digits at its end")?;
    Ok(Kept { name: name.into(), scopes, expires, hash })
}

/// The first instant after a date, in UTC.
fn end_of(date: &str) -> Option<DateTime<Utc>> {
    let next: NaiveDate = date.parse::<NaiveDate>().ok()?.succ_opt()?;
    Some(next.and_time(NaiveTime::MIN).and_utc())
}

fn read_hash(text: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, digits) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(hash)
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAME_BYTES && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b';')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_is_found_by_its_line_until_it_expires() {
        let until = NaiveDate::from_ymd_opt(2026, 12, 31);
        let new = NewKey::invent("board", Scopes::parse("reports,members").unwrap(), until).unwrap();
        assert!(new.key.starts_with("cwa_") && new.key.len() == 47 && !new.line.contains(&new.key[4..]));
        let keys = Keys {
            from_variable: read(&format!("# the board's\n{}\n", new.line)).unwrap(),
            file: None,
            from_file: RwLock::default(),
        };
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let (identity, scopes) = keys.find(&new.key, at("2026-12-31T23:59:59Z")).unwrap();
        assert_eq!((identity.to_string().as_str(), scopes.to_string().as_str()), ("key:board", "reports,members"));
        let expired = keys.find(&new.key, at("2027-01-01T00:00:00Z"));
        assert_eq!(expired, Err(Denied::Invalid("The API key has expired.")));
        assert!(keys.find(&new.key[..46], at("2026-12-31T00:00:00Z")).is_err());
        assert_ne!(NewKey::invent("board", Scopes::default(), None).unwrap().key, new.key);
        assert!(NewKey::invent("two words", Scopes::default(), None).is_err());
    }

    #[test]
    fn wrong_lines_are_told_by_their_number_and_never_by_what_they_hold() {
        let hash = "0".repeat(64);
        for (line, problem) in [
            ("cwa_secret".to_owned(), "has not four fields"),
            (format!("a everything never {hash}"), "has an unknown scope"),
            (format!("a reports someday {hash}"), "expires neither"),
            ("a reports never cwa_secret".to_owned(), "has no SHA-256"),
            (format!("a reports never {}", "g".repeat(64)), "has no SHA-256"),
        ] {
            let error = read(&format!("# first\n\n{line}")).unwrap_err().to_string();
            assert!(error.contains("line 3") && error.contains(problem) && !error.contains("cwa_"), "{error}");
        }
        assert_eq!(read(&format!("a none never {hash}; b admin never {hash}")).unwrap().len(), 2);
    }
}
