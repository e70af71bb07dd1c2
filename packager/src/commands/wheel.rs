//! `jnumpy-pack wheel`: packs a project.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use crate::packing::Error;
use crate::packing::finalize::INDEX_LIMIT;
use crate::packing::pack::{Compiled, PackRequest, Plan, Share};
use crate::stages::bundle;
use crate::stages::image::StandardLibraries;
use crate::stages::julia::Choice;
use crate::stages::project::Stdlibs;
use jnumpy_base::Report;
use jnumpy_base::text::{cut_path_to, printable};
use jnumpy_wheel::{Compression, WheelEntry, Written};

/// Number of files in the size table.
const ROWS: usize = 12;
/// Version of the JSON output.
const FORMAT: u32 = 1;

/// Headings of the help.
const COMPILING: &str = "Compiling";
const CONTENTS: &str = "What goes into the wheel";
const OUTPUT: &str = "Output";

/// Pack a project into a self-contained wheel.
///
/// The project is a directory with `pyproject.toml` and a Python package that contains `Project.toml` and
/// `src/<name>.jl`. System images are cached in `JNUMPY_HOME` (default: `~/.jnumpy`), so that packing after a change in
/// Python files takes seconds.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(super) struct Arguments {
    /// Directory with `pyproject.toml`.
    #[arg(value_name = "PROJECT", default_value = ".")]
    project: PathBuf,
    /// Directory for the wheel.
    #[arg(long, value_name = "DIR", default_value = "dist", help_heading = OUTPUT)]
    out_dir: PathBuf,
    /// Julia to pack; `auto` installs one if none is found.
    #[arg(long, value_name = "PATH|auto", help_heading = CONTENTS)]
    julia: Option<Choice>,
    /// CPU targets of the image, as for `julia --cpu-target`; default: every processor, plus code for newer ones.
    #[arg(long, value_name = "TARGET", conflicts_with = "no_image", help_heading = COMPILING, hide_short_help = true)]
    cpu_target: Option<String>,
    /// What to compile ahead of time; `packages` needs Julia 1.9. Default: `full`, or as much as `--shared` permits.
    #[arg(long, value_name = "KIND", value_enum, help_heading = COMPILING)]
    image: Option<Compiled>,
    /// The same as `--image none`.
    #[arg(long, conflicts_with = "image", help_heading = COMPILING, hide_short_help = true)]
    no_image: bool,
    /// Omit Julia's compiler (Julia 1.9 and later). Packing then runs the workload without it before it writes the wheel.
    #[arg(long, conflicts_with = "no_image", help_heading = COMPILING)]
    no_compiler: bool,
    /// Standard libraries in a full image; default: `all`.
    #[arg(long, value_name = "WHICH", value_enum, help_heading = COMPILING, hide_short_help = true)]
    stdlibs: Option<Stdlibs>,
    /// Omit Julia, and require the wheel of Julia that `julia-wheel` has made.
    #[arg(long, help_heading = CONTENTS)]
    shared: bool,
    /// Wheel of Julia to pack for; default: the one in `--out-dir`.
    #[arg(long, value_name = "WHEEL", help_heading = CONTENTS, hide_short_help = true)]
    julia_wheel: Option<PathBuf>,
    /// Python with NumPy that runs the workload; default: the active environment's.
    #[arg(long, value_name = "PATH", conflicts_with = "no_image", help_heading = COMPILING)]
    python: Option<PathBuf>,
    /// Runtime wheel to bundle; default: the one installed with this command.
    #[arg(long, value_name = "WHEEL", help_heading = CONTENTS, hide_short_help = true)]
    runtime: Option<PathBuf>,
    /// Fail unless the wheel runs on this platform, for example `manylinux_2_28`; default: the oldest tag that its files
    /// allow.
    #[arg(long, value_name = "TAG", help_heading = OUTPUT, hide_short_help = true)]
    platform: Option<String>,
    /// Compression level; default: `default`, or `best` if only `best` brings the wheel below the size limit of the Python
    /// index.
    #[arg(long, value_name = "HOW", value_enum, help_heading = OUTPUT, hide_short_help = true)]
    compress: Option<Compress>,
    /// Print why a file or library is included or left out, and write no wheel. Can be repeated.
    #[arg(long, value_name = "NAME", conflicts_with = "json", help_heading = OUTPUT, hide_short_help = true)]
    explain: Vec<String>,
    /// List the contents of the wheel without writing it.
    #[arg(long, help_heading = OUTPUT)]
    dry_run: bool,
    /// Print one JSON object on stdout.
    #[arg(long, help_heading = OUTPUT)]
    pub(super) json: bool,
}

