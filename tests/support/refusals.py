"""Julia code that is refused when it is defined."""

import jnumpy
import pytest


def refused(code: str) -> str:
    """Run the code in a module of its own that uses TyPython, and return the message of the exception."""
    with pytest.raises(jnumpy.JuliaError) as caught:
        jnumpy.exec_julia(f"module Refused\nusing TyPython.CPython\n{code}\nend")
    return str(caught.value)
