//! `jnumpy-pack about`: the longer stories behind errors.

use clap::Args;

use crate::packing::Error;
use jnumpy_base::Report;
use jnumpy_base::topics::{Topic, topics};

/// Say more about an error: what its hint calls a topic.
///
/// Without a topic, all of them are listed.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A topic, for example `fork`.
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