/// The choices of `--compress`.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(super) enum Compress {
    /// Fastest; the wheel is 10 % larger.
    Fast,
    /// Balanced.
    Default,
    /// Smallest; the wheel is 5 % smaller and takes ten times as long.
    Best,
}

impl From<Compress> for Compression {
    fn from(choice: Compress) -> Self {
        match choice {
            Compress::Fast => Self::Fast,
            Compress::Default => Self::Default,
            Compress::Best => Self::Best,
        }
    }
}

pub(super) fn run(arguments: Arguments, report: &Report) -> Result<(), Error> {
    let request = PackRequest {
        project: arguments.project,
        out_dir: arguments.out_dir,
        julia: arguments.julia.unwrap_or_default(),
        cpu_target: arguments.cpu_target,
        image: if arguments.no_image { Some(Compiled::None) } else { arguments.image },
        compiler: arguments.no_compiler.then_some(false),
        stdlibs: arguments.stdlibs,
        share: (arguments.shared || arguments.julia_wheel.is_some()).then_some(Share::Takes),
        julia_wheel: arguments.julia_wheel,
        python: arguments.python.map(program).transpose()?,
        runtime: arguments.runtime,
        platform: arguments.platform,
        compression: arguments.compress.map(Compression::from),
    };
    let writes = !arguments.dry_run && arguments.explain.is_empty();
    if writes {
        request.check_surroundings()?;
    }
    let plan = request.plan(report)?;
    if !arguments.explain.is_empty() {
        for name in &arguments.explain {
            report.data(plan.bundle.explanations.of(name)?.trim_end());
        }
        return Ok(());
    }
    finish(&request, &plan, writes, arguments.json, report)
}

/// Writes the wheel if asked to, and prints what is in it.
pub(super) fn finish(
    request: &PackRequest,
    plan: &Plan,
    writes: bool,
    json: bool,
    report: &Report,
) -> Result<(), Error> {
    let written = if writes { Some(plan.write(request, report)?) } else { None };
    let outcome = Outcome::of(plan, written.as_ref())?;
    if json {
        report.data(serde_json::to_string_pretty(&outcome).map_err(std::io::Error::from)?);
    } else {
        outcome.table(report);
        if let Some(written) = &written {
            report.data(written.path.display());
        }
    }
    Ok(())
}

/// A program, as a shell finds it: a bare name is searched on `PATH`, and anything else is a path.
pub(super) fn program(given: PathBuf) -> Result<PathBuf, std::io::Error> {
    if given.components().count() > 1 { std::path::absolute(given) } else { Ok(given) }
}

/// The result of packing: printed as a table or as JSON.
#[derive(Debug, Serialize)]
struct Outcome {
    version: u32,
    /// The wheel's file name.
    name: String,
    /// `None` after `--dry-run`.
    path: Option<PathBuf>,
    /// In bytes; `None` after `--dry-run`.
    size: Option<u64>,
    sha256: Option<String>,
    julia: JuliaPart,
    image: Option<ImagePart>,
    /// Why each one is in the image, and which are not; `None` when it has those of Julia's stock image.
    standard_libraries: Option<StandardLibraries>,
    /// The file and symbol that set the platform tag.
    because: Option<Because>,
    index_limit: u64,
    files: Vec<FilePart>,
    left_out: Vec<LeftOut>,
}

#[derive(Debug, Serialize)]
struct JuliaPart {
    version: String,
    prefix: PathBuf,
}

#[derive(Debug, Serialize)]
struct ImagePart {
    key: String,
    size: u64,
    cpu_target: String,
    cached: bool,
}

#[derive(Debug, Serialize)]
struct Because {
    file: PathBuf,
    library: String,
    symbol_version: String,
}

#[derive(Debug, Serialize)]
struct FilePart {
    path: String,
    size: u64,
    /// In bytes; `None` after `--dry-run`.
    compressed: Option<u64>,
}

#[derive(Debug, Serialize)]
struct LeftOut {
    /// Name of the prune rule, or the project's entry in `exclude`.
    rule: String,
    reason: String,
    files: usize,
    size: u64,
}

impl FilePart {
    fn of(entry: &WheelEntry) -> Self {
        Self { path: entry.path.to_string(), size: entry.size, compressed: entry.compressed }
    }
}

