//! The commands of the binary.

use std::net::{SocketAddr, TcpListener};

use migration::Migration;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpSocket;

use crate::support::{
    Backend, TestDatabase,
    database::create_postgres_database,
    on_both_databases, on_postgres,
    pooler::Pooler,
    process::{PATIENCE, Service, run, run_without_room},
};

on_both_databases!(
    migrate_creates_reports_and_adopts,
    migrate_adopts_without_touching_a_row,
    seed_fills_an_empty_database_once,
);

on_postgres!(
    a_database_that_is_out_of_reach_is_told_with_its_address_and_the_cause,
    a_host_that_the_server_does_not_know_is_told,
    an_outage_is_told_with_its_cause,
);

#[tokio::test]
async fn without_any_configuration_there_is_a_sample_database() {
    let mut service = Service::start(&[("LOG_FORMAT", "json")]).await;
    let first = service.get("/api/reports/user_visits").await.body;
    let members: Value = serde_json::from_str(&first).unwrap();
    assert!(members.as_object().unwrap().len() > 500);
    let announced = service.log();
    for url in ["/", "/graphiql", "/graphql", "/api/reports/daily_usage", "/api/reports/user_visits"] {
        assert!(announced.contains(&format!("http://localhost:{}{url}\"", service.address.port())), "{announced}");
    }
    service.signal("INT");
    assert_eq!(service.ended().await.code(), Some(0));
    let service = service.start_again().await;
    assert_eq!(service.get("/api/reports/user_visits").await.body, first);
}

/// As the first process of a container, a command would not even get a signal that it does not listen for.
#[tokio::test]
async fn a_signal_ends_a_command() {
    for (signal, code) in [("TERM", 143), ("INT", 130), ("HUP", 129)] {
        let mut filling = Service::spawn_command(&["seed", "--users", "100000", "--tokens", "50000000"]);
        filling.wait_for_file("data/coworking.db").await;
        filling.signal(signal);
        assert_eq!(filling.ended().await.code(), Some(code), "{}", filling.log());
        assert!(filling.log().contains("stopped by a signal"), "{}", filling.log());
    }
}

/// A terminal that is closed stops the service as an orchestrator does, and not one that was started with `nohup`.
#[tokio::test]
async fn a_service_that_is_hung_up_drains() {
    let mut service = Service::start_hearing_hang_ups().await;
    service.signal("HUP");
    service.wait_for("/readiness_check", 500).await;
    assert_eq!(service.get("/health_check").await.status, 200);
    assert_eq!(service.ended().await.code(), Some(0), "{}", service.log());
    let detached = Service::start_after("trap '' HUP", &[]).await;
    detached.signal("HUP");
    detached.signal("HUP");
    assert_eq!(detached.get("/readiness_check").await.status, 200);
}

#[test]
fn the_schema_needs_no_database() {
    let folder = TempDir::new().unwrap();
    let (code, out, _) = run(folder.path(), &[("DATABASE_URL", "nonsense")], &["schema"]);
    assert_eq!((code, out), (0, coworking_analytics::graphql::sdl()));
}

#[tokio::test]
async fn health_asks_the_running_service() {
    let service = Service::start(&[]).await;
    let port = service.address.port().to_string();
    let folder = TempDir::new().unwrap();
    let health = |port: &str, arguments: &[&str]| run(folder.path(), &[("APP_PORT", port)], arguments);
    assert_eq!(health(&port, &["health"]).0, 0);
    assert_eq!(health(&port, &["health", "--ready"]).0, 0);
    drop(service);
    let (code, _, err) = health(&port, &["health"]);
    assert!(code == 1 && err.contains("no service answers"), "{err}");
}

/// The check comes before any file is created.
#[test]
fn a_taken_port_is_told_and_leaves_nothing_behind() {
    let taken = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for (name, other) in [("APP_PORT", "METRICS_PORT"), ("METRICS_PORT", "APP_PORT")] {
        let folder = TempDir::new().unwrap();
        let (code, _, err) = run(folder.path(), &[(name, &port), (other, "0")], &[]);
        assert!(code == 1 && err.contains("cannot listen on") && err.contains(name), "{err}");
        assert_eq!(folder.path().read_dir().unwrap().count(), 0, "something was made");
    }
}

