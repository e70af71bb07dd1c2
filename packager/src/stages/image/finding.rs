//! Globals of modules that cannot be part of an image, as `inspect.jl` has found them.

use std::fmt;
use std::path::Path;

/// The file in the directory of the build; `inspect.jl` names it too.
const NAME: &str = "findings.tsv";
/// Of one kind of thing in one package, more globals than this are counted, not named.
const MOST_NAMES: usize = 5;

/// A global and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    kind: String,
    /// Its name, with that of its module; for a call of Python, the source line.
    name: String,
    /// The type of a value, or the text.
    detail: String,
}

/// Reads what the script has found.
pub(super) fn read(directory: &Path) -> std::io::Result<Vec<Finding>> {
    let text = match fs_err::read(directory.join(NAME)) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error),
    };
    fs_err::remove_file(directory.join(NAME)).or_else(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    })?;
    let finding = |line: &str| {
        let mut parts = line.splitn(3, '\t').map(str::to_owned);
        Some(Finding { kind: parts.next()?, name: parts.next()?, detail: parts.next()? })
    };
    Ok(text.lines().filter_map(finding).collect())
}

/// Why no image can be written, and what to do; `None` when it can.
pub(super) fn refusal(findings: &[Finding]) -> Option<(String, &'static str)> {
    let finding =
        findings.iter().find(|finding| ["python", "task", "lock"].contains(&finding.kind.as_str()))?;
    Some(match finding.kind.as_str() {
        "python" => (
            format!("`{}` calls Python while the module is loaded", finding.name),
            "an image is built without Python: write `const NP = Ref{Py}()` at the top and \
             `NP[] = py_import(\"numpy\")` in `init()`; more: `jnumpy-pack about globals`",
        ),
        "lock" => (
            format!("`{}` holds a lock that is locked", finding.name),
            "it would stay locked forever: unlock it before the end of the module",
        ),
        _ => (
            format!("`{}` holds a task", finding.name),
            "an image cannot contain a task: start it in `init()`, or in `__init__()` of its module; \
             more: `jnumpy-pack about globals`",
        ),
    })
}

/// The warnings to show, one for each kind of thing in each package.
pub(super) fn warnings(findings: &[Finding]) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut rest: Vec<&Finding> = findings.iter().collect();
    while let Some(first) = rest.first().copied() {
        let root = |finding: &Finding| finding.name.split('.').next().unwrap_or_default().to_owned();
        let same = |finding: &&Finding| finding.kind == first.kind && root(finding) == root(first);
        let (mut group, others): (Vec<_>, Vec<_>) = rest.into_iter().partition(same);
        // A global may hold several such texts.
        group.dedup_by_key(|finding| &finding.name);
        warnings.extend(Group(group).text());
        rest = others;
    }
    warnings
}

/// The rules whose standard libraries the image does not start.
pub(super) fn unused(findings: &[Finding]) -> Vec<String> {
    findings.iter().filter(|finding| finding.kind == "unused").map(|finding| finding.name.clone()).collect()
}

struct Group<'a>(Vec<&'a Finding>);

impl Group<'_> {
    fn text(&self) -> Option<String> {
        const AT_START: &str = "set it in `__init__()` of its module, or in `init()`";
        let first = self.0.first()?;
        let what = match first.kind.as_str() {
            "pointer" => format!("holds a pointer, which is NULL or wrong in the wheel: {AT_START}"),
            "stream" => format!("holds an open stream or file, which is closed in the wheel: {AT_START}"),
            "timer" => format!("holds a timer, which is closed in the wheel: {AT_START}"),
            "process" => {
                format!("holds a running program, which does not run in another process: {AT_START}")
            }
            "random" => format!(
                "holds a random number generator that was seeded while packing, so every process draws the same numbers: \
                 {AT_START}, or give it a seed of your own"
            ),
            "path-key" => format!(
                "is a `{}` with paths of the package as keys, which are not found after installation: {AT_START}",
                first.detail
            ),
            "hashed-again" => "has paths of the package as keys, so it is filled again at each start".into(),
            "build-path" => format!(
                "holds a part of the path of the build directory (`{}`), which is wrong after installation: \
                 compute it in a function, or {AT_START}",
                shortened(&first.detail)
            ),
            "own-path" => format!(
                "holds a path of this machine (`{}`), which other machines do not have: {AT_START}",
                shortened(&first.detail)
            ),
            _ => return None,
        };
        Some(format!("{self} {what}; more: `jnumpy-pack about globals`"))
    }
}

impl fmt::Display for Group<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.0.iter().take(MOST_NAMES).enumerate() {
            write!(out, "{}`{}`", if index == 0 { "" } else { ", " }, finding.name)?;
        }
        match self.0.len().checked_sub(MOST_NAMES) {
            Some(more @ 1..) => write!(out, " and {more} more, each of which"),
            _ if self.0.len() > 1 => write!(out, ", each of which"),
            _ => Ok(()),
        }
    }
}

/// A long text without its middle.
fn shortened(text: &str) -> String {
    let text = jnumpy_base::text::printable(text);
    let characters: Vec<char> = text.chars().collect();
    if characters.len() <= 60 {
        return text;
    }
    let (start, end) = (&characters[..28], &characters[characters.len() - 28..]);
    format!("{}…{}", start.iter().collect::<String>(), end.iter().collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(text: &str) -> Vec<Finding> {
        let directory = tempfile::tempdir().unwrap();
        fs_err::write(directory.path().join(NAME), text).unwrap();
        let found = read(directory.path()).unwrap();
        assert_eq!(read(directory.path()).unwrap(), []);
        found
    }

    #[test]
    fn ok_one_warning_for_each_kind_in_a_package() {
        let found = findings(
            "pointer\tA.X\tPtr\npointer\tA.X\tCstring\ntimer\tA.L\tTimer\npointer\tA.Sub.Y\tPtr\npointer\tB.Z\tPtr\nnew\tA.Q\t\n",
        );
        let starts: Vec<String> =
            warnings(&found).iter().map(|text| text.split(" a ").next().unwrap().to_owned()).collect();
        assert_eq!(starts, ["`A.X`, `A.Sub.Y`, each of which holds", "`A.L` holds", "`B.Z` holds"]);
        assert_eq!(refusal(&found), None);
    }

    #[test]
    fn ok_many_globals_are_counted() {
        let text = (0..8).map(|number| format!("timer\tA.L{number}\t")).collect::<Vec<_>>().join("\n");
        let warnings = warnings(&findings(&text));
        assert!(
            warnings[0].starts_with("`A.L0`, `A.L1`, `A.L2`, `A.L3`, `A.L4` and 3 more, each of which holds")
        );
    }

    #[test]
    fn err_what_no_image_can_hold() {
        let refused = |text: &str| refusal(&findings(text)).unwrap().0;
        assert_eq!(refused("timer\tA.L\t\ntask\tA.T\tTask\n"), "`A.T` holds a task");
        assert_eq!(refused("lock\tA.L\tReentrantLock\n"), "`A.L` holds a lock that is locked");
        assert_eq!(refused("python\tsrc/A.jl:4\t\n"), "`src/A.jl:4` calls Python while the module is loaded");
    }
}
