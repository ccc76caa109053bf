"""How Sphinx builds this documentation."""

from importlib.metadata import version as version_of

project = "greenproc"
author = "The greenproc developers"
copyright = author
version = release = version_of("greenproc")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = "greenproc"

# Fragments are for the release notes and for readers of the source.
exclude_patterns = ["_build", "news"]

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3

# `name` in a docstring is a name of Python.
default_role = "py:obj"
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
autodoc_class_signature = "separated"
napoleon_numpy_docstring = False
