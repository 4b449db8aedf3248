"""The site of the documentation: `make docs` builds it with Sphinx from the Markdown pages in this folder.

The pages stay readable where they are, in an editor or on a forge. Nothing of the site comes from elsewhere:
it reads from disk, without a connection.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import wsss  # noqa: E402
from docs.reference import write_references  # noqa: E402

project = "wsss"
author = "the wsss authors"
project_copyright = author
version = release = wsss.__version__
language = "en"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
exclude_patterns = ["_build", "**/.ipynb_checkpoints"]

# The references are written anew before Sphinx lists the pages.
write_references(HERE / "_generated")

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4
myst_links_external_new_tab = False

# The notebook runs where the default study has been run, so that its results are on the page.
nb_execution_mode = "force" if (HERE.parent / "results/shapes/bundle/segmenter").is_dir() else "off"
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_execution_show_tb = True

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
nitpicky = True
nitpick_ignore_regex = [
    (r"py:.*", r"(?!wsss\.).*"),  # of other projects, whose pages a site without a connection cannot look up
    (r"py:class", r"wsss\.(models|study|runtime)\..*"),  # not public: what the loaded models are made of
]

copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True

html_theme = "furo"
html_title = "wsss"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
html_theme_options = {
    "navigation_with_keys": True,
    "light_css_variables": {"color-brand-primary": "#0b6e63", "color-brand-content": "#0b6e63"},
    "dark_css_variables": {"color-brand-primary": "#4fd1b9", "color-brand-content": "#4fd1b9"},
}

linkcheck_timeout = 20
linkcheck_anchors = False
