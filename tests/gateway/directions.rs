//! Which part of the crate may import which: downwards alone, so there are no circles.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// From the ground up. A part imports from lower floors; parts of one floor know nothing of each other.
const FLOORS: [&[&str]; 9] = [
    &["clock", "metrics", "scopes", "shutdown"],
    &["config"],
    &["database", "telemetry"],
    &["access", "seed"],
    &["reports"],
    &["graphql", "jobs"],
    &["http", "probe"],
    &["app", "fuzzing"],
    &["cli"],
];

#[test]
fn imports_go_downwards() {
    let mut seen = BTreeSet::new();
    let mut files = Vec::new();
    source_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    for file in files {
        let path = file.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
        let part = path.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned();
        if ["lib", "main"].contains(&part.as_str()) {
            continue;
        }
        let own = floor(&part);
        let text = fs::read_to_string(&file).unwrap();
        // Tests may reach for anything, and so may what fuzzers knock at.
        let code = text.split("#[cfg(test)]").next().unwrap();
        let code: String =
            code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
        if path.ends_with("fuzzing.rs") || path.ends_with("conformance.rs") {
            continue;
        }
        for imported in imports(&code) {
            assert!(
                imported == part || floor(&imported) < own,
                "src/{} imports crate::{imported}, which is not on a lower floor than {part}: see docs/architecture.md",
                path.display()
            );
            seen.insert((part.clone(), imported));
        }
    }
    // So the test can fail.
    for (from, to) in [("http", "reports"), ("graphql", "access"), ("reports", "database"), ("config", "scopes")] {
        assert!(seen.contains(&(from.to_owned(), to.to_owned())), "{from} is not seen to import {to}");
    }
}

fn floor(part: &str) -> usize {
    FLOORS.iter().position(|parts| parts.contains(&part)).unwrap_or_else(|| panic!("{part} is on no floor"))
}

/// The parts that some code names after `crate::`, alone or in braces.
fn imports(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for after in code.split("crate::").skip(1) {
        let Some(list) = after.strip_prefix('{') else {
            found.extend(name(after));
            continue;
        };
        let mut depth = 0;
        let mut begins = true;
        for (at, character) in list.char_indices() {
            match character {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => begins = true,
                _ if begins && character.is_alphanumeric() => {
                    found.extend(name(&list[at..]));
                    begins = false;
                }
                _ => {}
            }
        }
    }
    found
}

fn name(text: &str) -> Option<String> {
    let name: String = text.chars().take_while(|character| character.is_alphanumeric() || *character == '_').collect();
    // Types, macros and what is re-exported at the top are no parts.
    (!name.is_empty() && name.starts_with(char::is_lowercase)).then_some(name)
}

fn source_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            source_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
