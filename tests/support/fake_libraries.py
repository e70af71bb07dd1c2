"""Empty libraries with a given name."""

import subprocess
from pathlib import Path


def make(path: Path, soname: str = "") -> Path:
    """Make a library without functions."""
    flags = [f"-Wl,-soname,{soname}"] if soname else []
    command = ["cc", "-shared", "-x", "c", *flags, "-o", path, "-"]
    subprocess.run(command, input=b"int fake(void) { return 1; }", check=True)
    return path
