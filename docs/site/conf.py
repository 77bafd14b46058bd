"""Sphinx's settings for the course's site. `make site` copies this file beside the pages that it gathers."""

import sys
import tomllib
from pathlib import Path

ROOT = next(folder for folder in Path(__file__).resolve().parents if (folder / "pyproject.toml").exists())
sys.path.insert(0, str(ROOT))

from courseware.authoring.badges import home  # noqa: E402
from courseware.authoring.docstrings import to_rst  # noqa: E402

AT = home(ROOT)
project = "Next Token"
author = "the Next Token authors"
version = release = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.mathjax"]
exclude_patterns = ["vendored", "static", "templates"]
templates_path = ["templates"]
source_suffix = {".ipynb": "myst-nb", ".md": "myst-nb"}
language = "en"

# Pages: executed before, never here.
nb_execution_mode = "off"
nb_merge_streams = True
nb_render_markdown_format = "myst"
nb_ipywidgets_js = {}
nb_code_prompt_show = "Show the code"
nb_code_prompt_hide = "Hide the code"
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence"]
myst_heading_anchors = 4
myst_dmath_double_inline = True
# Headings start where the notebook's author starts them; a notebook's outputs are what they are.
suppress_warnings = ["myst.header", "mystnb.unknown_mime_type", "misc.highlighting_failure"]

# Formulas: MathJax out of its package, see courseware.authoring.site.mathjax_files.
mathjax_path = "mathjax/tex-chtml.js"
mathjax3_config = {"options": {"enableMenu": False}}

autodoc_default_options = {"member-order": "bysource"}
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
add_module_names = False
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"

html_theme = "sphinx_book_theme"
html_title = "Next Token"
html_favicon = "static/icon.svg"
html_static_path = ["static", "vendored"]
html_css_files = ["course.css"]
html_js_files = [("course.js", {"defer": "defer"})]
html_copy_source = False
html_show_sphinx = False
html_last_updated_fmt = None
html_context = {"default_mode": "auto"}
html_theme_options = {
    "navbar_persistent": [],  # the search button stands in the sidebar
    "repository_url": AT.url,
    "repository_branch": AT.ref,
    "path_to_docs": "",
    "use_repository_button": True,
    "use_issues_button": True,
    "use_source_button": False,
    "use_edit_page_button": False,
    "use_download_button": True,
    "launch_buttons": {
        "colab_url": "https://colab.research.google.com",
        "binderhub_url": "https://mybinder.org",
        "notebook_interface": "jupyterlab",
    },
    "home_page_in_toc": True,
    "show_navbar_depth": 1,
    "show_toc_level": 2,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}


def _docstring(app, what, name, obj, options, lines) -> None:
    lines[:] = to_rst(lines)


def _skip(app, what, name, obj, skip, options) -> bool | None:
    """Leave out what a named tuple says of its fields by itself."""
    return True if (getattr(obj, "__doc__", None) or "").startswith("Alias for field number") else None


def setup(app) -> None:
    app.connect("autodoc-process-docstring", _docstring)
    app.connect("autodoc-skip-member", _skip)
