"""How Sphinx builds these pages."""

from __future__ import annotations

import re
from importlib.metadata import version as installed_version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "luma_async"
project_copyright = "the luma_async maintainers"
version = release = installed_version("luma-async")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
add_module_names = False

html_theme = "furo"
html_title = f"luma_async {version}"
html_copy_source = False
html_show_sourcelink = False

myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
napoleon_numpy_docstring = False
napoleon_use_rtype = False

nitpicky = True
# Names of other projects: resolving them needs their inventories, and so the network in every build. And two aliases,
# and a private class that a public signature names.
nitpick_ignore_regex = [
    (
        r"py:.*",
        r"(aiohttp|asyncpg|collections|datetime|os|pathlib|random|ssl|tenacity)\..*|datetime|Random|RetryCallState|Batch",
    ),
    (r"py:.*", r"luma_async\.(models\.Link|_waiting\.learning\.Learner|testing\.exchange\.Asked)"),
    (r"py:.*", r"luma_async\.fleet\._status\.FleetStatus"),
]


def keep_whole(_app: Sphinx, what: str, _name: str, _obj: object, _options: object, lines: list[str]) -> None:
    """Keep napoleon from taking what stands before a colon in a field's string for the field's type."""
    if what in ("attribute", "data", "property"):
        lines[:0] = ["..", ""]  # an empty comment


def shorten_defaults(
    _app: Sphinx, _what: str, _name: str, _obj: object, _options: object, signature: str | None, returned: str | None
) -> tuple[str | None, str | None]:
    """Write a default that is a value of ours as it is made: its fields have entries of their own."""
    return signature and re.sub(r"\b(PollPolicy|Limits)\([^()]*\)", r"\1()", signature), returned


def setup(app: Sphinx) -> None:
    """Come before napoleon, whose priority is the usual 500."""
    app.connect("autodoc-process-docstring", keep_whole, priority=400)
    app.connect("autodoc-process-signature", shorten_defaults)
