//! A child process: started, found ready, stopped or killed, started again.
//!
//! It never outlives its owner: dropping it kills and reaps it, and where `setpriv` is installed
//! the kernel kills it too when this process dies. It gets a process group of its own, so that
//! Ctrl-C in a terminal reaches its owner alone, and only the environment that it is given.

use std::{
    env,
    ffi::OsString,
    fs::{File, OpenOptions},
    io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{LazyLock, mpsc},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{probe, tools, wait};

/// How long a process may take until it is ready: one that is large, beside others on a slow machine.
const READY_DEADLINE: Duration = Duration::from_mins(1);

/// How many lines of a log an error shows.
const LOG_LINES: usize = 500;

/// How many characters of a line it shows: some of Envoy's are kilobytes.
const LINE_CHARS: usize = 300;

/// By this the lines are known in which Envoy lists its extensions at its start.
const ENVOYS_EXTENSIONS: &str = "[source/server/server.cc:467]";

/// How often a server is started on other ports when somebody else was quicker.
const MAX_STARTS: usize = 5;

/// What every child inherits from the environment: what finds programs, certificates, temporary
/// files and the way out, and nothing that might be a secret.
const INHERITED: &[&str] = &[
    "PATH",
    "HOME",
    "TMPDIR",
    "LANG",
    "RUST_LOG",
    "RUST_BACKTRACE",
    "NO_COLOR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTPS_PROXY",
    "https_proxy",
    "NO_PROXY",
    "no_proxy",
];

/// How a process shows that it is ready.
#[derive(Clone, Copy, Debug)]
pub enum Ready {
    /// It takes connections on this port of 127.0.0.1.
    Tcp(u16),
    /// It answers 200 to a GET of the path on this port of 127.0.0.1.
    Http(u16, &'static str),
}

/// What to start.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The name by which messages call it.
    pub name: &'static str,
    /// The program's path.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Its environment, beside what every child inherits.
    pub env: Vec<(String, OsString)>,
    /// Whether its standard output goes to ours, not to the log.
    pub shows_output: bool,
    /// When it is ready.
    pub ready: Ready,
}

impl Spec {
    /// A program with only the environment that every child inherits, whose output goes to its log.
    pub fn new(name: &'static str, program: PathBuf, args: Vec<OsString>, ready: Ready) -> Self {
        Self { name, program, args, env: Vec::new(), shows_output: false, ready }
    }
}

/// Why a process is not running as it should.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It could not be started, looked at or stopped.
    #[error("{name}: {source}")]
    Io {
        /// The process.
        name: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// It ended before it was ready.
    #[error("{name} ended ({status}) before it was ready; the end of its log:\n{log}")]
    Died {
        /// The process.
        name: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// The last lines of its log.
        log: String,
    },
    /// It was not ready in time.
    #[error("{name} was not ready within {READY_DEADLINE:?}; the end of its log:\n{log}")]
    NotReady {
        /// The process.
        name: &'static str,
        /// The last lines of its log.
        log: String,
    },
}

impl ProcessError {
    /// Whether another program has taken the port in the meantime.
    pub fn address_in_use(&self) -> bool {
        match self {
            Self::Io { source, .. } => source.kind() == io::ErrorKind::AddrInUse,
            Self::Died { log, .. } | Self::NotReady { log, .. } => {
                log.to_ascii_lowercase().contains("address already in use")
            }
        }
    }
}

/// A running child process with a directory of its own. Its log is the file `log` in there.
#[derive(Debug)]
pub struct Process {
    spec: Spec,
    dir: TempDir,
    child: Child,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Starts it and waits until it is ready.
    pub async fn start(spec: Spec, dir: TempDir) -> Result<Self, ProcessError> {
        let child = spawn(&spec, dir.path())?;
        let mut process = Self { spec, dir, child, ended: None };
        process.ready().await?;
        Ok(process)
    }

    /// Starts it again as before, with its directory as it left it, after a stop or a kill.
    pub async fn restart(&mut self) -> Result<(), ProcessError> {
        self.start_again()?;
        self.ready().await
    }

    /// The same without waiting until it is ready.
    pub fn start_again(&mut self) -> Result<(), ProcessError> {
        self.kill();
        self.child = spawn(&self.spec, self.dir.path())?;
        self.ended = None;
        Ok(())
    }

    /// Sends SIGTERM and waits for it to end; kills it when `grace` has passed.
    pub async fn stop(&mut self, grace: Duration) -> Result<Stopped, ProcessError> {
        self.terminate()?;
        Ok(self.ends_within(grace).await)
    }

    /// Waits for it to end; kills it when `grace` has passed.
    pub async fn ends_within(&mut self, grace: Duration) -> Stopped {
        match wait::poll(grace, || std::future::ready(self.ended())).await {
            Some(status) => Stopped::Gracefully(status),
            None => {
                self.kill();
                Stopped::Killed
            }
        }
    }

    /// Sends SIGTERM and does not wait.
    pub fn terminate(&mut self) -> Result<(), ProcessError> {
        self.signal(Signal::TERM)
    }

    /// Stops it in its tracks (SIGSTOP): it keeps its connections and answers nothing.
    pub fn pause(&mut self) -> Result<(), ProcessError> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on after a pause.
    pub fn resume(&mut self) -> Result<(), ProcessError> {
        self.signal(Signal::CONT)
    }

    fn signal(&mut self, signal: Signal) -> Result<(), ProcessError> {
        if self.ended().is_none()
            && let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
        {
            kill_process(pid, signal).map_err(|errno| self.failed(errno.into()))?;
        }
        Ok(())
    }

    /// Kills it with SIGKILL and reaps it.
    pub fn kill(&mut self) {
        if self.ended.is_none() {
            // An error means that it has ended by itself.
            let _ = self.child.kill();
            self.ended = self.child.wait().ok();
        }
    }

    /// How it ended, or `None` while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().ok().flatten();
        }
        self.ended
    }

    /// The name by which messages call it.
    pub fn name(&self) -> &'static str {
        self.spec.name
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// All that it has logged.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(log_path(self.dir.path())).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The end of what it has logged, but for Envoy's long list of what it is made of.
    pub fn log_end(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().filter(|line| !line.contains(ENVOYS_EXTENSIONS)).collect();
        last_lines(&lines, LOG_LINES)
    }

    /// Waits until it is ready.
    pub async fn ready(&mut self) -> Result<(), ProcessError> {
        let ready = self.spec.ready;
        let end = tokio::time::Instant::now() + READY_DEADLINE;
        while tokio::time::Instant::now() < end {
            if let Some(status) = self.ended() {
                return Err(ProcessError::Died { name: self.spec.name, status, log: self.log_end() });
            }
            if is_ready(ready).await {
                return Ok(());
            }
            tokio::time::sleep(wait::INTERVAL).await;
        }
        Err(ProcessError::NotReady { name: self.spec.name, log: self.log_end() })
    }

    fn failed(&self, source: io::Error) -> ProcessError {
        ProcessError::Io { name: self.spec.name, source }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// How a process was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// It ended by itself within its time.
    Gracefully(ExitStatus),
    /// It had to be killed.
    Killed,
}

