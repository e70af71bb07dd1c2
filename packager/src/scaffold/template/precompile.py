"""The calls that the wheel's image holds compiled code for: a user's first ones are then as fast as later ones."""

import numpy as np
from {{package}} import running_mean

running_mean(np.arange(10.0), 3)
