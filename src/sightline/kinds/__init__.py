"""One file a task: what every room above needs to know of it. Importing the room registers all kinds."""

from .catalogue import KINDS, kind_named, kind_of, register
from .kind import Kind

__all__ = ["KINDS", "Kind", "kind_named", "kind_of", "register"]
