"""Hooks that PyInstaller finds through the entry point `pyinstaller40` of this distribution."""

import os


def get_hook_dirs() -> list[str]:
    """Return the directories with hooks."""
    return [os.path.dirname(__file__)]
