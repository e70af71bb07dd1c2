"""The runtime and TyPython agree with `manifests/contract.toml`; the packager's own tests compare its side."""

import ast
import re
import sys

import pytest
from paths import REPOSITORY

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

RUNTIME = REPOSITORY / "runtime"


@pytest.fixture(scope="module")
def contract() -> dict:
    return tomllib.loads((REPOSITORY / "manifests/contract.toml").read_text())


def the_match(pattern: str, path: str) -> str:
    """Return the group of the only match in a source file of the runtime."""
    (found,) = re.findall(pattern, (RUNTIME / path).read_text())
    return found


def test_the_path_of_a_build_tree(contract):
    build = contract["build-tree"]
    assert the_match(r'const BUILT_IN: &\[u8\] = b"(.*)";', "src/julia/relocation.rs") == build["prefix"]
    pattern = the_match(r'r"/\\S\*/(.*)" => package', "python/jnumpy/julia/TyPython/src/julia_functions.jl")
    assert pattern == f"{build['sources']}{{{build['length']}}}"


def test_the_layout_of_a_bundle(contract):
    tree = ast.parse((RUNTIME / "python/jnumpy/_bundle.py").read_text())
    (number,) = (
        node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "FORMAT" and isinstance(node.value, ast.Constant)
    )
    assert number == contract["bundle"]["format"]
    read = set(keys_read(tree))
    assert {"julia.version", "image.path", "platform.machine", "packages"} <= read
    known = contract["bundle"]["keys"]
    assert [key for key in sorted(read) if not any(f"{other}.".startswith(f"{key}.") for other in known)] == []


def keys_read(tree: ast.AST):
    """Yield the paths of keys that subscripts of `description` name, also through names for parts of it."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            path = key_path(node.value, {})
            if path:
                names[node.targets[0].id] = path
    for node in ast.walk(tree):
        path = key_path(node, names)
        if path:
            yield ".".join(path)


def key_path(node: ast.AST, names: dict[str, list[str]]) -> list[str] | None:
    if isinstance(node, ast.Attribute) and node.attr == "description":
        return []
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        above = key_path(node.value, names)
        return None if above is None else [*above, node.slice.value]
    return None
