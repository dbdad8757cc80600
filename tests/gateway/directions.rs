//! The rule for imports between parts of the crate: downwards only, so that there are no circles.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The parts of the crate, or of one of its folders, by layers from the bottom up. A part may import from lower layers
/// only, not from its own.
struct House {
    folder: &'static str,
    floors: &'static [&'static [&'static str]],
}

const HOUSES: [House; 3] = [
    House {
        folder: "",
        floors: &[
            &["clock", "codes", "metrics", "scopes", "shutdown"],
            &["config"],
            &["database", "telemetry"],
            &["access", "seed"],
            &["reports"],
            &["graphql", "jobs"],
            &["http", "probe"],
            &["app", "fuzzing"],
            &["cli"],
        ],
    },
    House {
        folder: "graphql",
        floors: &[
            &["cost", "guard", "names"],
            &["error"],
            &["types", "upstream"],
            &["entities", "reports"],
            &["execution"],
        ],
    },
    // Handlers of all parts use `Gateway`, which `http/mod.rs` defines.
    House {
        folder: "http",
        floors: &[&["error", "packing"], &["connections"], &["answers", "ops", "pages"], &["graphql"], &["rest"]],
    },
];

#[test]
fn imports_go_downwards() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for House { folder, floors } in HOUSES {
        let mut seen = BTreeSet::new();
        let mut files = Vec::new();
        source_files(&source.join(folder), &mut files);
        for file in files {
            let path = file.strip_prefix(source.join(folder)).unwrap();
            let part = path.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned();
            // Code that is compiled only for fuzzing and tests may import anything.
            let is_exempt = path.ends_with("fuzzing.rs") || path.ends_with("conformance.rs");
            if ["lib", "main", "mod"].contains(&part.as_str()) || is_exempt {
                continue;
            }
            let text = fs::read_to_string(&file).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
            let code: String =
                code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
            let root = if folder.is_empty() { "crate::".to_owned() } else { format!("{folder}::") };
            for imported in imports(&code, &root) {
                if !folder.is_empty() && !floors.iter().any(|parts| parts.contains(&imported.as_str())) {
                    continue;
                }
                assert!(
                    imported == part || floor(floors, &imported) < floor(floors, &part),
                    "src/{folder}/{} imports {root}{imported}, which is not on a lower floor than {part}: see \
                     docs/architecture.md",
                    path.display()
                );
                seen.insert((part.clone(), imported));
            }
        }
        // Checks that the test finds imports at all.
        assert!(
            seen.iter().filter(|(from, to)| from != to).count() > 5,
            "src/{folder} is not seen to import: {seen:?}"
        );
    }
}

fn floor(floors: &[&[&str]], part: &str) -> usize {
    floors.iter().position(|parts| parts.contains(&part)).unwrap_or_else(|| panic!("{part} is on no floor"))
}

/// The parts that the code names after `root`, alone or in braces.
fn imports(code: &str, root: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for after in code.split(root).skip(1) {
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
    // Types, macros and re-exports at the top are not parts.
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
