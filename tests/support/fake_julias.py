"""Fake Julias: shell scripts in trees of empty files, in directories and in archives."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from pathlib import Path

TRIPLET = f"{platform.machine()}-linux-gnu"
RECORD = "jnumpy-julia.json"


def script(version: str, libdir: str = "lib") -> str:
    """Return a program that answers the question of `probe.jl` as a Julia of that version does."""
    series = ".".join(version.split(".")[:2])
    answers = {
        "version": version,
        "executable": "$here/julia",
        "libjulia": f"$here/../{libdir}/libjulia.so.{series}",
        "private_libdir": f"$here/../{libdir}/julia",
        "sysimage": f"$here/../{libdir}/julia/sys.so",
        "share_julia": "$here/../share/julia",
        "stdlib": f"$here/../share/julia/stdlib/v{series}",
    }
    lines = [f'echo "jnumpy-julia {key}={value}"\n' for key, value in answers.items()]
    return '#!/bin/sh\nself=$(/usr/bin/readlink -f "$0")\nhere=${self%/*}\n' + "".join(lines)


def tree(version: str) -> dict[str, str]:
    """Return the files of a Julia of that version, by path; the program is `bin/julia`."""
    series = ".".join(version.split(".")[:2])
    return {
        "bin/julia": script(version),
        f"lib/libjulia.so.{series}": "",
        "lib/julia/sys.so": "",
        "lib/julia/libjulia-codegen.so": "",
        f"share/julia/stdlib/v{series}/Empty": "",
    }


def write(prefix: Path, version: str, *, without: str = "") -> Path:
    """Write a Julia below `prefix` and return its program."""
    for name, text in tree(version).items():
        if name != without:
            path = prefix / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    program = prefix / "bin/julia"
    program.chmod(0o755)
    return program


def install(home: Path, name: str, version: str, record: str | None = None) -> None:
    """Write a Julia as `jnumpy-pack julia install` leaves it."""
    write(home / "julia" / name, version)
    text = json.dumps({"version": 1, "source": "official", "julia": version}) if record is None else record
    if text:
        (home / "julia" / name / RECORD).write_text(text)


def archive(version: str, *, padding: int = 0, top: str | None = None) -> bytes:
    """Return an archive in the official layout, with a file of `padding` random-looking bytes."""
    top = top or f"julia-{version}"
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz", compresslevel=1) as tar:
        files = {name: text.encode() for name, text in tree(version).items()}
        if padding:
            block = b"".join(hashlib.sha256(number.to_bytes(8)).digest() for number in range(1 << 12))
            files["share/padding"] = (block * (padding // len(block) + 1))[:padding]
        for name, data in files.items():
            member = tarfile.TarInfo(f"{top}/{name}")
            member.size, member.mtime = len(data), 1_000_000_000
            member.mode = 0o755 if name == "bin/julia" else 0o644
            tar.addfile(member, io.BytesIO(data))
        link = tarfile.TarInfo(f"{top}/lib/libjulia.so")
        link.type, link.linkname = tarfile.SYMTYPE, f"libjulia.so.{'.'.join(version.split('.')[:2])}"
        tar.addfile(link)
    return content.getvalue()


def entry(url: str, content: bytes, *, stable: bool = True, **other: object) -> dict:
    """Return an entry of the index of versions, in the official format; `other` replaces fields of the file."""
    version = url.rpartition("/")[2].removeprefix("julia-").partition("-linux")[0]
    file = {
        "url": url,
        "triplet": TRIPLET,
        "kind": "archive",
        "arch": platform.machine(),
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
        "version": version,
        "os": "linux",
        "extension": "tar.gz",
    }
    foreign = file | {"triplet": "x86_64-w64-mingw32", "os": "winnt", "extension": "zip", "url": f"{url}.zip"}
    return {"files": [foreign, file | other], "stable": stable}
