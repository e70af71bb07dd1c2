//! `jnumpy-pack about`: prints help topics about errors.

use clap::Args;

use crate::packing::Error;
use jnumpy_base::Report;
use jnumpy_base::topics::{Topic, topics};

/// Print a help topic about an error.
///
/// Without TOPIC, lists all topics.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Name of the topic, for example `fork`.
    topic: Option<String>,
}

pub(super) fn run(arguments: &Arguments, report: &Report) -> Result<(), Error> {
    if let Some(name) = &arguments.topic {
        report.data(Topic::find(name)?.text);
    } else {
        for topic in topics() {
            report.data(format_args!("{:<14} {}", topic.name, topic.summary()));
        }
    }
    Ok(())
}
