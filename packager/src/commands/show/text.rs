//! The contents of a wheel as lines that fit the terminal.

use crate::commands::wheel::grouped;
use crate::packing::finalize::INDEX_LIMIT;
use crate::stages::inventory::{Bundle, ImageKind, Inventory, Library};
use jnumpy_base::Report;
use jnumpy_base::text::{cut_path_to, cut_to};

/// Number of files in the list of the largest.
const LARGEST: usize = 10;

pub(super) fn print(inventory: &Inventory, report: &Report) {
    let lines = Lines { report, width: report.width() };
    lines.facts(inventory);
    lines.parts(inventory);
    lines.largest(inventory);
    lines.packages(inventory);
    lines.libraries(inventory);
    lines.licenses(inventory);
}

struct Lines<'a> {
    report: &'a Report,
    width: Option<usize>,
}

impl Lines<'_> {
    fn heading(&self, text: &str) {
        self.report.data("");
        self.report.heading(text);
    }

    fn line(&self, text: &str) {
        self.report.data(cut_to(self.width, text));
    }

    fn line_with_path(&self, start: &str, path: &str) {
        self.report.data(cut_path_to(self.width, start, path));
    }

    fn fact(&self, name: &str, value: &str) {
        if !value.is_empty() {
            self.line(&format!("{name:<12} {value}"));
        }
    }

    fn facts(&self, inventory: &Inventory) {
        if let Some(wheel) = &inventory.wheel {
            self.report.heading(wheel);
        }
        if let Some(distribution) = &inventory.distribution {
            self.fact("name", &format!("{} {}", distribution.name, distribution.version));
            self.fact("summary", distribution.summary.as_deref().unwrap_or_default());
            self.fact("license", distribution.license.as_deref().unwrap_or_default());
            self.fact("python", distribution.requires_python.as_deref().unwrap_or_default());
            self.fact("requires", &distribution.requires.join(", "));
            self.fact("tag", &distribution.tags.join(", "));
        }
        if let Some(floor) = &inventory.floor {
            let because = floor.because.as_ref().map(|because| {
                let file = because.file.rsplit('/').next().unwrap_or_default();
                format!(": {file} needs {} of {}", because.symbol_version, because.library)
            });
            self.fact("floor", &format!("glibc {}{}", floor.glibc, because.unwrap_or_default()));
        }
        if let Some(bundle) = &inventory.bundle {
            self.bundle(bundle);
        }
        let limit = |size: u64| {
            if size > INDEX_LIMIT { ", more than the Python index accepts" } else { "" }
        };
        let in_the_wheel = inventory.size.map(|size| format!("{} bytes{}, ", grouped(size), limit(size)));
        let files = inventory.files.len();
        self.fact(
            "size",
            &format!(
                "{}{} bytes unpacked, {files} files",
                in_the_wheel.unwrap_or_default(),
                grouped(inventory.unpacked)
            ),
        );
    }

    fn bundle(&self, bundle: &Bundle) {
        self.fact("import", &bundle.package);
        let compiler = if bundle.compiler { "with its compiler" } else { "without its compiler" };
        let place = bundle.shared.as_ref().map(|shared| format!("that of {shared}"));
        self.fact("julia", &format!("{}, {}", bundle.julia, place.as_deref().unwrap_or(compiler)));
        let image = match bundle.image {
            ImageKind::Full => "full: Julia and the project are compiled",
            ImageKind::Packages => "packages: the project is compiled, on Julia's own image",
            ImageKind::None => "none: the project is compiled at run time",
        };
        self.fact("image", image);
        self.fact("cpu targets", &bundle.cpu_targets.join("  "));
        self.fact("runtime", &bundle.runtime);
    }

    fn sizes(compressed: Option<u64>, size: u64) -> String {
        let compressed = compressed.map_or_else(|| "–".to_owned(), grouped);
        format!("{compressed:>12} {:>12}  ", grouped(size))
    }

    fn parts(&self, inventory: &Inventory) {
        self.heading(&format!("{:>12} {:>12}  part", "in the wheel", "unpacked"));
        for part in &inventory.parts {
            let files = if part.files == 1 { "1 file".to_owned() } else { format!("{} files", part.files) };
            self.line(&format!("{}{}, {files}", Self::sizes(part.compressed, part.size), part.name));
        }
    }

    fn largest(&self, inventory: &Inventory) {
        self.heading(&format!("{:>12} {:>12}  largest files", "in the wheel", "unpacked"));
        let mut files: Vec<_> = inventory.files.iter().collect();
        files.sort_by_key(|file| std::cmp::Reverse(file.compressed.unwrap_or(file.size)));
        for file in files.iter().take(LARGEST) {
            self.line_with_path(&Self::sizes(file.compressed, file.size), &file.path);
        }
    }

    fn packages(&self, inventory: &Inventory) {
        if inventory.packages.is_empty() {
            return;
        }
        self.heading("Julia packages");
        let length = |name: &str| name.chars().count();
        let widest = inventory.packages.iter().map(|package| length(&package.name)).max().unwrap_or_default();
        for package in &inventory.packages {
            let version = package.version.as_deref().unwrap_or("of Julia");
            let by = needed_by(&package.needed_by);
            self.line(format!("{:<widest$}  {version:<10}  {by}", package.name).trim_end());
        }
        for artifact in &inventory.artifacts {
            let package = artifact.package.as_deref().unwrap_or_default();
            self.line(&format!("{:<widest$}  artifact    of {package}", artifact.name));
        }
    }

    fn libraries(&self, inventory: &Inventory) {
        if inventory.libraries.is_empty() {
            return;
        }
        self.heading(&format!("{:>12} {:>12}  libraries", "in the wheel", "unpacked"));
        let mut libraries: Vec<&Library> = inventory.libraries.iter().collect();
        libraries.sort_by_key(|library| std::cmp::Reverse(library.compressed.unwrap_or(library.size)));
        for library in libraries {
            let sizes = Self::sizes(library.compressed, library.size);
            let by = needed_by(&library.needed_by);
            let by = if by.is_empty() { "opened by name".to_owned() } else { by };
            self.line(&format!("{sizes}{}: {by}", file_name(&library.path)));
        }
    }

    fn licenses(&self, inventory: &Inventory) {
        if inventory.licenses.is_empty() {
            return;
        }
        self.heading("Licenses of");
        for license in &inventory.licenses {
            let of = if license.of.is_empty() { "the project".to_owned() } else { license.of.join(", ") };
            self.line_with_path(&format!("{of}: "), &license.path);
        }
    }
}

/// The text of a chain, with the names of files instead of their paths.
fn needed_by(chain: &[String]) -> String {
    if chain.is_empty() {
        return String::new();
    }
    let names: Vec<&str> = chain.iter().map(|link| file_name(link)).collect();
    format!("needed by {}", names.join(", needed by "))
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}
