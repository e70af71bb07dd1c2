"""What the package promises."""

import numpy as np
import pytest
from {{package}} import running_mean


def test_running_mean():
    np.testing.assert_allclose(running_mean([1.0, 2.0, 6.0], 2), [1.5, 4.0])


def test_the_width_has_to_fit():
    with pytest.raises(ValueError, match="the width must be from 1 to 3, the number of values, got 4"):
        running_mean(np.ones(3), 4)
