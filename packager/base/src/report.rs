//! All output for people. Results go to stdout, messages to stderr, and progress is shown on a terminal only.

use std::cell::Cell;
use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::Hint;
use crate::env_vars::NO_COLOR;

/// Prints for a person (text on stderr, progress on a terminal) and for scripts (data on stdout).
#[derive(Debug)]
pub struct Report {
    terminal: bool,
    quiet: bool,
    /// Whether anything is on stdout.
    has_data: AtomicBool,
}

impl Report {
    /// Talks on stderr; with `quiet` only warnings and errors are said.
    #[must_use]
    pub fn new(quiet: bool) -> Self {
        Self { terminal: std::io::stderr().is_terminal(), quiet, has_data: AtomicBool::new(false) }
    }

    /// Also traces to stderr what is done, with `verbosity` 1: decisions, child commands, and how long they took; from 2
    /// on also what they are decided by, and environments of commands. Lines are not redrawn then.
    #[must_use]
    pub fn tracing(self, verbosity: u8) -> Self {
        let level = match verbosity {
            0 => return self,
            1 => tracing::Level::INFO,
            _ => tracing::Level::DEBUG,
        };
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(level)
            .with_writer(std::io::stderr)
            .with_timer(tracing_subscriber::fmt::time::uptime())
            .with_ansi(false)
            .with_level(false)
            .with_target(false)
            .finish();
        // Only a second call can fail, and the first one goes on.
        let _ = tracing::subscriber::set_global_default(subscriber);
        Self { terminal: false, ..self }
    }

    /// Starts a stage of work; it says how long it took when it is done.
    pub fn stage(&self, name: impl Into<String>) -> Stage<'_> {
        let stage =
            Stage { report: self, name: name.into(), started: Instant::now(), drawn: Cell::new(None) };
        stage.draw("");
        stage
    }

    /// Starts a stage that moves bytes, `total` of them if that is known.
    #[must_use]
    pub fn transfer(&self, name: &'static str, total: Option<u64>) -> Transfer<'_> {
        const WITH_TOTAL: &str =
            "{prefix:>10}  {wide_bar} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {eta}";
        const WITHOUT: &str = "{prefix:>10}  {decimal_bytes} {decimal_bytes_per_sec}";
        let shown = self.terminal && !self.quiet;
        let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(total, target).with_prefix(name);
        if let Ok(style) = ProgressStyle::with_template(if total.is_some() { WITH_TOTAL } else { WITHOUT }) {
            bar.set_style(style);
        }
        Transfer { report: self, name, started: Instant::now(), bar }
    }

    /// One line of talk.
    pub fn say(&self, text: impl Display) {
        if !self.quiet {
            talk(format_args!("{text}\n"));
        }
    }

    /// A line that says itself how grave it is; said even when quiet.
    pub fn remark(&self, text: impl Display) {
        talk(format_args!("{text}\n"));
    }

    /// Something the user should know although the work goes on.
    pub fn warn(&self, text: impl Display) {
        talk(format_args!("warning: {text}\n"));
    }

    /// The result of a command, on stdout. A reader that went away is no error.
    pub fn data(&self, text: impl Display) {
        self.has_data.store(true, Ordering::Relaxed);
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    }

    /// Whether a result, or a part of one, has been printed.
    #[must_use]
    pub fn has_data(&self) -> bool {
        self.has_data.load(Ordering::Relaxed)
    }

    /// The number of columns of the terminal that stdout is; `None` if it is a file or a pipe, which takes lines of any length.
    #[must_use]
    pub fn width(&self) -> Option<usize> {
        terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| width.0.into())
    }

    /// The same for stderr, where talk goes.
    #[must_use]
    pub fn talk_width(&self) -> Option<usize> {
        terminal_size::terminal_size_of(std::io::stderr()).map(|(width, _)| width.0.into())
    }

    /// A heading among the lines of a result; bold on a terminal, unless `NO_COLOR` is set.
    pub fn heading(&self, text: impl Display) {
        let plain = std::env::var_os(NO_COLOR).is_some_and(|value| !value.is_empty());
        if plain || !std::io::stdout().is_terminal() {
            self.data(text);
        } else {
            self.data(format_args!("\x1b[1m{text}\x1b[0m"));
        }
    }

    /// An error with its causes, and what to do about it.
    pub fn error<E: std::error::Error + Hint>(&self, error: &E) {
        talk(format_args!("error: {error}\n"));
        let mut source = error.source();
        while let Some(cause) = source {
            talk(format_args!("  caused by: {cause}\n"));
            source = cause.source();
        }
        if let Some(hint) = error.hint() {
            talk(format_args!("\nhint: {hint}\n"));
        }
    }
}

/// A stage of work under way. Ended by [`Stage::done`]; dropped without it (an error), the line is wiped.
#[derive(Debug)]
pub struct Stage<'a> {
    report: &'a Report,
    name: String,
    started: Instant,
    drawn: Cell<Option<Instant>>,
}

impl Stage<'_> {
    /// Redraws the line on a terminal, at most ten times a second.
    pub fn progress(&self, detail: impl Display) {
        let due = self.drawn.get().is_none_or(|at| at.elapsed() > Duration::from_millis(100));
        if due {
            self.draw(&detail.to_string());
        }
    }

    /// Ends the stage with a summary.
    pub fn done(self, summary: impl Display) {
        self.wipe();
        let seconds = self.started.elapsed().as_secs_f64();
        self.report.say(format_args!("{:>10}  {summary} ({seconds:.1} s)", self.name));
        self.drawn.set(None);
    }

    fn draw(&self, detail: &str) {
        if self.report.terminal && !self.report.quiet {
            let seconds = self.started.elapsed().as_secs();
            talk(format_args!("\r\x1b[2K{:>10}  {detail} {seconds} s", self.name));
            self.drawn.set(Some(Instant::now()));
        }
    }

    fn wipe(&self) {
        if self.report.terminal && !self.report.quiet {
            talk(format_args!("\r\x1b[2K"));
        }
    }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        if self.drawn.get().is_some() {
            self.wipe();
        }
    }
}

/// A stage that moves bytes. Ended by [`Transfer::done`]; dropped without it (an error), the bar is wiped.
#[derive(Debug)]
pub struct Transfer<'a> {
    report: &'a Report,
    name: &'static str,
    started: Instant,
    bar: ProgressBar,
}

impl Transfer<'_> {
    /// So many bytes more have been moved.
    pub fn add(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    /// So many bytes have been moved altogether.
    pub fn at(&self, bytes: u64) {
        self.bar.set_position(bytes);
    }

    /// One line of talk above the bar.
    pub fn say(&self, text: impl Display) {
        self.bar.suspend(|| self.report.say(text));
    }

    /// Ends the stage with a summary.
    pub fn done(self, summary: impl Display) {
        self.bar.finish_and_clear();
        let seconds = self.started.elapsed().as_secs_f64();
        self.report.say(format_args!("{:>10}  {summary} ({seconds:.1} s)", self.name));
    }
}

impl Drop for Transfer<'_> {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn talk(text: std::fmt::Arguments<'_>) {
    // Nobody is left to tell when stderr itself is gone.
    let _ = std::io::stderr().lock().write_fmt(text);
}
