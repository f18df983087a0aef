"""The kinds of task, one file each: everything that the rooms above need to know about them. Importing registers all."""

from .catalogue import KINDS, kind_named, kind_of, register
from .kind import Kind

__all__ = ["KINDS", "Kind", "kind_named", "kind_of", "register"]
