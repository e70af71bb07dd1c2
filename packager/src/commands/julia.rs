//! `jnumpy-pack julia`: which Julia is used, and installing one.

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use crate::packing::Error;
use crate::stages::julia::install::{self, Archive, InstallError, Origins, Request};
use crate::stages::julia::{self, Choice, Found, Julia, JuliaError, Surroundings, Wanted};
use jnumpy_base::Report;

/// Find or install the Julia that wheels are built with.
///
/// The first of these that exists is used: `--julia`, the environment variable `TYPY_JL_EXE`, the installed Julia chosen with
/// `julia use`, `julia` on `PATH`, the newest of those installed below `JNUMPY_HOME` (default: `~/.jnumpy`), juliaup's
/// default.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the path of the Julia that is used.
    Find {
        /// Use this Julia: a path, a command, or a channel of juliaup such as `+1.10`; `auto` installs one when none
        /// is found.
        #[arg(long, value_name = "PATH|auto")]
        julia: Option<Choice>,
        #[command(flatten)]
        format: Format,
    },
    /// List the Julias that can be used, or those that can be installed.
    List {
        /// List the official versions that can be installed.
        #[arg(long)]
        available: bool,
        #[command(flatten)]
        origins: Server,
        #[command(flatten)]
        format: Format,
    },
    /// Install a Julia.
    ///
    /// An official archive is downloaded, compared with the size and the SHA-256 in the index of versions, and unpacked
    /// below `JNUMPY_HOME`. An interrupted download is resumed by the next run. Versions are installed side by side.
    /// Proxies are taken from `https_proxy`, `http_proxy`, `all_proxy` and `no_proxy`.
    Install {
        /// `lts`, `release`, a series such as `1.10`, or a version such as `1.12.2`.
        #[arg(value_name = "VERSION", default_value = "lts")]
        version: String,
        /// Install from another source than the official archives.
        #[arg(long, value_name = "SOURCE", conflicts_with_all = ["version", "index", "server"])]
        from: Option<Source>,
        #[command(flatten)]
        origins: Server,
        #[command(flatten)]
        format: Format,
    },
    /// Choose the installed Julia that is used if no other is named.
    Use {
        /// A version, a series such as `1.10` for its newest version, or a name from `julia list`.
        #[arg(value_name = "VERSION", required_unless_present = "none")]
        version: Option<String>,
        /// Remove the choice.
        #[arg(long, conflicts_with = "version")]
        none: bool,
    },
    /// Remove an installed Julia.
    Remove {
        /// A version, a series with one installed version, or a name from `julia list`.
        #[arg(value_name = "VERSION")]
        version: String,
    },
}

#[derive(Debug, Args)]
struct Format {
    /// Print JSON rather than text.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Server {
    /// Address or path of the index of versions [env: JNUMPY_JULIA_INDEX].
    #[arg(long, value_name = "URL|PATH")]
    index: Option<String>,
    /// A mirror with the paths of the official server [env: JNUMPY_JULIA_SERVER, JULIAUP_SERVER].
    #[arg(long, value_name = "URL")]
    server: Option<String>,
}