impl Outcome {
    fn of(plan: &Plan, written: Option<&Written>) -> Result<Self, Error> {
        let files = match written {
            Some(written) => written.entries.clone(),
            None => plan.list()?,
        };
        Ok(Self {
            version: FORMAT,
            name: plan.wheel.name()?.to_string(),
            path: written.map(|written| written.path.clone()),
            size: written.map(|written| written.size),
            sha256: written.map(|written| written.sha256.clone()),
            julia: JuliaPart { version: plan.julia.version.to_string(), prefix: plan.julia.prefix.clone() },
            image: plan.image.as_ref().map(|image| ImagePart {
                key: image.key.clone(),
                size: image.size,
                cpu_target: image.cpu_target.to_string(),
                cached: image.cached,
            }),
            standard_libraries: plan.image.as_ref().and_then(|image| image.stdlibs.clone()),
            because: plan.bundle.because.as_ref().map(|demand| Because {
                file: demand.file.clone(),
                library: demand.need.library.clone(),
                symbol_version: demand.need.version.clone(),
            }),
            index_limit: INDEX_LIMIT,
            files: files.iter().map(FilePart::of).collect(),
            left_out: left_out(&plan.bundle.explanations.decisions().left_out),
        })
    }

    /// Prints the largest files, the sum of the rest, and the distance from the index's limit.
    fn table(&self, report: &Report) {
        let takes = |file: &FilePart| file.compressed.unwrap_or(file.size);
        let mut files: Vec<&FilePart> = self.files.iter().collect();
        files.sort_by_key(|file| std::cmp::Reverse(takes(file)));
        let (shown, rest) = files.split_at(files.len().min(ROWS));
        report.say(format_args!("\n{:>12} {:>12}  file", "in the wheel", "unpacked"));
        let compressed = |bytes: Option<u64>| bytes.map_or_else(|| "–".to_owned(), grouped);
        for file in shown {
            let sizes = format!("{:>12} {:>12}  ", compressed(file.compressed), grouped(file.size));
            report.say(cut_path_to(report.talk_width(), &sizes, &printable(&file.path)));
        }
        let sum = |pick: fn(&FilePart) -> u64| rest.iter().map(|file| pick(file)).sum::<u64>();
        let (size, inside) = (sum(|file| file.size), sum(|file| file.compressed.unwrap_or(0)));
        let inside = compressed(self.size.map(|_| inside));
        report.say(format_args!("{inside:>12} {:>12}  {} more files", grouped(size), rest.len()));
        let out: u64 = self.left_out.iter().map(|rule| rule.size).sum();
        let names: Vec<&str> = self.left_out.iter().map(|rule| rule.rule.as_str()).collect();
        if !names.is_empty() {
            report.say(format_args!("{:>12} {:>12}  left out by {}", "", grouped(out), names.join(", ")));
        }
        let Some(size) = self.size else { return };
        let (verb, distance) = if size <= self.index_limit {
            ("below", self.index_limit - size)
        } else {
            ("above", size - self.index_limit)
        };
        report.say(format_args!(
            "{:>12} bytes in all, {} {verb} the limit of the Python index ({})\n",
            grouped(size),
            grouped(distance),
            grouped(self.index_limit)
        ));
        if size > self.index_limit {
            report.warn(
                "the wheel is larger than the Python index accepts without an exemption; `--compress best` makes it 5 % \
                 smaller, a `--cpu-target` with fewer variants makes the image smaller, and `exclude` in \
                 `[tool.jnumpy]` leaves out files that you do not need; more: `jnumpy-pack about index-limit`",
            );
        }
    }
}

/// The files that were left out, grouped by rule.
fn left_out(files: &BTreeMap<String, bundle::LeftOut>) -> Vec<LeftOut> {
    let mut rules: BTreeMap<&str, LeftOut> = BTreeMap::new();
    for file in files.values() {
        let sum = rules.entry(&file.rule).or_insert_with(|| LeftOut {
            rule: file.rule.clone(),
            reason: file.reason.clone(),
            files: 0,
            size: 0,
        });
        sum.files += 1;
        sum.size += file.size;
    }
    rules.into_values().collect()
}

/// A number with a comma between groups of three digits.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{grouped, program};

    #[test]
    fn ok_programs() {
        assert_eq!(program("python3".into()).unwrap(), PathBuf::from("python3"));
        assert!(program(".venv/bin/python".into()).unwrap().is_absolute());
    }

    #[test]
    fn ok_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (104_857_600, "104,857,600")] {
            assert_eq!(grouped(number), text);
        }
    }
}
