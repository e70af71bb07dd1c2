//! `jnumpy-pack cache`: the cached system images.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::wheel::grouped;
use crate::packing::Error;
use crate::stages::image::{self, CachedImage, Limits, Pruned};
use crate::stages::julia;
use jnumpy_base::Report;

/// Version of the JSON output.
const FORMAT: u32 = 1;

/// List or remove cached system images.
///
/// An image takes minutes to build and about 200 MB of disk space. Packing uses the cached image in `JNUMPY_HOME`
/// (default: `~/.jnumpy`) if none of its inputs has changed.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the path of the cache.
    Dir,
    /// List the images and their sizes, most recently used first.
    Size {
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Remove images, except those that a running command uses.
    Prune {
        #[command(flatten)]
        limits: PruneLimits,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct PruneLimits {
    /// Remove images that were not used for this many days.
    #[arg(long, value_name = "DAYS")]
    older_than: Option<u64>,
    /// Remove the least recently used images until the rest is at most this large: bytes, or with K, M, or G.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_size: Option<u64>,
    /// Remove all images.
    #[arg(long, conflicts_with_all = ["older_than", "max_size"])]
    all: bool,
}

/// JSON output of `size`.
#[derive(Serialize)]
struct Listing {
    version: u32,
    directory: String,
    size: u64,
    images: Vec<CachedImage>,
}

/// JSON output of `prune`.
#[derive(Serialize)]
struct PruneOutcome {
    version: u32,
    #[serde(flatten)]
    pruned: Pruned,
}

pub(super) fn run(arguments: Arguments, report: &Report) -> Result<(), Error> {
    let images = image::directory(&julia::home()?);
    match arguments.command {
        Command::Dir => report.data(images.display()),
        Command::Size { json } => {
            let found = image::list(&images)?;
            let size = found.iter().map(|image| image.size).sum();
            if json {
                let directory = images.display().to_string();
                write(&Listing { version: FORMAT, directory, size, images: found }, report)?;
            } else {
                for one in &found {
                    report.data(line(one));
                }
                report.say(format_args!("{} bytes in {} images", grouped(size), found.len()));
            }
        }
        Command::Prune { limits, json } => {
            let days = |days: u64| Duration::from_secs(days.saturating_mul(24 * 60 * 60));
            let age = if limits.all { Some(Duration::ZERO) } else { limits.older_than.map(days) };
            let pruned = image::prune(&images, Limits { age, size: limits.max_size })?;
            for one in &pruned.in_use {
                report.warn(format_args!("in use, not removed: {}", line(one)));
            }
            if json {
                write(&PruneOutcome { version: FORMAT, pruned }, report)?;
            } else {
                for one in &pruned.removed {
                    report.data(line(one));
                }
                let freed = pruned.removed.iter().map(|image| image.size).sum();
                report.say(format_args!("{} bytes freed, {} left", grouped(freed), grouped(pruned.left)));
            }
        }
    }
    Ok(())
}

fn line(image: &CachedImage) -> String {
    let days = image.age / (24 * 60 * 60);
    let key = &image.key[..image.key.len().min(16)];
    format!(
        "{key}\t{} bytes\tJulia {}\t{}\tused {days} days ago",
        grouped(image.size),
        image.julia,
        image.cpu_target
    )
}

fn write(value: &impl Serialize, report: &Report) -> Result<(), Error> {
    report.data(serde_json::to_string_pretty(value).map_err(std::io::Error::from)?);
    Ok(())
}

/// A number of bytes with an optional unit.
fn size(text: &str) -> Result<u64, String> {
    let (digits, factor) = match text.char_indices().last() {
        Some((at, 'K' | 'k')) => (&text[..at], 1 << 10),
        Some((at, 'M' | 'm')) => (&text[..at], 1 << 20),
        Some((at, 'G' | 'g')) => (&text[..at], 1 << 30),
        _ => (text, 1),
    };
    let number: Option<u64> = digits.parse().ok();
    number
        .and_then(|number| number.checked_mul(factor))
        .ok_or_else(|| "expected a whole number of bytes, or of K, M, or G, for example `5G`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn ok_and_err_sizes() {
        for (text, bytes) in [("0", 0), ("17", 17), ("2K", 2048), ("3m", 3 << 20), ("5G", 5 << 30)] {
            assert_eq!(size(text), Ok(bytes));
        }
        for text in ["", "G", "-1", "1.5G", "5GB", "99999999999999999999", "99999999999G"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
