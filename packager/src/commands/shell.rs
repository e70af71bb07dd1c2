//! `jnumpy-pack completions` and `jnumpy-pack man`: completions and manual pages, generated from the command line parser.

use clap::{Args, Command, ValueEnum};
use clap_complete::shells;

use crate::packing::Error;
use jnumpy_base::Report;

/// Print completions for a shell.
///
/// Bash: `jnumpy-pack completions bash > ~/.local/share/bash-completion/completions/jnumpy-pack`. Zsh: write them to a
/// file `_jnumpy-pack` in a directory of `fpath`. Fish: to `~/.config/fish/completions/jnumpy-pack.fish`.
#[derive(Debug, Args)]
pub(super) struct CompletionsArguments {
    shell: Shell,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// Print a manual page.
///
/// `jnumpy-pack man wheel > jnumpy-pack-wheel.1 && man ./jnumpy-pack-wheel.1`
#[derive(Debug, Args)]
pub(super) struct ManArguments {
    /// Command that the page is about; default: `jnumpy-pack` itself.
    command: Vec<String>,
}

pub(super) fn completions(arguments: &CompletionsArguments, mut cli: Command, report: &Report) {
    let name = cli.get_name().to_owned();
    let mut text = Vec::new();
    match arguments.shell {
        Shell::Bash => clap_complete::generate(shells::Bash, &mut cli, name, &mut text),
        Shell::Zsh => clap_complete::generate(shells::Zsh, &mut cli, name, &mut text),
        Shell::Fish => clap_complete::generate(shells::Fish, &mut cli, name, &mut text),
    }
    report.data(String::from_utf8_lossy(&text).trim_end());
}

pub(super) fn man(arguments: &ManArguments, mut cli: Command, report: &Report) -> Result<(), Error> {
    cli.build();
    let mut page = &cli;
    for word in &arguments.command {
        page = page.find_subcommand(word).ok_or_else(|| Error::NoCommand { name: word.clone() })?;
    }
    let mut text = Vec::new();
    clap_mangen::Man::new(page.clone()).render(&mut text)?;
    report.data(String::from_utf8_lossy(&text).trim_end());
    Ok(())
}