/// Prefixes of libraries' error messages, which must not be shown.
const NOISE: [&str; 6] = ["Error:", "error returned", "error communicating", "timed out", "(code: ", "{\""];

/// Checks that a failure is one sentence without a password.
fn assert_plain(err: &str) {
    assert_eq!(err.lines().count(), 1, "{err}");
    assert!(!NOISE.iter().any(|noise| err.contains(noise)), "{err}");
    assert!(!err.contains("secret"), "a password in {err}");
}

/// For every format of the service's log, with output to a pipe.
#[test]
fn commands_that_fail_say_why_in_a_sentence() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let url = format!("postgres://somebody:secret@127.0.0.1:{closed}/coworking");
    let parts = [("DB_USERNAME", "somebody"), ("DB_PASSWORD", "secret"), ("DB_PORT", &closed)];
    let folder = TempDir::new().unwrap();
    for command in ["migrate", "migrate status", "rollup status", "rollup create", "seed"] {
        let arguments: Vec<_> = command.split(' ').collect();
        for format in ["auto", "json", "text"] {
            for (variables, advice) in [
                (&[("DATABASE_URL", url.as_str())][..], "check the address in DATABASE_URL"),
                (&parts, "check DB_HOST and DB_PORT"),
            ] {
                let variables = [variables, &[("LOG_FORMAT", format)]].concat();
                let (code, out, err) = run(folder.path(), &variables, &arguments);
                assert_eq!((code, out.as_str()), (1, ""), "{command}");
                assert!(err.contains("Connection refused") && err.contains(advice), "{err}");
                assert_plain(&err);
            }
        }
    }
    let (code, _, err) = run(folder.path(), &[("APP_PORT", &closed), ("LOG_FORMAT", "json")], &["health"]);
    assert!(code == 1 && err.contains("no service answers") && err.contains("APP_PORT"), "{err}");
    assert_plain(&err);
}

#[tokio::test]
async fn what_postgres_refuses_is_told_in_its_words() {
    let url = create_postgres_database().await;
    let (server, _) = url.rsplit_once('/').unwrap();
    let (_, address) = server.rsplit_once('@').unwrap();
    let folder = TempDir::new().unwrap();
    let nobody = format!("postgres://nobody_here:secret@{address}/postgres");
    for (url, command, said, advice) in [
        (format!("{server}/no_such_database"), "migrate", "does not exist", "the name at the end of DATABASE_URL"),
        (nobody, "seed", "authentication failed", "the user and the password in DATABASE_URL"),
        (
            url.clone(),
            "rollup rebuild",
            "there are no tables tokens and users",
            "`coworking-analytics migrate` makes them",
        ),
    ] {
        let arguments: Vec<_> = command.split(' ').collect();
        let (code, _, err) = run(folder.path(), &[("DATABASE_URL", &url)], &arguments);
        assert!(code == 1 && err.contains(said) && err.contains(advice), "{err}");
        assert_plain(&err);
    }
    let variables = [("DATABASE_URL", url.as_str())];
    assert_eq!(run(folder.path(), &variables, &["migrate"]).0, 0);
    for step in ["rebuild", "upgrade"] {
        let (code, _, err) = run(folder.path(), &variables, &["rollup", step]);
        assert!(code == 1 && err.contains("there is no rollup; `rollup create` makes one"), "{err}");
    }
}

#[test]
fn a_service_that_cannot_start_says_why() {
    let folder = TempDir::new().unwrap();
    let start = |format: &str| {
        let variables =
            [("DATABASE_URL", "sqlite:none.db"), ("APP_PORT", "0"), ("METRICS_PORT", "0"), ("LOG_FORMAT", format)];
        let (code, _, err) = run(folder.path(), &variables, &[]);
        assert!(code == 1 && err.contains("none.db") && err.contains("`coworking-analytics migrate`"), "{err}");
        err
    };
    for format in ["auto", "text"] {
        assert_plain(&start(format));
    }
    // With the format JSON, the error is a line of JSON.
    let line: Value = serde_json::from_str(&start("json")).unwrap();
    assert_eq!(line["level"], "ERROR");
}

