//! A child process whose output is captured, whose progress can be shown, and that does not outlive Ctrl-C.

use std::fmt;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use fs_err::File;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::interrupt::{self, Interrupted};

/// How often interrupts are checked and progress is shown.
const BEAT: Duration = Duration::from_millis(50);
/// How long to wait for output after the end of the child: a grandchild may keep the pipes open.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Why a child process has no result.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// The program is not there or not executable.
    #[error("`{}` cannot be started", program.display())]
    Spawn {
        /// The program as it was named.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The program ended with another status than zero, or by a signal.
    #[error("`{command}` failed with {status}{}", logged(log.as_deref()))]
    Failed {
        /// The command line.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// Where all of its output is, if a log was asked for.
        log: Option<PathBuf>,
        /// The end of what it wrote to stderr.
        #[source]
        said: LastLines,
    },
    /// The log could not be written, or the child not be waited for.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The user asked to stop; the child and its children have been killed.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

fn logged(log: Option<&Path>) -> String {
    log.map(|path| format!("; its output is in `{}`", path.display())).unwrap_or_default()
}

/// The end of a program's stderr, as the cause of an error.
#[derive(Debug)]
pub struct LastLines(Box<str>);

impl LastLines {
    const COUNT: usize = 20;

    /// The end of `stderr`. When something is cut off, all output is kept in a file, unless a log has it already.
    fn new(command: &str, stdout: &str, stderr: &str, is_logged: bool) -> io::Result<Self> {
        let lines: Vec<&str> = stderr.trim_end().lines().collect();
        let first = lines.len().saturating_sub(Self::COUNT);
        let mut text = lines[first..].join("\n");
        if first > 0 && !is_logged {
            let mut file = tempfile::Builder::new().prefix("jnumpy-output-").suffix(".log").tempfile()?;
            write!(file, "$ {command}\n{stdout}{stderr}")?;
            let path = file.into_temp_path().keep().map_err(|error| error.error)?;
            text = format!("{text}\n(all of its output: `{}`)", path.display());
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for LastLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "it wrote nothing to stderr" } else { &self.0 })
    }
}

impl std::error::Error for LastLines {}

/// What a child process that ended well has written. Bytes that are not UTF-8 are replaced.
#[derive(Debug)]
pub struct Output {
    /// Everything on stdout.
    pub stdout: String,
    /// Everything on stderr.
    pub stderr: String,
    /// From start to end.
    pub elapsed: Duration,
}

/// Runs `command` to its end with no stdin, in a process group of its own.
///
/// `log` gets the command line and both streams as they come; `progress` is called about twenty times a second.
pub fn run(
    mut command: Command,
    log: Option<&Path>,
    mut progress: impl FnMut(Duration),
) -> Result<Output, ChildError> {
    let started = Instant::now();
    let line = command_line(&command);
    tell(&line, &command);
    let mut log_file = log.map(File::create).transpose()?;
    if let Some(file) = &mut log_file {
        writeln!(file, "$ {line}")?;
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let child = command.spawn();
    let child =
        child.map_err(|source| ChildError::Spawn { program: command.get_program().into(), source })?;
    let mut group = Group { child, ended: false };

    let (sender, chunks) = mpsc::channel();
    if let Some(stdout) = group.child.stdout.take() {
        read(stdout, Stream::Stdout, sender.clone());
    }
    if let Some(stderr) = group.child.stderr.take() {
        read(stderr, Stream::Stderr, sender);
    }

    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let mut end: Option<(ExitStatus, Instant)> = None;
    loop {
        match chunks.recv_timeout(BEAT) {
            Ok((stream, bytes)) => {
                if let Some(file) = &mut log_file {
                    file.write_all(&bytes)?;
                }
                match stream {
                    Stream::Stdout => stdout.extend(bytes),
                    Stream::Stderr => stderr.extend(bytes),
                }
            }
            // Both pipes are closed, yet the child may still be at work.
            Err(RecvTimeoutError::Disconnected) if end.is_none() => thread::sleep(BEAT),
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {}
        }
        interrupt::check()?;
        progress(started.elapsed());
        match end {
            None => end = group.try_wait()?.map(|status| (status, Instant::now())),
            Some((_, at)) if at.elapsed() > LAST_WORDS => break,
            Some(_) => {}
        }
    }
    let elapsed = started.elapsed();
    let stdout = String::from_utf8_lossy(&stdout).into_owned();
    let stderr = String::from_utf8_lossy(&stderr).into_owned();
    match end {
        Some((status, _)) if !status.success() => {
            tracing::info!("{status} after {:.2} s: {line}", elapsed.as_secs_f64());
            let said = LastLines::new(&line, &stdout, &stderr, log.is_some())?;
            Err(ChildError::Failed { command: line, status, log: log.map(Path::to_path_buf), said })
        }
        _ => {
            tracing::info!("done in {:.2} s: {line}", elapsed.as_secs_f64());
            Ok(Output { stdout, stderr, elapsed })
        }
    }
}

/// Traces a command: its line and directory, and what its environment has beyond that of this process.
fn tell(line: &str, command: &Command) {
    let directory = command.get_current_dir().map(|directory| format!(" in {}", directory.display()));
    tracing::info!("run{}: {line}", directory.unwrap_or_default());
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            tracing::debug!("  with {}={}", name.display(), value.display());
        } else {
            tracing::debug!("  without {}", name.display());
        }
    }
}

