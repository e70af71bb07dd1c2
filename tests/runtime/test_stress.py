"""A short form of `make stress`."""

import pytest
from child import succeeds
from paths import TESTS


@pytest.mark.parametrize("threads", ["1", "2"])
def test_random_calls(julia, threads):
    code = f"import sys, runpy; sys.argv[1:] = ['4']; runpy.run_path('{TESTS}/runtime/stress.py', run_name='__main__')"
    assert "calls" in succeeds(code, julia, JULIA_NUM_THREADS=threads)
