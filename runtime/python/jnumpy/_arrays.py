"""Array arguments that are not ndarrays. Imported with the first such argument."""

from __future__ import annotations

import numpy as np

#: The device types of `__dlpack_device__` for memory of the host: CPU, or pinned memory for CUDA or ROCm.
_ON_HOST = (1, 3, 11)
#: Libraries whose arrays are immutable.
_IMMUTABLE = ("jax", "jaxlib", "pyarrow", "polars")


def as_ndarray(value: object) -> np.ndarray:
    """Return an ndarray over the memory of ``value``: a buffer, a tensor on the host, a column of a data frame.

    Raises:
        TypeError: the value has no such memory, or missing values; the text says what to pass.

    """
    cls = type(value)
    library = cls.__module__.partition(".")[0]
    if isinstance(value, np.generic):
        raise _refused(value)
    array = _of_library(value, library)
    if array is None:
        array = _of_protocol(value)
    if array is None:
        raise _refused(value)
    # A subclass may override anything.
    array = np.asarray(array)
    if library in _IMMUTABLE and array.flags.writeable:
        array = array.view()
        array.flags.writeable = False
    return array


def _of_protocol(value: object) -> np.ndarray | None:
    try:
        view = memoryview(value)  # type: ignore[arg-type]
    except TypeError:
        pass
    else:
        return np.asarray(view)
    cls = type(value)
    if hasattr(cls, "__dlpack__") and hasattr(cls, "__dlpack_device__"):
        device = value.__dlpack_device__()  # type: ignore[attr-defined]
        if device[0] not in _ON_HOST:
            raise TypeError(
                f"the memory of a {cls.__name__} on another device cannot be accessed; copy it to the CPU first"
            )
        return np.from_dlpack(value)  # type: ignore[arg-type]
    if hasattr(cls, "__array_interface__") or hasattr(cls, "__array_struct__"):
        return np.asarray(value)
    return None


def _of_library(value: object, library: str) -> np.ndarray | None:
    """A column of a data frame."""
    name = type(value).__name__
    if library == "pandas" and hasattr(value, "to_numpy") and name != "DataFrame":
        dtype = value.dtype  # type: ignore[attr-defined]
        # The extension types of pandas (`Int64`) have a mask.
        masked = hasattr(dtype, "numpy_dtype")
        if (masked or dtype.kind not in "biufc") and value.isna().any():  # type: ignore[attr-defined]
            raise TypeError(f"a {name} with missing values has no counterpart in Julia; pass `x.fillna(value)`")
        return value.to_numpy(dtype.numpy_dtype) if masked else value.to_numpy()
    if library == "pyarrow" and hasattr(value, "null_count"):
        _refuse_nulls(value.null_count, name, "x.fill_null(value)")
        array = value.combine_chunks() if hasattr(value, "combine_chunks") else value
        return array.to_numpy(zero_copy_only=False)  # type: ignore[union-attr]
    if library == "polars" and name == "Series":
        _refuse_nulls(value.null_count(), name, "x.fill_null(value)")  # type: ignore[attr-defined]
        return value.to_numpy()  # type: ignore[attr-defined]
    if library == "torch" and hasattr(value, "numpy"):
        # In older versions, memory from DLPack is marked as read-only.
        if value.device.type != "cpu":  # type: ignore[attr-defined]
            raise _on_another_device(name)
        if value.requires_grad:  # type: ignore[attr-defined]
            raise TypeError("a Tensor that requires a gradient has no counterpart in Julia; pass `x.detach()`")
        return value.numpy()
    if library == "xarray" and name in ("DataArray", "Variable"):
        return value.values  # type: ignore[attr-defined]
    return None


def _refuse_nulls(count: int, name: str, instead: str) -> None:
    if count:
        raise TypeError(f"a {name} with missing values has no counterpart in Julia; pass `{instead}`")


def _on_another_device(name: str) -> TypeError:
    return TypeError(f"the memory of a {name} on another device cannot be accessed; copy it to the CPU first")


def _refused(value: object) -> TypeError:
    return TypeError(f"expected numpy.ndarray, got {type(value).__name__}; pass `np.asarray(x, dtype=float)`")
