"""Compares manifests/manylinux.json with the policies inside the Python package `auditwheel` (6.8 or later)."""

import json
import re
from importlib.resources import files

import pytest
from paths import REPOSITORY

RULES = json.loads((REPOSITORY / "manifests/manylinux.json").read_text())
POLICIES = json.loads((files("auditwheel.policy") / "manylinux-policy.json").read_text())


def numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.split(r"[._]", version)))


def platforms():
    """The policies we know, oldest first, each with its glibc version."""
    named = [(re.fullmatch(r"manylinux_(\d+_\d+)", policy["name"]), policy) for policy in POLICIES]
    known = [(numbers(match[1]), policy) for match, policy in named if match]
    oldest = numbers(RULES["oldest"])
    return sorted(((glibc, policy) for glibc, policy in known if glibc >= oldest), key=lambda pair: pair[0])


def since(machine: str, family: str, version: str):
    rules = RULES["symbol_versions"][machine]
    if f"{family}_{version}" in rules["names"]:
        return numbers(rules["names"][f"{family}_{version}"])
    for platform, newest in rules["families"].get(family, {}).items():
        if version[0].isdigit() and numbers(version) <= numbers(newest):
            return numbers(platform)
    return None


@pytest.mark.parametrize("machine", RULES["symbol_versions"])
def test_every_symbol_version_starts_with_the_same_platform(machine):
    checked = 0
    seen = set()
    for glibc, policy in platforms():
        for family, versions in policy["symbol_versions"][machine].items():
            for version in versions:
                if (family, version) in seen or (family == "GLIBC" and version[0].isdigit()):
                    continue
                seen.add((family, version))
                checked += 1
                assert since(machine, family, version) == glibc, f"{family}_{version}"
    assert checked > 50


def test_the_same_libraries_come_from_the_system():
    ours = {name for group in RULES["system_libraries"] for name in group["names"]}
    theirs = set(platforms()[-1][1]["lib_whitelist"])
    assert {name for name in ours if not name.startswith("ld-linux")} == theirs
