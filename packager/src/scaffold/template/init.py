"""A Python package with a Julia core."""

import numpy as np
from jnumpy import init_jl, init_project
from numpy.typing import ArrayLike, NDArray

init_jl()
init_project(__file__)

from _{{package}} import _running_mean  # noqa: E402  (the module exists once the project is loaded)

__all__ = ["running_mean"]


def running_mean(values: ArrayLike, width: int) -> NDArray[np.float64]:
    """Return the means of all runs of ``width`` neighbouring values.

    :param values: real numbers, shape ``(n,)``; arrays of float64 are not copied
    :param width: from 1 to ``n``
    :return: shape ``(n - width + 1,)``
    :raises ValueError: ``width`` is out of its range
    """
    return _running_mean(np.asarray(values, dtype=float), width)
