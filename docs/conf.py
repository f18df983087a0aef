"""Sphinx reads this when `make docs` builds the site. Nothing is loaded from the network, while building or reading."""

project = "sightline"
author = "The sightline authors"
copyright = "The sightline authors, Apache-2.0"
extensions = ["myst_parser"]
myst_heading_anchors = 4  # links to headings as on GitHub
root_doc = "index"
highlight_language = "none"  # commands; Python says so itself
html_theme = "furo"
html_title = "sightline"
html_copy_source = False
html_show_sphinx = False
templates_path: list[str] = []
