//! Fake Julias for tests: small shell scripts that answer the question, in a tree of empty files.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A Julia that only answers.
pub(super) struct FakeJulia<'a> {
    pub(super) version: &'a str,
    pub(super) libdir: &'a str,
}

impl<'a> FakeJulia<'a> {
    pub(super) fn new(version: &'a str) -> Self {
        Self { version, libdir: "lib" }
    }

    /// Writes it below `prefix` and returns its executable.
    pub(super) fn write(&self, prefix: &Path) -> PathBuf {
        let minor = self.version.rsplit_once('.').unwrap().0;
        let libdir = prefix.join(self.libdir);
        fs_err::create_dir_all(libdir.join("julia")).unwrap();
        fs_err::create_dir_all(prefix.join(format!("share/julia/stdlib/v{minor}"))).unwrap();
        fs_err::write(libdir.join(format!("libjulia.so.{minor}")), "").unwrap();
        fs_err::write(libdir.join("julia/sys.so"), "").unwrap();
        fs_err::write(libdir.join("julia/libjulia-codegen.so"), "").unwrap();
        let answers = [
            ("version", self.version.to_owned()),
            ("executable", "$here/julia".to_owned()),
            ("libjulia", format!("$here/../{}/libjulia.so.{minor}", self.libdir)),
            ("private_libdir", format!("$here/../{}/julia", self.libdir)),
            ("sysimage", format!("$here/../{}/julia/sys.so", self.libdir)),
            ("share_julia", "$here/../share/julia".to_owned()),
            ("stdlib", format!("$here/../share/julia/stdlib/v{minor}")),
        ];
        let lines = answers.map(|(key, value)| format!("echo \"jnumpy-julia {key}={value}\"\n")).concat();
        let script = format!("here=$(cd \"$(dirname \"$0\")\" && pwd -P)\n{lines}");
        let executable = prefix.join("bin/julia");
        write_script(&executable, &script);
        executable
    }
}

/// Writes an executable shell script. A child process does the writing: were the file open for writing in this
/// process, a fork of another test's thread would keep it open, and starting it would fail with "text file busy".
pub(crate) fn write_script(path: &Path, body: &str) {
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    let mut writer = Command::new("/bin/sh")
        .args(["-c", "cat > \"$1\" && chmod 755 \"$1\"", "sh"])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    writer.stdin.take().unwrap().write_all(format!("#!/bin/sh\n{body}").as_bytes()).unwrap();
    assert!(writer.wait().unwrap().success());
}
