"""The command line with the kinds of these tests."""

import tests.own_kinds  # noqa: F401 - registers them
from sightline.cli.main import run

run()
