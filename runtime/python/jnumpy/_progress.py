"""Julia's messages about progress, as bars of tqdm."""

from __future__ import annotations

from typing import Any

from jnumpy import _runtime
from jnumpy._dynamic import TYPYTHON

#: A bar for each loop that has not ended, by the identity that Julia gives its messages.
_bars: dict[str, Any] = {}


def show(wanted: bool) -> None:
    """Do what ``jnumpy.show_progress`` documents."""
    if wanted:
        import tqdm  # type: ignore[import-untyped]  # noqa: F401 - so that the error comes now
    _runtime.evaluate(f"{TYPYTHON}.show_progress({str(wanted).lower()})", False)
    while _bars:
        _bars.popitem()[1].close()


def advance(identity: str, fraction: str, name: str) -> None:
    """Draw the bar of a loop; ``fraction`` is empty while it is not known."""
    from tqdm.auto import tqdm  # type: ignore[import-untyped]

    bar = _bars.get(identity)
    if bar is None:
        form = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}"
        bar = _bars[identity] = tqdm(total=1.0, desc=name or "Julia", bar_format=form)
    if not fraction:
        return
    done = min(float(fraction), 1.0)
    bar.update(done - bar.n)
    if done >= 1.0:
        _bars.pop(identity).close()
