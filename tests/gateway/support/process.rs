//! The real binary as a child process, with its own environment.

use std::{
    fs::File,
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName},
};
use http_body_util::BodyExt as _;
use hyper::{Request, client::conn::http1};
use hyper_util::rt::TokioIo;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::Answer;

/// How long a test waits for anything.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The binary that these tests were built with.
const BINARY: &str = env!("CARGO_BIN_EXE_coworking-analytics");

/// A command that runs in `folder` with an empty environment.
fn command(program: &str, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().current_dir(folder).stdin(Stdio::null());
    command
}

/// Runs the binary to its end; returns exit code, standard output and standard error.
pub fn run(folder: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> (i32, String, String) {
    output_of(command(BINARY, folder).envs(variables.iter().copied()).args(arguments))
}

/// The same without arguments, and with files limited to 20 KiB, which imitates a full disk.
pub fn run_without_room(folder: &Path, variables: &[(&str, &str)]) -> (i32, String, String) {
    let script = "trap '' XFSZ; ulimit -f 40; exec \"$0\"";
    output_of(command("/bin/sh", folder).envs(variables.iter().copied()).args(["-c", script, BINARY]))
}

fn output_of(command: &mut Command) -> (i32, String, String) {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

/// A running service.
pub struct Service {
    pub address: SocketAddr,
    child: Child,
    folder: TempDir,
}

/// For `env`: the tests themselves may run under `nohup`, which their processes would inherit.
pub const HEARS_SIGHUP: &str = "--default-signal=HUP";

impl Service {
    /// Starts the binary without arguments and waits until it is ready.
    pub async fn start(variables: &[(&str, &str)]) -> Self {
        let service = Self::spawn(variables);
        service.wait_for("/readiness_check", 200).await;
        service
    }

    /// Starts the binary without arguments.
    pub fn spawn(variables: &[(&str, &str)]) -> Self {
        Self::spawn_in(TempDir::new().unwrap(), variables)
    }

    /// Starts an ended service again, in the same folder, without variables.
    /// The folder in which it runs.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub async fn start_again(mut self) -> Self {
        let folder = std::mem::replace(&mut self.folder, TempDir::new().unwrap());
        let service = Self::spawn_in(folder, &[]);
        service.wait_for("/readiness_check", 200).await;
        service
    }

    /// Starts the binary with limits on open files, the soft and the hard one.
    pub async fn start_with_files(soft: u32, hard: u32, variables: &[(&str, &str)]) -> Self {
        Self::start_after(&format!("ulimit -S -n {soft} && ulimit -H -n {hard}"), variables).await
    }

    /// Starts a command of the binary.
    pub fn spawn_command(arguments: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let mut command = command("env", folder.path());
        command.args([HEARS_SIGHUP, BINARY]).args(arguments);
        Self::spawn_by(command, folder, &[])
    }

    /// Starts the binary so that SIGHUP is not ignored.
    pub async fn start_hearing_hang_ups() -> Self {
        let service = Self::spawn_command(&["serve"]);
        service.wait_for("/readiness_check", 200).await;
        service
    }

    /// Starts the binary after lines of a shell.
    pub async fn start_after(script: &str, variables: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().unwrap();
        let mut shell = command("/bin/sh", folder.path());
        shell.args(["-c", &format!("{script} && exec \"$0\""), BINARY]);
        let service = Self::spawn_by(shell, folder, variables);
        service.wait_for("/readiness_check", 200).await;
        service
    }

    fn spawn_in(folder: TempDir, variables: &[(&str, &str)]) -> Self {
        Self::spawn_by(command(BINARY, folder.path()), folder, variables)
    }

    fn spawn_by(mut command: Command, folder: TempDir, variables: &[(&str, &str)]) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        let child = command
            .env("APP_PORT", address.port().to_string())
            .env("METRICS_PORT", "0")
            // Generous, because the machine may be busy.
            .env("DB_ACQUIRE_TIMEOUT", "12s")
            // Budgets have their own tests.
            .env("RATE_LIMIT", "off")
            .envs(variables.iter().copied())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { address, child, folder }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Repeats a GET until the answer has that status.
    pub async fn wait_for(&self, path: &str, status: u16) {
        let started = Instant::now();
        loop {
            if self.try_get(path).await.is_ok_and(|answer| answer.status == status) {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "{path} never answered {status}:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the file is there.
    pub async fn wait_for_file(&self, path: &str) {
        let started = Instant::now();
        while !self.folder.path().join(path).exists() {
            assert!(started.elapsed() < PATIENCE, "{path} was never made:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the log contains the text.
    pub async fn wait_for_log(&self, text: &str) {
        let started = Instant::now();
        while !self.log().contains(text) {
            assert!(started.elapsed() < PATIENCE, "{text} was never logged:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.try_get(path).await.unwrap_or_else(|error| panic!("{error}:\n{}", self.log()))
    }

    pub async fn try_get(&self, path: &str) -> Result<Answer, SendError> {
        get(self.address, path).await
    }

    pub async fn query(&self, document: &str) -> Result<Answer, SendError> {
        query(self.address, document).await
    }

    /// Sends a signal, such as `TERM`.
    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([format!("-{signal}"), self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// The memory that the process uses now, in KiB.
    pub fn resident_kib(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// The most memory that the process has used, in KiB.
    pub fn peak_kib(&self) -> u64 {
        self.status("VmHWM:")
    }

    fn status(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// The processor time of the process so far, in milliseconds, in steps of ten.
    pub fn processor_ms(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // After the name in brackets: user and system time are the 14th and 15th field, in 1/100 s.
        let (_, fields) = stat.rsplit_once(')').unwrap();
        fields.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap() * 10).sum()
    }

    /// Waits until the process ends by itself.
    pub async fn ended(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(started.elapsed() < PATIENCE, "the process never ended:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub type SendError = Box<dyn std::error::Error + Send + Sync>;

/// Sends a GET to a service, on a new connection.
pub async fn get(address: SocketAddr, path: &str) -> Result<Answer, SendError> {
    send(address, Request::get(path).body(Body::empty())?).await
}

/// Posts a document to a service, on a new connection.
pub async fn query(address: SocketAddr, document: &str) -> Result<Answer, SendError> {
    let body = serde_json::json!({ "query": document }).to_string();
    send(address, Request::post("/graphql").header("content-type", "application/json").body(Body::from(body))?).await
}

/// Sends a request to a service, on a new connection.
pub async fn send(address: SocketAddr, mut request: Request<Body>) -> Result<Answer, SendError> {
    let exchange = async {
        let stream = TcpStream::connect(address).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        request.headers_mut().insert("host", "localhost".parse()?);
        let (parts, body) = sender.send_request(request).await?.into_parts();
        let bytes = body.collect().await?.to_bytes();
        Ok(Answer { status: parts.status, headers: parts.headers, body: String::from_utf8_lossy(&bytes).into_owned() })
    };
    tokio::time::timeout(PATIENCE, exchange).await?
}

/// A connection of HTTP/1.1 that a client keeps. It looks at the connection only when it reads an answer.
pub struct Kept {
    pub stream: TcpStream,
}

impl Kept {
    pub async fn open(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap() }
    }

    /// The answer to a GET; an error when there is none.
    pub async fn get(&mut self, path: &str) -> Result<Answer, SendError> {
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n")).await
    }

    /// The status and the first bytes of the answer to a request that may change the protocol.
    pub async fn head(&mut self, request: &str) -> Result<(u16, String), SendError> {
        self.stream.write_all(request.as_bytes()).await?;
        let mut bytes = vec![0; 4096];
        let read = timeout(PATIENCE, self.stream.read(&mut bytes)).await??;
        let text = String::from_utf8_lossy(&bytes[..read]).into_owned();
        let status = text.split(' ').nth(1).ok_or("no status")?.parse()?;
        Ok((status, text))
    }

    /// The answer, which has a `Content-Length`, to a request.
    pub async fn send(&mut self, request: &str) -> Result<Answer, SendError> {
        let exchange = async {
            self.stream.write_all(request.as_bytes()).await?;
            let (mut bytes, mut piece) = (Vec::new(), [0; 4096]);
            loop {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                if let Some((head, body)) = text.split_once("\r\n\r\n") {
                    let mut lines = head.lines();
                    let status = lines.next().and_then(|line| line.split(' ').nth(1)).ok_or("no status")?.parse()?;
                    let mut headers = HeaderMap::new();
                    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
                        headers.append(name.parse::<HeaderName>()?, value.parse()?);
                    }
                    let length: usize = headers.get("content-length").ok_or("no length")?.to_str()?.parse()?;
                    if body.len() >= length {
                        return Ok(Answer { status, headers, body: body.to_owned() });
                    }
                }
                match self.stream.read(&mut piece).await? {
                    0 => return Err("closed without an answer".into()),
                    read => bytes.extend_from_slice(&piece[..read]),
                }
            }
        };
        timeout(PATIENCE, exchange).await?
    }
}

/// Whether the other side closes the connection in time, while the test sends nothing more.
pub async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut bytes = vec![0; 1 << 16];
    let closed = async { while matches!(stream.read(&mut bytes).await, Ok(read) if read > 0) {} };
    timeout(PATIENCE, closed).await.is_ok()
}
