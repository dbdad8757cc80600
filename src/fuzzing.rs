//! Fuzz targets, for `fuzz/` and for the test below. Each takes bytes, and panics when a rule is broken. They are
//! compiled only for tests and for `cargo fuzz`.

use std::sync::{Arc, LazyLock};

use tokio::runtime::Runtime;

use crate::{
    clock::Clock,
    config::Config,
    database::{Access, Database},
    http, reports,
    reports::{Reports, Session},
};

/// A fuzz target.
pub type Door = fn(&[u8]);

/// All fuzz targets, by name.
pub const DOORS: [(&str, Door); 5] = [
    ("filters", |bytes| reports::fuzzing::filters(bytes, &SESSION.1)),
    ("cursors", reports::fuzzing::cursors),
    ("time_zones", reports::fuzzing::time_zones),
    ("query_strings", |bytes| http::fuzzing::query_strings(bytes, &SESSION.1)),
    ("csv", http::fuzzing::csv),
];

/// A session that no report uses; the targets need its time.
static SESSION: LazyLock<(Runtime, Arc<Session>)> = LazyLock::new(|| {
    let runtime = Runtime::new().unwrap_or_else(|error| panic!("{error}"));
    let session = runtime.block_on(async {
        let path = std::env::temp_dir().join(format!("fuzzing-{}.db", std::process::id()));
        let config = Config::on_file(&path);
        let database = Database::connect(&config.database, Access::Maintain).await;
        let database = database.unwrap_or_else(|error| panic!("{error}"));
        let now = "2026-11-23T12:00:00Z".parse().unwrap_or_default();
        let session = Reports::new(database, Clock::of(move || now)).session();
        let _ = std::fs::remove_file(path);
        session
    });
    (runtime, session)
});

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    /// The number of mutations that the test tries per target.
    const MUTATIONS: usize = 20_000;

    #[test]
    fn the_corpus_and_its_neighbours_break_no_promise() {
        for (name, door) in DOORS {
            let corpus = corpus(name);
            assert!(corpus.len() >= 5, "fuzz/corpus/{name} holds {} files", corpus.len());
            for bytes in &corpus {
                door(bytes);
            }
            let mut random = fastrand::Rng::with_seed(7);
            for _ in 0..MUTATIONS {
                door(&mutated(&corpus, &mut random));
            }
        }
    }

    fn corpus(name: &str) -> Vec<Vec<u8>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
        let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        files.iter().map(|file| fs::read(file).unwrap()).collect()
    }

    /// A file of the corpus with a few random changes: bytes inserted, replaced or removed, the end cut off, or bytes
    /// of another file inserted.
    fn mutated(corpus: &[Vec<u8>], random: &mut fastrand::Rng) -> Vec<u8> {
        let mut bytes = random.choice(corpus).unwrap().clone();
        for _ in 0..random.usize(1..6) {
            let at = random.usize(..=bytes.len());
            match random.u8(..5) {
                0 => bytes.insert(at, random.u8(..)),
                1 => bytes.truncate(at),
                2 if at < bytes.len() => bytes[at] = random.u8(..),
                3 if at < bytes.len() => drop(bytes.remove(at)),
                _ => {
                    let other = random.choice(corpus).unwrap();
                    let from = random.usize(..=other.len());
                    bytes.splice(at..at, other[from..].iter().copied().take(64));
                }
            }
        }
        bytes
    }
}
