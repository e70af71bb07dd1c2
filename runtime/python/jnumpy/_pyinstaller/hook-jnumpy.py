"""What PyInstaller does not see: Julia, its sources and its libraries are files, which no Python code imports.

Every installed package that jnumpy-pack has packed is taken whole: when one of them imports `jnumpy`, nobody knows yet
which others the program will import.
"""

import importlib.metadata
import os

from PyInstaller.utils.hooks import collect_data_files  # type: ignore[import-untyped]

datas = collect_data_files("jnumpy")
for distribution in importlib.metadata.distributions():
    files = distribution.files or []
    packages = {file.parts[0] for file in files if file.parts[1:] == ("_jnumpy", "bundle.json")}
    for file in files:
        if file.parts[0] in packages and "__pycache__" not in file.parts:
            datas.append((str(distribution.locate_file(file)), os.path.dirname(file)))
