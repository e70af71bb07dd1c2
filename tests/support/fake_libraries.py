"""Libraries that have a name which somebody asks for, and nothing else."""

import subprocess
from pathlib import Path


def make(path: Path, soname: str = "") -> Path:
    """Make a library without any function that somebody wants."""
    flags = [f"-Wl,-soname,{soname}"] if soname else []
    command = ["cc", "-shared", "-x", "c", *flags, "-o", path, "-"]
    subprocess.run(command, input=b"int fake(void) { return 1; }", check=True)
    return path