#[tokio::test]
async fn a_service_that_waits_for_its_database_says_why() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let service = Service::spawn(&[("DB_USERNAME", "somebody"), ("DB_PASSWORD", "secret"), ("DB_PORT", &closed)]);
    service.wait_for("/health_check", 200).await;
    service.wait_for_log("Connection refused").await;
    let log = service.log();
    let line = log.lines().find(|line| line.contains("database out of reach")).unwrap_or_else(|| panic!("{log}"));
    assert!(line.contains("check DB_HOST and DB_PORT") && !line.contains("Error:"), "{line}");
    assert!(!log.contains("secret"), "{log}");
}

/// In the log, by a command, and by the probe, each with what to check first.
async fn a_database_that_is_out_of_reach_is_told_with_its_address_and_the_cause() {
    let url = create_postgres_database().await;
    let (_, address) = url.rsplit_once('@').unwrap();
    let (server, name) = address.split_once('/').unwrap();
    let (host, port) = server.split_once(':').unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let sockets = TempDir::new().unwrap();
    let sockets = sockets.path().to_str().unwrap();
    let of_url = format!("postgres://somebody:se%24cret@{address}");
    let parts = |host, port, name, role| {
        vec![("DB_HOST", host), ("DB_PORT", port), ("DB_NAME", name), ("DB_USERNAME", role), ("DB_PASSWORD", "se$cret")]
    };
    for (variables, place, said, advice) in [
        (
            parts(host, &closed, name, "somebody"),
            format!("{name} on {host}:{closed} as somebody"),
            "Connection refused",
            "check DB_HOST and DB_PORT",
        ),
        (
            parts("no-such-host.invalid", port, name, "somebody"),
            format!("{name} on no-such-host.invalid:{port} as somebody"),
            "lookup address",
            "no address is known under this name",
        ),
        (
            parts(sockets, port, name, "somebody"),
            format!("{name} on {sockets}:{port} as somebody"),
            "No such file",
            "check that DB_HOST is the folder",
        ),
        (
            parts(host, port, name, "somebody"),
            format!("{name} on {server} as somebody"),
            "authentication failed",
            "check DB_USERNAME and DB_PASSWORD",
        ),
        (
            parts(host, port, "no_such_database", "postgres"),
            format!("no_such_database on {server} as postgres"),
            "does not exist",
            "check DB_NAME",
        ),
        (
            vec![("DATABASE_URL", of_url.as_str())],
            format!("{name} on {server} as somebody"),
            "authentication failed",
            "the user and the password in DATABASE_URL",
        ),
        (
            [parts(host, port, name, "postgres"), vec![("DB_SSLMODE", "verify-full")]].concat(),
            format!("{name} on {server} as postgres"),
            "invalid peer certificate",
            "check DB_SSLMODE and DB_SSLROOTCERT",
        ),
    ] {
        let folder = TempDir::new().unwrap();
        let (code, _, told) = run(folder.path(), &variables, &["migrate"]);
        assert_eq!(code, 1, "{told}");
        let service = Service::spawn(&variables);
        service.wait_for_log("database out of reach").await;
        service.wait_for("/readiness_check", 500).await;
        let of_service = service.address.port().to_string();
        let (code, _, probed) =
            run(folder.path(), &[&variables[..], &[("APP_PORT", &of_service)]].concat(), &["health", "--ready", "-v"]);
        assert_eq!(code, 1, "{probed}");
        let log = service.log();
        let lines = |text| log.lines().filter(|line| line.contains(text)).collect::<Vec<_>>();
        let (logged, not_ready) = (lines("database out of reach"), lines("not ready"));
        assert_eq!(logged.len(), 1, "once: {log}");
        for text in [&*told, &*probed, logged[0], not_ready[0]] {
            let all = [place.as_str(), said, advice].iter().all(|part| text.contains(part));
            assert!(all && !text.contains(" at line "), "{text}");
        }
        for text in [&*told, &*probed, &*log] {
            assert!(!text.contains("se$cret") && !text.contains("se%24cret"), "{text}");
        }
    }
}

