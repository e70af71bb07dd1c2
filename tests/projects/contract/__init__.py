"""A JNumPy project that exports one function for each line of the contract."""

from jnumpy import init_jl, init_project

init_jl()
init_project(__file__)