/// Runs `start` until it does not fail because an address is in use, 5 times at the most.
pub async fn on_free_ports<T, F>(mut start: impl FnMut() -> F) -> anyhow::Result<T>
where
    F: Future<Output = anyhow::Result<T>>,
{
    let in_use = |error: &anyhow::Error| error.downcast_ref().is_some_and(ProcessError::address_in_use);
    for _ in 1..MAX_STARTS {
        match start().await {
            Err(error) if in_use(&error) => {}
            other => return other,
        }
    }
    start().await
}

async fn is_ready(ready: Ready) -> bool {
    match ready {
        Ready::Tcp(port) => probe::connects(port).await,
        Ready::Http(port, path) => probe::status(port, path).await.is_ok_and(|status| status == 200),
    }
}

fn spawn(spec: &Spec, dir: &Path) -> Result<Child, ProcessError> {
    let failed = |source| ProcessError::Io { name: spec.name, source };
    let log = OpenOptions::new().create(true).append(true).open(log_path(dir)).map_err(failed)?;
    let stdout = if spec.shows_output { Stdio::inherit() } else { file(&log).map_err(failed)? };
    let mut command = Command::new(SETPRIV.as_deref().unwrap_or(&spec.program));
    if SETPRIV.is_some() {
        command.args(["--pdeathsig", "KILL", "--"]).arg(&spec.program);
    }
    command.args(&spec.args).current_dir(dir).env_clear();
    command.envs(INHERITED.iter().filter_map(|name| Some((name, env::var_os(name)?))));
    command.envs(spec.env.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).stdout(stdout).stderr(Stdio::from(log)).process_group(0);
    on_spawner(command).map_err(failed)
}

