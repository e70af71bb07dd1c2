"""Cluster real and random data with the installed `jl_kmeans1d`, and check it against a plain method.

Runs on the clean machine with nothing but NumPy and the package. It prints a line for every data set, and
ends with an AssertionError where the package's clusters are not the best ones.
"""

import numpy as np
from jl_kmeans1d import jl_cluster

# Velocities of 82 galaxies of the Corona Borealis region in km/s, the classic example of clusters in one
# dimension: M. Postman, J. P. Huchra, M. J. Geller, The Astronomical Journal 92, 1986; the selection is that
# of K. Roeder, Journal of the American Statistical Association 85, 1990.
GALAXIES = """
 9172  9350  9483  9558  9775 10227 10406 16084 16170 18419 18552 18600 18927 19052 19070 19330 19343
19349 19440 19473 19529 19541 19547 19663 19846 19856 19863 19914 19918 19973 19989 20166 20175 20179
20196 20215 20221 20415 20629 20795 20821 20846 20875 20986 21137 21492 21701 21814 21921 21960 22185
22209 22242 22249 22314 22374 22495 22746 22747 22888 22914 23206 23241 23263 23484 23538 23542 23666
23706 23711 24129 24285 24289 24366 24717 24990 25633 26960 26995 32065 32789 34279
"""


def best_clusters(data, k):
    """Return the best labels by dynamic programming over the costs of all intervals: O(k n²), no shortcut."""
    order = np.argsort(data, kind="stable")
    values = data[order] - data.mean()
    n = len(values)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    squares = np.concatenate([[0.0], np.cumsum(values**2)])
    first, last = np.ogrid[:n, :n]
    count = last - first + 1
    sum_of_run = sums[1:][None, :] - sums[:-1][:, None]
    cost = squares[1:][None, :] - squares[:-1][:, None] - sum_of_run**2 / np.maximum(count, 1)
    cost[count < 1] = np.inf

    least = cost[0]
    starts = []
    for _ in range(1, k):
        total = np.concatenate([[np.inf], least[:-1]])[:, None] + cost
        starts.append(total.argmin(axis=0))
        least = total.min(axis=0)
    labels = np.empty(n, dtype=int)
    end = n
    for cluster in range(k - 1, -1, -1):
        start = starts[cluster - 1][end - 1] if cluster else 0
        labels[order[start:end]] = cluster
        end = start
    return labels


def check(name, data, k):
    """Cluster `data` into `k` clusters and compare labels and means with the plain method's."""
    clusters, centroids = jl_cluster(data, k)
    numbers = data.astype(float)
    expected = best_clusters(numbers, k)
    np.testing.assert_array_equal(clusters, expected)
    np.testing.assert_allclose(centroids, [numbers[expected == c].mean() for c in range(k)], rtol=1e-12)
    print(f"{name}: {len(data)} numbers in clusters of {np.bincount(clusters).tolist()}")


galaxies = np.array(GALAXIES.split(), dtype=np.int64)
check("galaxies as int64", galaxies, 6)
check("galaxies as float32", galaxies.astype(np.float32), 6)
check("random", np.random.default_rng(1).standard_normal(1500), 4)
