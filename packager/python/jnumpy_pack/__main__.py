"""`python -m jnumpy_pack`: the command, whatever is on `PATH`."""

import os
import sys

from jnumpy_pack import find_program

os.execv(program := find_program(), [program, *sys.argv[1:]])