impl From<Server> for Origins {
    fn from(server: Server) -> Self {
        Self { index: server.index, server: server.server }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Source {
    /// Julia 1.5 from the Debian mirror that this machine's apt uses.
    Debian,
}

impl Arguments {
    pub(super) fn json(&self) -> bool {
        match &self.command {
            Command::Find { format, .. } | Command::List { format, .. } | Command::Install { format, .. } => {
                format.json
            }
            Command::Use { .. } | Command::Remove { .. } => false,
        }
    }
}

pub(super) fn run(arguments: Arguments, report: &Report) -> Result<(), Error> {
    let surroundings = Surroundings::from_environment()?;
    match arguments.command {
        Command::Find { julia: choice, format } => {
            let julia = install::provide(&choice.unwrap_or_default(), &surroundings, report)?;
            report.say(format_args!("Julia {} ({})", julia.version, julia.origin));
            show(&julia, &format, report);
        }
        Command::List { available: true, origins, format } => {
            list_available(origins, &format, &surroundings, report)?;
        }
        Command::List { format, .. } => {
            let found = julia::list(&surroundings)?;
            if format.json {
                json(&List { version: FORMAT, julias: found.iter().map(Row::of).collect() }, report);
            } else {
                for one in &found {
                    line(one, report);
                }
            }
        }
        Command::Install { version, from, origins, format } => {
            let request = match from {
                Some(Source::Debian) => Request::Debian,
                None => Request::Official {
                    wanted: version.parse().map_err(InstallError::from).map_err(JuliaError::from)?,
                    origins: origins.into(),
                },
            };
            let installed = install::install(request, &surroundings, report)?;
            let what = if installed.fresh { "installed" } else { "already installed, nothing to do" };
            report.say(format_args!("Julia {}: {what}", installed.julia.version));
            show(&installed.julia, &format, report);
        }
        Command::Use { version, .. } => {
            match install::set_default_to(version.as_deref(), &surroundings, report)? {
                Some(julia) => {
                    report.say(format_args!("Julia {} ({})", julia.version, julia.origin));
                    report.data(julia.executable.display());
                }
                None => report.say("no installed Julia is the default"),
            }
        }
        Command::Remove { version } => {
            let removed = install::remove(&version, &surroundings, report)?;
            report.say(format_args!("Julia {}: removed", removed.version));
            report.data(removed.prefix.display());
        }
    }
    Ok(())
}

fn list_available(
    origins: Server,
    format: &Format,
    surroundings: &Surroundings,
    report: &Report,
) -> Result<(), Error> {
    let index = install::available(origins.into()).map_err(JuliaError::Install)?;
    let installed = julia::installed(&surroundings.managed)?;
    let channels: Vec<(&str, Option<Archive>)> = [("lts", Wanted::Lts), ("release", Wanted::Release)]
        .into_iter()
        .map(|(name, wanted)| (name, install::newest(&index, &wanted).ok()))
        .collect();
    let rows: Vec<Available> = index
        .archives()
        .filter(|archive| install::is_supported(&archive.version))
        .map(|archive| Available {
            channels: channels
                .iter()
                .filter(|(_, newest)| newest.as_ref() == Some(&archive))
                .map(|(name, _)| *name)
                .collect(),
            installed: installed.iter().any(|one| one.version == archive.version),
            julia_version: archive.version.to_string(),
            sha256: archive.sha256.clone(),
            size: archive.size,
            stable: archive.stable,
            url: archive.shown_url(),
        })
        .collect();
    if format.json {
        json(&AvailableList { available: rows, version: FORMAT }, report);
        return Ok(());
    }
    for row in rows {
        let prerelease = (!row.stable).then_some("prerelease");
        let present = row.installed.then_some("installed");
        let notes: Vec<&str> = row.channels.into_iter().chain(prerelease).chain(present).collect();
        report.data(format_args!("{}\t{}", row.julia_version, notes.join(", ")));
    }
    Ok(())
}

const FORMAT: u32 = 1;

#[derive(Serialize)]
struct List {
    julias: Vec<Row>,
    version: u32,
}

#[derive(Serialize)]
struct One {
    julia: Row,
    version: u32,
}

#[derive(Serialize)]
struct AvailableList {
    available: Vec<Available>,
    version: u32,
}

/// An official archive in JSON; keys in alphabetical order.
#[derive(Serialize)]
struct Available {
    channels: Vec<&'static str>,
    installed: bool,
    julia_version: String,
    sha256: String,
    size: u64,
    stable: bool,
    url: String,
}

/// A Julia in JSON; keys in alphabetical order.
#[derive(Serialize)]
struct Row {
    executable: String,
    julia_version: Option<String>,
    libjulia: Option<String>,
    origin: String,
    prefix: Option<String>,
    problem: Option<String>,
}

impl Row {
    fn good(julia: &Julia) -> Self {
        Self {
            executable: julia.executable.display().to_string(),
            julia_version: Some(julia.version.to_string()),
            libjulia: Some(julia.prefix.join(&julia.layout.libjulia).display().to_string()),
            origin: julia.origin.to_string(),
            prefix: Some(julia.prefix.display().to_string()),
            problem: None,
        }
    }

    fn of(found: &Found) -> Self {
        let bad = |error: &JuliaError| Self {
            executable: found.executable.display().to_string(),
            julia_version: None,
            libjulia: None,
            origin: found.origin.to_string(),
            prefix: None,
            problem: Some(error.to_string()),
        };
        found.julia.as_ref().map_or_else(bad, Self::good)
    }
}

fn show(julia: &Julia, format: &Format, report: &Report) {
    if format.json {
        json(&One { julia: Row::good(julia), version: FORMAT }, report);
    } else {
        report.data(julia.executable.display());
    }
}

fn line(found: &Found, report: &Report) {
    match &found.julia {
        Ok(julia) => {
            report.data(format_args!("{}\t{}\t{}", julia.version, julia.executable.display(), julia.origin));
        }
        Err(error) => report.warn(error),
    }
}

fn json(value: &impl Serialize, report: &Report) {
    // These are strings and numbers only: nothing that JSON cannot say.
    if let Ok(text) = serde_json::to_string_pretty(value) {
        report.data(text);
    }
}
