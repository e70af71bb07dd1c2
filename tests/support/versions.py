"""Differences between versions of Julia that tests have to know: the first version with each feature."""

#: Any thread may call Julia, not only the one that has started it.
ANY_THREAD = (1, 9)
#: Extensions of packages are loaded.
EXTENSIONS = (1, 9)
#: Packages can be compiled to images of their own, and a wheel can do without the compiler.
PACKAGE_IMAGES = (1, 9)
#: Package images have no code for functions with `@cfunction` (1.12.4, also for such a function alone in a package).
NO_CFUNCTIONS_IN_PACKAGE_IMAGES = (1, 12)
#: Packages have preferences.
PREFERENCES = (1, 6)
#: Julia's own image opens the libraries of all its standard libraries at every start, ...
LIBRARIES_AT_START = (1, 6)
#: ... until most of these are not in that image anymore (1.10 and 1.12 were looked at).
FEWER_IN_STOCK_IMAGE = (1, 11)
#: An image takes many minutes, so that tests of dependencies pack their wheel without one.
SLOW_IMAGES = (1, 6)
#: Types are shown by their short names, such as `ComplexF64`.
SHORT_NAMES = (1, 6)
#: A vector whose memory is shared may grow and shrink: Julia gives it other memory if it has to.
SHARED_VECTORS_GROW = (1, 11)
#: Columns of a transposed matrix have strides, so their memory is shared.
STRIDED_COLUMNS = (1, 12)
