"""`python -m sightline.app.preparing RUN`: export a run where that was not done yet, and print the folder. It imports torch, so
it is a process of its own."""

from __future__ import annotations

import sys

from sightline.errors import SightlineError
from sightline.verbs.serve import served_folder


def main() -> int:
    try:
        print(served_folder(sys.argv[1]))
    except SightlineError as error:
        print("; ".join(filter(None, (error.message, error.hint))), file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
