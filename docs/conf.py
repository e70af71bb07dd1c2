"""How Sphinx builds the documentation: `make docs`. What both languages say of themselves is asked of them."""

import re

import jnumpy

project = "JNumPy"
author = "The JNumPy developers"
copyright = f"2026 {author}"
release = jnumpy.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_heading_anchors = 2
autodoc_member_order = "bysource"
default_role = "code"
highlight_language = "none"
# What is not ours is described elsewhere.
nitpick_ignore_regex = [(r"py:.*", r"(?!jnumpy\.).*")]
html_theme = "alabaster"
html_theme_options = {"description": "Python packages with a Julia core, in one wheel"}
html_show_sourcelink = False

EXPORTED = r"join((string(name) for name in names(TyPython.CPython) if name !== :CPython), '\n')"


def julia_reference() -> str:
    """What TyPython's exported names say of themselves, in Markdown."""
    jnumpy.init_jl()
    jnumpy.exec_julia("import TyPython")
    sections = []
    for name in jnumpy.eval_julia(EXPORTED).split("\n"):
        text = jnumpy.eval_julia(f'string(Base.Docs.doc(Base.Docs.Binding(TyPython.CPython, Symbol("{name}"))))')
        if text.startswith("No documentation found"):
            raise ValueError(f"TyPython exports `{name}` without a docstring")
        text = re.sub(r"\[(`.+?`)\]\(@ref\)", r"\1", text)
        text = re.sub(r"^```\n(.*?)^```$", r"```julia\n\1```", text, flags=re.DOTALL | re.MULTILINE)
        sections.append(f"## `{name}`\n\n{text}\n")
    return "\n".join(sections)


def _complete(app, docname, source) -> None:
    if docname == "reference/julia":
        source[0] += julia_reference()


def setup(app) -> None:
    """Register with Sphinx."""
    app.connect("source-read", _complete)
