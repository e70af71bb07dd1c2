"""A project that exports Julia types as classes."""

from jnumpy import init_jl, init_project

init_jl()
init_project(__file__)
