//! The configuration: variables, their defaults, and the messages about mistakes.

use std::collections::{BTreeMap, BTreeSet};

use coworking_analytics::config::{Config, Environment};
use tempfile::TempDir;

use crate::support::{
    Backend, TestDatabase, on_postgres,
    process::{Service, run},
    snapshot_text,
};

on_postgres!(a_password_in_a_file_is_what_is_written);

#[test]
fn every_mistake_in_the_configuration_is_told_at_once() {
    let folder = TempDir::new().unwrap();
    let variables = [
        ("APP_PORT", "many"),
        ("DB_HOST", "localhost"),
        ("DB_SSLMODE", "maybe"),
        ("LOG_FORMAT", "xml"),
        ("REQUEST_TIMEOUT", "soon"),
        ("PAGE_SIZE_MAX", "0"),
    ];
    let (code, out, err) = run(folder.path(), &variables, &[]);
    assert_eq!((code, out.as_str()), (2, ""));
    snapshot_text("configuration_mistakes", &err);
    assert_eq!(folder.path().read_dir().unwrap().count(), 0, "nothing was created");
}

#[test]
fn every_wrong_note_is_told_by_its_line_and_not_shown() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("notes");
    let told = |contents: &[u8]| {
        std::fs::write(&file, contents).unwrap();
        let (code, _, err) = run(folder.path(), &[("NOTES_FILE", "notes"), ("APP_PORT", "many")], &[]);
        assert_eq!(code, 2, "{err}");
        assert!(err.contains("APP_PORT") && !err.contains("secret"), "{err}");
        err.lines().filter(|line| line.contains("NOTES_FILE")).map(|line| line.trim().to_owned()).collect::<Vec<_>>()
    };
    let expected = "expected a date such as 2026-10-03, or dates such as 2026-12-24..2026-12-26, and a text";
    assert_eq!(
        told(b"# Notes\n3.10.2026 secret\n2026-10-03 holiday\n2026-10-04..2026-10-01 secret\n2026-10-05\n"),
        [
            format!("NOTES_FILE is wrong in line 2: {expected}"),
            "NOTES_FILE is wrong in line 4: the first date is after the last one".to_owned(),
            "NOTES_FILE is wrong in line 5: expected a text after the date".to_owned(),
        ]
    );
    assert_eq!(told(&b"secret\n".repeat(22)).last().unwrap(), "NOTES_FILE is wrong in 2 more lines");
    assert_eq!(told(&b"2026-10-03 secret\n".repeat(501)), ["NOTES_FILE has 501 notes; it may have 500"]);
    assert_eq!(told(&vec![b'#'; 65_537]), ["NOTES_FILE is \"notes\", which has more than 65536 bytes"]);
    assert!(told(&vec![b'#'; 65_536]).is_empty());
    let (_, _, err) = run(folder.path(), &[("NOTES_FILE", "nowhere")], &[]);
    assert!(err.contains("NOTES_FILE is \"nowhere\", which cannot be read: "), "{err}");
    let (_, _, err) = run(folder.path(), &[("NOTES_FILE", ".")], &[]);
    assert!(err.contains("it is not a file"), "{err}");
}

#[test]
fn a_database_address_is_never_shown() {
    let folder = TempDir::new().unwrap();
    let (code, _, err) = run(folder.path(), &[("DATABASE_URL", "mysql://user:secret@host/name")], &["migrate"]);
    assert_eq!(code, 2);
    assert!(err.contains("DATABASE_URL") && !err.contains("secret"), "{err}");
}

#[test]
fn variables_are_read_from_a_file() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join(".env");
    let path = file.display().to_string();
    std::fs::write(&file, "APP_PORT=none\n").unwrap();
    let (code, _, err) = run(folder.path(), &[], &[]);
    assert!(code == 2 && err.contains("APP_PORT is \"none\"") && err.contains(&path), "{err}");
    let (code, _, err) = run(folder.path(), &[("APP_PORT", "half")], &[]);
    assert!(code == 2 && err.contains("APP_PORT is \"half\""), "the process overrides it: {err}");
    for (content, line) in [
        (&b"what is this\n"[..], 1),
        (b"# twice\nAPP_PORT=0\nDB_PASSWORD='two words\n", 3),
        (b"DB_PASSWORD=words\nDB_PASSWORD=this\n", 2),
        (b"DB_PASSWORD=this\nTWO WORDS=two\n", 2),
        (b"DB_PASSWORD=this\xff\n", 1),
    ] {
        std::fs::write(&file, content).unwrap();
        let (code, _, err) = run(folder.path(), &[], &[]);
        assert!(code == 2 && err.contains(&path) && err.contains(&format!("in line {line}:")), "{err}");
        assert!(!["this", "two", "TWO", "words"].iter().any(|value| err.contains(value)), "a value in {err}");
        assert_eq!(run(folder.path(), &[], &["--help"]).0, 0, "help needs no file");
    }
    std::fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink(".env", &file).unwrap();
    let (code, _, err) = run(folder.path(), &[], &[]);
    assert!(code == 2 && err.contains("let this user read it, or start in another folder"), "{err}");
}

