//! A PgBouncer of its own in front of a test's database.

use std::{
    fs::{self, Permissions},
    net::TcpListener,
    os::unix::fs::{PermissionsExt as _, chown},
    path::Path,
    process::{Child, Command, Stdio},
    time::Instant,
};

use tempfile::TempDir;
use tokio::net::TcpStream;
use uuid::Uuid;

use super::{TestDatabase, process::PATIENCE};

/// A running PgBouncer with two connections to the server for each role and database. Roles log in with SCRAM.
pub struct Pooler {
    /// A role that owns the tables, as one that the coworking service uses too.
    pub role: String,
    port: u16,
    name: String,
    child: Child,
    folder: TempDir,
}

impl Pooler {
    /// Starts it with this `pool_mode`, and further lines of configuration.
    pub async fn start(database: &TestDatabase, mode: &str, lines: &str) -> Self {
        let role = format!("role_{}", Uuid::new_v4().simple());
        let owned = format!(
            "CREATE ROLE {role} LOGIN PASSWORD 'secret_{role}'; GRANT CREATE ON SCHEMA public TO {role}; \
             ALTER TABLE users OWNER TO {role}; ALTER TABLE tokens OWNER TO {role}; \
             ALTER TABLE seaql_migrations OWNER TO {role}; \
             ALTER VIEW report_daily_usage OWNER TO {role}; ALTER VIEW report_user_visits OWNER TO {role}; \
             DO $$ DECLARE report REGPROCEDURE; BEGIN \
                 FOR report IN SELECT oid FROM pg_proc WHERE proname LIKE 'report\\_%' LOOP \
                     EXECUTE format('ALTER FUNCTION %s OWNER TO {role}', report); \
                 END LOOP; \
             END $$"
        );
        database.execute(&owned).await;
        let (_, address) = database.url.rsplit_once('@').unwrap();
        let (server, name) = address.split_once('/').unwrap();
        let (host, server_port) = server.split_once(':').unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = TempDir::new().unwrap();
        let users = folder.path().join("users.txt");
        let settings = format!(
            "[databases]\n* = host={host} port={server_port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {}\npool_mode = {mode}\ndefault_pool_size = 2\n{lines}\n",
            users.display()
        );
        fs::write(&users, format!("\"{role}\" \"secret_{role}\"\n")).unwrap();
        fs::write(folder.path().join("pgbouncer.ini"), settings).unwrap();
        let child = start(folder.path());
        let pooler = Self { role, port, name: name.to_owned(), child, folder };
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            assert!(started.elapsed() < PATIENCE, "PgBouncer never listened:\n{}", pooler.log());
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        pooler
    }

    /// The address of the database behind it.
    pub fn url(&self) -> String {
        format!("postgres://{0}:secret_{0}@127.0.0.1:{1}/{2}", self.role, self.port, self.name)
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }
}

/// PgBouncer refuses to run as root.
fn start(folder: &Path) -> Child {
    // Debian's folder of it is not on the path of every user.
    let mut command = Command::new("sh");
    command.args(["-c", "PATH=$PATH:/usr/sbin exec pgbouncer \"$@\"", "sh"]);
    if is_root() {
        command.args(["-u", "postgres"]);
        fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
    }
    let log = fs::File::create(folder.join("log")).unwrap();
    command.arg(folder.join("pgbouncer.ini")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    command.spawn().expect("PgBouncer is not installed: run scripts/packages.sh")
}

/// Whether this process may give files away.
fn is_root() -> bool {
    let file = tempfile::NamedTempFile::new().unwrap();
    chown(file.path(), Some(1), None).is_ok()
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
