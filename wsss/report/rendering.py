"""HTML from the templates beside this module; what is put into them is escaped unless it is HTML already."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

READS = "templates/*.j2"
"""Files whose content counts as this module's code, see `wsss.study.code_digest`."""


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("wsss.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def render(template: str, **values: object) -> Markup:
    """Fill `templates/<template>.html.j2`.

    Raises:
        jinja2.UndefinedError: a value that the template names is missing.
    """
    return Markup(_environment().get_template(f"{template}.html.j2").render(values))


def demoted(content: Markup) -> Markup:
    """HTML whose headings are one level lower; a `<h2>` in a name is escaped, and stays."""
    plain = str(content)  # Markup's own replace would escape the new heading
    return Markup(plain.replace("<h2>", "<h3>").replace("</h2>", "</h3>"))


def labelled_svg(drawn: str, label: str) -> Markup:
    """An SVG of matplotlib's, which has escaped the texts in it, as an element with a label."""
    return Markup('<svg role="img" aria-label="{}"').format(label) + Markup(drawn.removeprefix("<svg"))