#[test]
fn a_file_in_a_folder_above_is_not_read() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join(".env"), "APP_PORT=none\n").unwrap();
    let below = folder.path().join("below");
    std::fs::create_dir(&below).unwrap();
    let (code, _, err) = run(&below, &[], &["migrate"]);
    assert_eq!(code, 0, "{err}");
    assert!(!err.contains(".env"), "{err}");
}

/// A password with everything that shells and readers of such files treat in their own way.
async fn a_password_in_a_file_is_what_is_written() {
    let database = TestDatabase::recorded(Backend::Postgres).await;
    let (_, address) = database.url.rsplit_once('@').unwrap();
    let (server, name) = address.split_once('/').unwrap();
    let (host, port) = server.split_once(':').unwrap();
    let password = r#"pa$sword1\word"s' #${HOME}`id`%40=end"#;
    let role = format!("role_{name}");
    let sql = format!("CREATE ROLE {role} LOGIN PASSWORD '{}'", password.replace('\'', "''"));
    database.execute(&sql).await;
    database.execute(&format!("GRANT SELECT ON users, tokens, seaql_migrations TO {role}")).await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join(".env");
    let lines = format!("DB_HOST={host}\nDB_PORT={port}\nDB_NAME={name}\nDB_USERNAME={role}\nDB_PASSWORD={password}\n");
    std::fs::write(&file, lines).unwrap();
    let (code, _, err) = run(folder.path(), &[], &["migrate", "status"]);
    assert_eq!(code, 0, "{err}");
    assert!(err.contains(&file.display().to_string()) && !err.contains("word"), "its path is told: {err}");
}

/// The settings of `.env.example`, without the comment signs.
fn example() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/.env.example")).unwrap();
    let settings = text.lines().filter_map(|line| line.strip_prefix('#')?.split_once('='));
    settings.filter(|(name, _)| is_name(name)).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn is_name(text: &str) -> bool {
    text.len() > 5 && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
}

/// The configuration as text, and the names of the variables that were read.
fn read(variables: &BTreeMap<String, String>) -> (String, BTreeSet<String>) {
    let variables = variables.clone();
    let environment = Environment::new(move |name| variables.get(name).cloned());
    let config = Config::read(&environment);
    (format!("{config:?}"), environment.asked().into_iter().map(str::to_owned).collect())
}

/// All variables are read whatever is set, because misspelled names are compared with the names that were read.
#[test]
fn the_example_of_a_configuration_names_every_variable() {
    let example = example();
    let names: BTreeSet<_> = example.keys().cloned().collect();
    for without in ["", "DATABASE_URL", "DB_", "OIDC_ISSUER", "TLS_KEY_FILE", "PERSISTED_DOCUMENTS_DIR"] {
        let mut some = example.clone();
        some.retain(|name, _| without.is_empty() || !name.starts_with(without));
        assert_eq!(read(&some).1, names, "without {without}");
    }
    assert_eq!(read(&BTreeMap::new()).1, names, "with nothing set");
}

#[test]
fn the_example_of_a_configuration_is_accepted() {
    let folder = TempDir::new().unwrap();
    // Without the second way to name a PostgreSQL, and without files that do not exist.
    let mut usable = example();
    usable.retain(|name, _| !["DATABASE_URL", "DB_SSLROOTCERT", "NOTES_FILE"].contains(&name.as_str()));
    let lines: Vec<_> = usable.iter().map(|(name, value)| format!("{name}={value}")).collect();
    std::fs::write(folder.path().join(".env"), lines.join("\n")).unwrap();
    let (_, _, err) = run(folder.path(), &[("APP_PORT", "wrong")], &[]);
    assert_eq!(err.lines().count(), 3, "only APP_PORT is wrong: {err}");
    assert!(err.lines().last().unwrap().contains(".env"), "{err}");
}

