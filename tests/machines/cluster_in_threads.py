"""Cluster random data in four threads of Python at once with the installed `jl_kmeans1d`.

Prints how many calls gave the result of the main thread, or, where Julia serves one thread only, why a call did not.
"""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
from jl_kmeans1d import jl_cluster

DATA = np.random.default_rng(2).standard_normal(5000)
EXPECTED, _ = jl_cluster(DATA, 5)
TOGETHER = Barrier(4)


def cluster(_number: int) -> bool:
    """Wait for the other threads, and then call."""
    TOGETHER.wait()
    return all(np.array_equal(jl_cluster(DATA, 5)[0], EXPECTED) for _ in range(25))


with ThreadPoolExecutor(4) as threads:
    results = [threads.submit(cluster, number) for number in range(4)]
    try:
        print(sum(result.result() for result in results), "threads of 4")
    except RuntimeError as error:
        print(error)