/// The server's list of hosts has 127.0.0.1 only; this comes from 127.0.0.2.
async fn a_host_that_the_server_does_not_know_is_told() {
    let url = create_postgres_database().await;
    let (_, address) = url.rsplit_once('@').unwrap();
    let (server, name) = address.split_once('/').unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let through = listener.local_addr().unwrap();
    let server: SocketAddr = server.parse().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
            let mut server = socket.connect(server).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut client, &mut server).await });
        }
    });
    let url = format!("postgres://somebody:secret@{through}/{name}");
    let told = tokio::task::spawn_blocking(move || {
        run(TempDir::new().unwrap().path(), &[("DATABASE_URL", &url)], &["migrate"]).2
    });
    let told = told.await.unwrap();
    assert!(told.contains("add this host, role and database to the server's pg_hba.conf"), "{told}");
}

/// Without a pool's timeout in its place.
async fn an_outage_is_told_with_its_cause() {
    let database = TestDatabase::recorded(Backend::Postgres).await;
    let pooler = Pooler::start(&database, "session", "").await;
    let url = pooler.url();
    let service = Service::start(&[("DATABASE_URL", &url)]).await;
    drop(pooler);
    let started = std::time::Instant::now();
    while service.get("/readiness_check").await.status != 500 {
        assert!(started.elapsed() < PATIENCE);
    }
    service.wait_for_log("database out of reach").await;
    let log = service.log();
    let line = log.lines().find(|line| line.contains("database out of reach")).unwrap();
    assert!(line.contains("Connection refused") && line.contains("127.0.0.1:") && !line.contains("secret"), "{line}");
}

/// Uses folders in which no file can be created by anyone, because root ignores permissions and may run these tests.
#[test]
fn a_folder_that_cannot_be_written_is_told() {
    use std::os::unix::fs::symlink;
    let service = [("APP_PORT", "0"), ("METRICS_PORT", "0")];
    let file = TempDir::new().unwrap();
    std::fs::write(file.path().join("data"), "").unwrap();
    let proc = TempDir::new().unwrap();
    symlink("/proc", proc.path().join("data")).unwrap();
    for folder in [file.path(), proc.path(), std::path::Path::new("/proc")] {
        let (code, _, err) = run(folder, &service, &[]);
        assert!(code == 1 && err.contains("start in a folder where this user may write"), "{err}");
        assert!(err.contains("data") && err.contains("DATABASE_URL"), "{err}");
        assert_plain(&err);
    }
    let (code, _, err) = run(file.path(), &[], &["migrate"]);
    assert!(code == 1 && err.contains("data/coworking.db"), "{err}");
    assert_plain(&err);
}

#[test]
fn a_full_disk_is_told() {
    let folder = TempDir::new().unwrap();
    let (code, _, err) = run_without_room(folder.path(), &[("APP_PORT", "0"), ("METRICS_PORT", "0")]);
    assert!(code == 1 && err.contains("data/coworking.db") && err.contains("the disk is full"), "{err}");
    assert_plain(&err);
}

#[test]
fn what_is_no_database_is_told() {
    let folder = TempDir::new().unwrap();
    std::fs::create_dir(folder.path().join("data")).unwrap();
    std::fs::write(folder.path().join("data/coworking.db"), "a letter to somebody").unwrap();
    let (code, _, err) = run(folder.path(), &[("APP_PORT", "0"), ("METRICS_PORT", "0")], &[]);
    assert!(code == 1 && err.contains("not a database") && err.contains("remove the folder `data`"), "{err}");
    assert_plain(&err);
}

