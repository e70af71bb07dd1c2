"""The IPython extension: ``%load_ext jnumpy``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_cell_magic, line_magic, magics_class, no_var_expand
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring

from jnumpy import _dynamic, _reload, _session

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


@magics_class
class _JuliaMagics(Magics):
    @magic_arguments()
    @argument("-i", "--input", action="append", default=[], metavar="NAMES", help="Python variables to set in Julia.")
    @argument("-o", "--output", action="append", default=[], metavar="NAMES", help="Julia variables to set in Python.")
    @no_var_expand  # `$name` is Julia's
    @line_cell_magic
    def julia(self, line: str, cell: str | None = None) -> Any:
        """Run Julia code in ``Main``.

        ``%julia CODE`` returns the value, ``%%julia`` that of the last expression of the cell. Nothing is returned when
        the code ends with a semicolon. Options of ``%%julia`` pass variables: ``%%julia -i x,y -o total``.
        """
        main = _dynamic.main()
        if cell is None:
            return _shown(line, main.run_cell(line))
        options = parse_argstring(self.julia, line)
        variables = self.shell.user_ns  # type: ignore[union-attr]
        for name in _names(options.input):
            if name not in variables:
                raise UsageError(f"`-i {name}`: Python has no variable `{name}`")
            setattr(main, name, variables[name])
        value = main.run_cell(cell)
        for name in _names(options.output):
            try:
                variables[name] = getattr(main, name)
            except AttributeError:
                raise UsageError(f"`-o {name}`: Julia's `Main` has no variable `{name}`") from None
        return _shown(cell, value)

    @line_magic
    def julia_reload(self, line: str) -> list[str] | None:
        """Reload Julia projects that run from source.

        ``%julia_reload`` reloads now, ``%julia_reload auto`` before each cell from the next one on, and
        ``%julia_reload off`` no longer.
        """
        mode = line.strip()
        if not mode:
            return _session.reload()
        if mode not in ("auto", "off"):
            raise UsageError(f"`%julia_reload {mode}`: expected nothing, `auto`, or `off`")
        events = self.shell.events  # type: ignore[union-attr]
        registered = _reload_all in events.callbacks["pre_run_cell"]
        if mode == "auto" and not registered:
            events.register("pre_run_cell", _reload_all)
        elif mode == "off" and registered:
            events.unregister("pre_run_cell", _reload_all)
        return None


def _reload_all(_: object) -> None:
    """Reload what has changed. IPython prints an exception, and then runs the cell."""
    if _reload.loaded():
        _reload.run(None)


def _names(lists: list[str]) -> list[str]:
    return [name for names in lists for name in names.replace(",", " ").split()]


def _shown(code: str, value: Any) -> Any:
    return None if code.rstrip().endswith(";") else value


def load(shell: InteractiveShell) -> None:
    """Start Julia and register ``%julia``, ``%%julia`` and ``%julia_reload``."""
    _session.init_jl()
    shell.register_magics(_JuliaMagics)