/// The child and all it starts; killed when it is dropped before its end.
struct Group {
    child: std::process::Child,
    ended: bool,
}

impl Group {
    fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        let status = self.child.try_wait()?;
        self.ended = status.is_some();
        Ok(status)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.ended {
            // Either may fail only because the child is gone already.
            if let Ok(id) = i32::try_from(self.child.id()) {
                let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
            }
            let _ = self.child.wait();
        }
    }
}

#[derive(Clone, Copy)]
enum Stream {
    Stdout,
    Stderr,
}

fn read(mut pipe: impl Read + Send + 'static, stream: Stream, sender: mpsc::Sender<(Stream, Vec<u8>)>) {
    thread::spawn(move || {
        let mut buffer = [0; 8192];
        while let Ok(count @ 1..) = pipe.read(&mut buffer) {
            if sender.send((stream, buffer[..count].to_vec())).is_err() {
                return;
            }
        }
    });
}

/// The command for a message: words in quotes where a shell needs them, scripts of many lines left out.
fn command_line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| shown(&word.to_string_lossy())).collect::<Vec<_>>().join(" ")
}

fn shown(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./:=,+@%".contains(c);
    if word.contains('\n') {
        "'…'".into()
    } else if !word.is_empty() && word.chars().all(is_plain) {
        word.into()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn ok_streams_are_apart_and_logged() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        let output = run(shell("echo out; echo err >&2"), Some(&log), |_| ()).unwrap();
        assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("out\n", "err\n"));
        let logged = fs_err::read_to_string(&log).unwrap();
        assert!(logged.starts_with("$ /bin/sh -c 'echo out;"), "{logged}");
        assert!(logged.contains("out\n") && logged.contains("err\n"), "{logged}");
    }

    #[test]
    fn ok_progress_is_called_and_stdin_is_empty() {
        let mut beats = 0;
        run(shell("cat; sleep 0.3"), None, |_| beats += 1).unwrap();
        assert!(beats >= 3, "{beats}");
    }

    #[test]
    fn ok_a_grandchild_that_keeps_the_pipes_does_not_hang_us() {
        let started = Instant::now();
        let output = run(shell("echo done; sleep 30 & :"), None, |_| ()).unwrap();
        assert_eq!(output.stdout, "done\n");
        assert!(started.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn err_status_and_last_lines() {
        let script = "echo out; for i in $(seq 1 50); do echo line $i >&2; done; exit 7";
        let error = run(shell(script), None, |_| ()).unwrap_err();
        assert!(error.to_string().ends_with("failed with exit status: 7"), "{error}");
        let said = std::error::Error::source(&error).unwrap().to_string();
        let (end, kept) = said.split_once("\n(all of its output: `").unwrap();
        assert!(end.starts_with("line 31\n") && end.ends_with("line 50"), "{said}");
        let kept = kept.strip_suffix("`)").unwrap();
        let whole = fs_err::read_to_string(kept).unwrap();
        fs_err::remove_file(kept).unwrap();
        assert!(whole.starts_with("$ /bin/sh -c") && whole.contains("\nout\nline 1\nline 2\n"), "{whole}");
    }

    #[test]
    fn err_what_is_shown_whole_or_logged_is_not_kept() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        for (lines, log) in [(20, None), (50, Some(log.as_path()))] {
            let error = run(shell(&format!("seq 1 {lines} >&2; exit 7")), log, |_| ()).unwrap_err();
            let said = std::error::Error::source(&error).unwrap().to_string();
            assert!(said.ends_with(&format!("\n{lines}")), "{said}");
        }
    }

    #[test]
    fn err_no_such_program() {
        let error = run(Command::new("/no/such/program"), None, |_| ()).unwrap_err();
        assert_eq!(error.to_string(), "`/no/such/program` cannot be started");
    }

    #[test]
    fn ok_a_dropped_group_is_killed_with_its_children() {
        let directory = tempfile::tempdir().unwrap();
        let (ready, late) = (directory.path().join("ready"), directory.path().join("late"));
        let script =
            format!("(touch {}; sleep 1; touch {}) & wait", ready.to_string_lossy(), late.to_string_lossy());
        let mut command = shell(&script);
        command.process_group(0);
        let group = Group { child: command.spawn().unwrap(), ended: false };
        while !ready.exists() {
            thread::sleep(BEAT);
        }
        drop(group);
        thread::sleep(Duration::from_millis(1500));
        assert!(!late.exists(), "the grandchild lived on");
    }
}
