"""Lets the tests import the package from where it lies."""
