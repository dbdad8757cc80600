//! The fuzzers' corpus, and as many mutations of it as take some seconds; `make fuzz` goes on for as long as one likes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path};

use coworking_analytics::fuzzing::DOORS;

/// Mutations of each door's corpus.
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

/// One of the corpus, with a few bytes changed, taken away, doubled, or from another one.
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
