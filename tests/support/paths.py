"""Paths in the repository that several tests use."""

from pathlib import Path

TESTS = Path(__file__).parents[1]
REPOSITORY = TESTS.parent
FIXTURES = REPOSITORY / "fixtures"
PROJECTS = TESTS / "projects"
