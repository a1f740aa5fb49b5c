"""Sphinx configuration. The build needs no network; `make doc` treats warnings as errors."""

import sys
from pathlib import Path

import skfairaug

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "skfairaug"
author = "The skfairaug developers"
copyright = f"2026, {author}"
version = release = skfairaug.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "mathml",
    "matplotlib.sphinxext.plot_directive",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "_templates"]
templates_path = ["_templates"]
default_role = "py:obj"

autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"plot_",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "remove_config_comments": True,
    "show_signature": False,
    "write_computation_times": False,
}

plot_include_source = False
plot_html_show_formats = False
plot_html_show_source_link = False
plot_formats = [("png", 110)]

html_theme = "pydata_sphinx_theme"
html_math_renderer = "mathml"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_title = f"skfairaug {version}"
html_show_sourcelink = False
html_theme_options = {"show_nav_level": 2, "show_prev_next": False}


def skip_foreign_members(app, what, name, obj, skip, options):
    """Leave out what a class inherits from scikit-learn and torch: their docs have it."""
    function = getattr(obj, "fget", None) or getattr(obj, "__func__", None) or obj
    module = str(getattr(function, "__module__", ""))
    return skip or not module.startswith(project)


def setup(app):
    app.connect("autodoc-skip-member", skip_foreign_members)