/// Variables whose example is not the default. The default of `DB_SSLMODE` is the driver's `prefer`.
const NO_DEFAULT: [&str; 22] = [
    "API_KEYS_FILE",
    "CAPACITY",
    "CORS_ORIGINS",
    "DATABASE_URL",
    "DB_PASSWORD",
    "DB_SSLMODE",
    "DB_SSLROOTCERT",
    "DB_USERNAME",
    "DEFAULT_BASIS",
    "DEFAULT_TIME_ZONE",
    "HTTPS_PROXY",
    "NOTES_FILE",
    "NO_PROXY",
    "OIDC_AUDIENCE",
    "OIDC_CA_FILE",
    "OIDC_ISSUER",
    "OIDC_JWKS_URL",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "PERSISTED_DOCUMENTS_DIR",
    "SPACE_NAME",
    "TLS_CERT_FILE",
    "TLS_KEY_FILE",
];

#[test]
fn the_example_of_a_configuration_shows_the_defaults() {
    // With PostgreSQL, because on the sample database everyone may see names.
    let role = BTreeMap::from(
        [("DB_USERNAME", "somebody"), ("DB_PASSWORD", "")].map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    // A metrics port that is set explicitly must be free, so this flag differs.
    let read = |variables| read(&variables).0.replace("metrics_required: true", "metrics_required: false");
    let nothing_set = read(role.clone());
    for (name, value) in example() {
        let mut one_set = role.clone();
        one_set.insert(name.clone(), value);
        if !NO_DEFAULT.contains(&name.as_str()) {
            assert_eq!(read(one_set), nothing_set, "{name}");
        }
    }
}

#[test]
fn help_names_what_matters_most() {
    let folder = TempDir::new().unwrap();
    let example = example();
    for arguments in [&["--help"][..], &["serve", "--help"], &["-h"], &["help"]] {
        let (code, help, _) = run(folder.path(), &[], arguments);
        assert!(code == 0 && help.contains(" `.env` ") && help.contains("`.env.example`"), "{help}");
        let named: BTreeMap<_, _> = help
            .lines()
            .filter_map(|line| line.trim().split_once(' ').filter(|(name, _)| is_name(name)))
            .map(|(name, text)| (name, text.split_once("[default: ").map(|(_, text)| text.split_once(']').unwrap().0)))
            .collect();
        for name in
            ["DATABASE_URL", "DB_HOST", "DB_PASSWORD", "APP_PORT", "METRICS_PORT", "LOG_FORMAT", "ANONYMOUS_SCOPES"]
        {
            assert!(named.contains_key(name), "{name} is not in {help}");
        }
        for (name, default) in named {
            let shown = Some(example[name].as_str()).filter(|_| !NO_DEFAULT.contains(&name));
            assert_eq!(default, shown, "{name}");
        }
    }
}

#[tokio::test]
async fn a_misspelt_variable_is_told_when_the_service_starts() {
    let slips = [("APP_PROT", "APP_PORT"), ("ANONYMUS_SCOPE", "ANONYMOUS_SCOPES"), ("log_level", "LOG_LEVEL")];
    let mut variables = slips.map(|(slip, _)| (slip, "hidden")).to_vec();
    let usual =
        [("PGHOST", "hidden"), ("POSTGRES_SERVICE_HOST", "hidden"), ("SSL_CERT_FILE", "hidden"), ("API_KEYS", "")];
    variables.extend(usual);
    let service = Service::start(&variables).await;
    let log = service.log();
    let told: Vec<serde_json::Value> = log
        .lines()
        .filter(|line| line.contains("nothing reads"))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let told: BTreeSet<_> =
        told.iter().map(|line| [&line["variable"], &line["meant"]].map(|name| name.as_str().unwrap())).collect();
    assert_eq!(told, slips.map(|(slip, meant)| [slip, meant]).into(), "{log}");
    assert!(!log.contains("hidden"), "a value in {log}");
    // A misspelled required variable, and a misspelled variable of a command.
    let folder = TempDir::new().unwrap();
    let (code, _, err) = run(folder.path(), &[("DB_USERNAM", "hidden"), ("DB_PASSWORD", "hidden")], &[]);
    assert!(code == 2 && err.contains("was DB_USERNAME meant?") && !err.contains("hidden"), "{err}");
    let (code, _, err) = run(folder.path(), &[("DB_HSOT", "hidden")], &["migrate"]);
    assert!(code == 0 && err.contains("DB_HOST") && !err.contains("hidden"), "{err}");
}

/// The version that cargo requires.
#[test]
fn the_readme_says_which_rust_is_needed() {
    let readme = include_str!("../../README.md");
    assert!(
        readme.contains(concat!("Rust ", env!("CARGO_PKG_RUST_VERSION"))),
        "not {}",
        env!("CARGO_PKG_RUST_VERSION")
    );
}
