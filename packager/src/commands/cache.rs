//! `jnumpy-pack cache`: the cached system images.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::wheel::grouped;
use crate::packing::Error;
use crate::packing::pack::cache_limit;
use crate::stages::image::{self, CachedImage, Limits, Pruned};
use crate::stages::julia;
use jnumpy_base::Report;
use jnumpy_base::text::bytes;

/// Version of the JSON output.
const FORMAT: u32 = 1;

/// List or remove cached system images.
///
/// An image takes minutes to build and about 200 MB of disk space. Packing uses the cached image in `JNUMPY_HOME`
/// (default: `~/.jnumpy`) if none of its inputs has changed. After packing, the least recently used images are removed
/// until the cache is not larger than `JNUMPY_CACHE_LIMIT` (bytes, or a number with the suffix K, M, or G; default: 10G).
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
    /// Remove the least recently used images until the cache is not larger than this: bytes, or a number with the suffix K,
    /// M, or G.
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
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
    limit: u64,
    images: Vec<CachedImage>,
}

/// JSON output of `prune`.
#[derive(Serialize)]
struct PruneOutcome {
    version: u32,
    #[serde(flatten)]
    pruned: Pruned,
}

impl Arguments {
    pub(super) fn json(&self) -> bool {
        match self.command {
            Command::Size { json } | Command::Prune { json, .. } => json,
            Command::Dir => false,
        }
    }
}

pub(super) fn run(arguments: Arguments, report: &Report) -> Result<(), Error> {
    let images = image::directory(&julia::home()?);
    match arguments.command {
        Command::Dir => report.data(images.display()),
        Command::Size { json } => {
            let limit = cache_limit()?;
            let found = image::list(&images)?;
            let size = found.iter().map(|image| image.size).sum();
            if json {
                let directory = images.display().to_string();
                write(&Listing { version: FORMAT, directory, size, limit, images: found }, report)?;
            } else {
                for one in &found {
                    report.data(line(one));
                }
                report.say(format_args!(
                    "{} bytes in {} images; packing keeps at most {} (`JNUMPY_CACHE_LIMIT`)",
                    grouped(size),
                    found.len(),
                    grouped(limit)
                ));
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
