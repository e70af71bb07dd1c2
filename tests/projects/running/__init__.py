"""A JNumPy project whose functions run long, wait, collect, or call back: for the tests of processes."""

from jnumpy import init_jl, init_project

init_jl()
init_project(__file__)