fn file(log: &File) -> io::Result<Stdio> {
    Ok(Stdio::from(log.try_clone()?))
}

fn log_path(dir: &Path) -> PathBuf {
    dir.join("log")
}

fn last_lines(lines: &[&str], count: usize) -> String {
    let end = lines.get(lines.len().saturating_sub(count)..).unwrap_or_default();
    let cut = |line: &&str| line.chars().take(LINE_CHARS).collect::<String>();
    end.iter().map(cut).collect::<Vec<_>>().join("\n")
}

/// util-linux's `setpriv`, by which a child asks the kernel to be killed with its parent.
static SETPRIV: LazyLock<Option<PathBuf>> = LazyLock::new(|| tools::in_path("setpriv"));

type Order = (Command, mpsc::Sender<io::Result<Child>>);

/// Starts a process from a thread that lives as long as this process: by "parent" the kernel means
/// the thread that started a child, and a runtime's threads come and go.
fn on_spawner(command: Command) -> io::Result<Child> {
    static SPAWNER: LazyLock<std::sync::Mutex<mpsc::Sender<Order>>> = LazyLock::new(|| {
        let (orders, inbox) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in inbox {
                // Nobody waits for an answer that cannot be sent.
                let _ = answer.send(command.spawn());
            }
        });
        std::sync::Mutex::new(orders)
    });
    let gone = || io::Error::other("the thread that starts processes is gone");
    let (answer, result) = mpsc::channel();
    let spawner = SPAWNER.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
    spawner.send((command, answer)).map_err(|_| gone())?;
    result.recv().map_err(|_| gone())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, ready: Ready) -> Spec {
        let args = vec!["-c".into(), script.into()];
        let env = vec![("GIVEN".into(), "yes".into())];
        Spec { env, ..Spec::new("a shell", "/bin/sh".into(), args, ready) }
    }

    async fn listening() -> (tokio::net::TcpListener, Ready) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let port = listener.local_addr().expect("address").port();
        (listener, Ready::Tcp(port))
    }

    fn temp() -> TempDir {
        TempDir::new().expect("a directory")
    }

    #[tokio::test]
    async fn a_process_that_ends_early_is_reported_with_its_log() {
        let nowhere = Ready::Tcp(crate::system::ports::free().expect("a port"));
        let spec = shell("echo bind: Address already in use >&2; exit 3", nowhere);
        let error = Process::start(spec, temp()).await.expect_err("it ends");
        assert!(error.to_string().contains("exit status: 3"), "{error}");
        assert!(error.address_in_use());
    }

    #[tokio::test]
    async fn a_process_sees_only_the_environment_it_is_given() {
        let (_listener, ready) = listening().await;
        let mut process =
            Process::start(shell("env; exec sleep 60", ready), temp()).await.expect("it starts");
        wait::until("the environment", || process.log().contains("GIVEN=yes")).await;
        assert!(!process.log().contains("CARGO_MANIFEST_DIR"));
        assert_eq!(process.ended(), None);
    }

    #[tokio::test]
    async fn a_process_that_ignores_sigterm_is_killed_after_its_grace() {
        let (_listener, ready) = listening().await;
        let spec = shell("trap '' TERM; echo up; while :; do sleep 0.1; done", ready);
        let mut process = Process::start(spec, temp()).await.expect("it starts");
        wait::until("the trap", || process.log().contains("up")).await;
        assert_eq!(process.stop(Duration::from_millis(200)).await.expect("a stop"), Stopped::Killed);
    }

    #[tokio::test]
    async fn a_restart_keeps_the_directory_and_adds_to_the_log() {
        let (_listener, ready) = listening().await;
        let spec = shell("echo x >> seen; echo started; exec sleep 60", ready);
        let mut process = Process::start(spec, temp()).await.expect("it starts");
        wait::until("the first line", || process.log().contains("started")).await;
        assert!(matches!(process.stop(wait::DEADLINE).await, Ok(Stopped::Gracefully(_))));
        process.restart().await.expect("it starts again");
        wait::until("the second line", || process.log().matches("started").count() == 2).await;
        assert_eq!(std::fs::read_to_string(process.dir().join("seen")).expect("seen"), "x\nx\n");
    }

    #[test]
    fn a_long_log_is_cut_to_its_end() {
        assert_eq!(last_lines(&["a", "b", "c"], 2), "b\nc");
        assert_eq!(last_lines(&["a"], 2), "a");
    }
}