async fn migrate_creates_reports_and_adopts(backend: Backend) {
    let database = TestDatabase::bare(backend).await;
    let folder = TempDir::new().unwrap();
    let migrate =
        |step: &[&str]| run(folder.path(), &[("DATABASE_URL", &database.url)], &[&["migrate"], step].concat());
    let states = |states: [&str; 4]| {
        let names = ["23_000001_adopt_or_create_tables", "23_000002_create_report_views", "27_000003_index_times"];
        let names = names.into_iter().chain(["27_000004_create_report_functions"]);
        let lines: Vec<_> =
            states.into_iter().zip(names).map(|(state, name)| format!("{state}  m202611{name}\n")).collect();
        lines.concat()
    };
    assert_eq!(migrate(&["status"]).1, states(["pending"; 4]));
    assert_eq!(migrate(&[]).1, states(["applied"; 4]));
    assert_eq!(migrate(&["up"]).0, 0);
    database
        .execute("INSERT INTO users (first_name, last_name, joined_at) VALUES ('First', 'Last', '2024-01-01 00:00:00')")
        .await;
    assert_eq!(migrate(&["down"]).1, states(["applied", "applied", "applied", "pending"]));
    assert_eq!(migrate(&["down"]).1, states(["applied", "applied", "pending", "pending"]));
    assert_eq!(migrate(&["down"]).1, states(["applied", "pending", "pending", "pending"]));
    assert_eq!(migrate(&["down"]).1, states(["pending"; 4]));
    assert_eq!(count(&database, "users").await, 1, "undoing keeps the coworking service's rows");
}

async fn migrate_adopts_without_touching_a_row(backend: Backend) {
    let database = TestDatabase::recorded(backend).await;
    let unmake = async || {
        for _ in Migration::ALL {
            migration::down(&database.owner).await.unwrap();
        }
        database.execute("DROP TABLE seaql_migrations").await;
    };
    unmake().await;
    let folder = TempDir::new().unwrap();
    let before = contents(&database).await;
    let (code, out, err) = run(folder.path(), &[("DATABASE_URL", &database.url)], &["migrate"]);
    assert_eq!((code, out.starts_with("applied")), (0, true), "{err}");
    assert_eq!(contents(&database).await, before);
    // Tables with other columns are reported, not adopted.
    unmake().await;
    database.execute("ALTER TABLE tokens RENAME COLUMN used_at TO opened_at").await;
    let (code, _, err) = run(folder.path(), &[("DATABASE_URL", &database.url)], &["migrate"]);
    assert!(code == 1 && err.contains("used_at"), "{err}");
}

async fn seed_fills_an_empty_database_once(backend: Backend) {
    let database = TestDatabase::bare(backend).await;
    let folder = TempDir::new().unwrap();
    let seed = |more: &[&str]| {
        let arguments = ["seed", "--users", "70", "--tokens", "500", "--days", "30"];
        run(folder.path(), &[("DATABASE_URL", &database.url)], &[&arguments, more].concat())
    };
    assert_eq!(seed(&[]).0, 0);
    assert_eq!((count(&database, "users").await, count(&database, "tokens").await), (70, 500));
    assert_eq!(count(&database, "tokens WHERE token <> 'sample'").await, 0);
    assert_eq!(count(&database, "tokens t JOIN users u ON u.id = t.user_id WHERE t.created_at < u.joined_at").await, 0);
    let (code, _, err) = seed(&[]);
    assert!(code == 1 && err.contains("--append"), "{err}");
    assert_eq!(count(&database, "tokens").await, 500);
    assert_eq!(seed(&["--append"]).0, 0);
    assert_eq!((count(&database, "users").await, count(&database, "tokens").await), (140, 1_000));
    assert_eq!(count(&database, "tokens WHERE user_id > 70").await, 500);
}

async fn count(database: &TestDatabase, rows: &str) -> i64 {
    use sea_orm::{ConnectionTrait as _, Statement};
    let statement =
        Statement::from_string(database.owner.get_database_backend(), format!("SELECT count(*) AS n FROM {rows}"));
    database.owner.query_one_raw(statement).await.unwrap().unwrap().try_get("", "n").unwrap()
}

async fn contents(database: &TestDatabase) -> (Vec<entity::user::Model>, Vec<entity::token::Model>) {
    use sea_orm::{EntityTrait as _, QueryOrder as _};
    let users = entity::user::Entity::find().order_by_asc(entity::user::Column::Id).all(&database.owner).await.unwrap();
    let tokens =
        entity::token::Entity::find().order_by_asc(entity::token::Column::Id).all(&database.owner).await.unwrap();
    assert_eq!((users.len(), tokens.len()), (320, 1_115));
    (users, tokens)
}
