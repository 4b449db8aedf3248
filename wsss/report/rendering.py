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
