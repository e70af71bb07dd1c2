//! The wheel of Julia that other wheels share. It is the wheel of a project without code, packed like any other.

use std::path::{Path, PathBuf};

use crate::packing::Error;
use crate::packing::pack::{PackRequest, Share};
use crate::stages::julia::{Choice, Surroundings, install};
use crate::stages::julia_wheel::{distribution, package};
use crate::stages::runtime_wheel;
use jnumpy_base::Report;

/// The project: path and text, both with `{placeholders}`.
const PROJECT: [(&str, &str); 4] = [
    (
        "pyproject.toml",
        "[project]\nname = \"{distribution}\"\nversion = \"{version}\"\nrequires-python = \">=3.10\"\n\
         description = \"Julia {julia}, for packages made by `jnumpy-pack wheel --shared`\"\n",
    ),
    (
        "{package}/__init__.py",
        "\"\"\"Julia {julia}, which packages share. Importing this package starts it.\"\"\"\n\n\
         from jnumpy import init_jl, init_project\n\ninit_jl()\ninit_project(__file__)\n",
    ),
    (
        "{package}/Project.toml",
        "name = \"JNumPyJulia\"\nuuid = \"4a4e756d-5079-4000-8000-4a756c696121\"\nversion = \"{version}\"\n",
    ),
    (
        "{package}/src/JNumPyJulia.jl",
        "\"A wheel has a project; that of Julia alone has nothing to do.\"\nmodule JNumPyJulia\ninit() = nothing\nend\n",
    ),
];

/// Writes the project for a Julia into `directory`; returns the request to pack it, with its defaults.
pub fn request(julia: &Choice, directory: &Path, report: &Report) -> Result<PackRequest, Error> {
    let found = install::provide(julia, &Surroundings::from_environment()?, report)?;
    let fill = |text: &str| {
        text.replace("{distribution}", &distribution(&found.version))
            .replace("{package}", &package(&found.version))
            .replace("{version}", runtime_wheel::VERSION)
            .replace("{julia}", &found.version.to_string())
    };
    for (path, text) in PROJECT {
        let path = directory.join(fill(path));
        fs_err::create_dir_all(path.parent().unwrap_or(directory))?;
        fs_err::write(path, fill(text))?;
    }
    Ok(PackRequest {
        project: directory.to_owned(),
        out_dir: PathBuf::new(),
        julia: Choice::Found(Box::new(found)),
        cpu_target: None,
        image: None,
        compiler: None,
        stdlibs: None,
        share: Some(Share::Gives),
        julia_wheel: None,
        python: None,
        runtime: None,
        platform: None,
        compression: None,
    })
}
