"""Every file below a folder, without following links out of it or in circles.

Links to files inside the folder are followed; links that leave it, dangle, loop or lead to folders are refused by name,
as are pipes, sockets and devices. Containment is `realpath` + `commonpath`. Names keep the file system's own bytes.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field

from sightline.data.records.names import IMAGE_SUFFIXES, is_litter, suffix
from sightline.data.records.records import Problem
from sightline.storage.text import printable

RUN_FILES = {"recipe.yaml", "environment.json"}  # every run folder holds them from its start


@dataclass
class Walk:
    """The tree below `root`: `files` and `folders` by relative name, `refused` items, and counts of what was skipped."""

    root: str
    files: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    refused: list[Problem] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)  # names of the refused items, with their own bytes
    hidden: int = 0
    runs: int = 0  # run folders among the data

    def refuse(self, name: str, reason: str, fix: str) -> None:
        self.lost.append(name)
        self.refused.append(Problem(printable(name), None, reason, fix))


def walk(root: str) -> Walk:
    """All files below `root`, sorted. 100,000 names take about a second."""
    tree = Walk(os.path.realpath(root))
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        try:
            entries = list(os.scandir(os.path.join(tree.root, folder)))
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            tree.refuse(folder or ".", f"unreadable: {why}", "give yourself permission to read the folder")
            tree.folders += [folder] if folder else []
            continue
        if folder and {entry.name for entry in entries} >= RUN_FILES:
            tree.runs += 1
            continue
        if folder:
            tree.folders.append(folder)
        for entry in entries:
            if is_litter(entry.name):
                tree.hidden += 1
                continue
            name = f"{folder}/{entry.name}" if folder else entry.name
            if _visit(tree, entry, name):
                waiting.append(name)
    tree.files.sort()
    tree.folders.sort()
    _refuse_folders_named_as_images(tree)
    return tree


def _visit(tree: Walk, entry: os.DirEntry[str], name: str) -> bool:
    """Record a file or a refusal; True for a folder to descend into."""
    if entry.is_symlink():
        _follow(tree, entry.path, name)
    elif entry.is_dir(follow_symlinks=False):
        return True
    elif entry.is_file(follow_symlinks=False):
        tree.files.append(name)
    else:
        tree.refuse(name, "not-a-regular-file: a pipe, socket or device", "remove it")
    return False


def _follow(tree: Walk, path: str, name: str) -> None:
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return tree.refuse(name, "missing: a broken link", "remove the link or restore its target")
    except OSError as error:
        loop = error.errno == errno.ELOOP
        why = "symlink-loop: the link leads back to itself" if loop else f"unreadable: {(error.strerror or '').lower()}"
        return tree.refuse(name, why, "remove the link")
    if not inside(tree.root, path):
        return tree.refuse(name, "outside: a link that leaves the data folder", "copy the target into the folder")
    if stat.S_ISDIR(mode):
        return tree.refuse(name, "link-to-folder: links to folders are not followed", "remove the link")
    if not stat.S_ISREG(mode):
        return tree.refuse(name, "not-a-regular-file: a link to a pipe, socket or device", "remove the link")
    tree.files.append(name)
    return None


def inside(root: str, path: str) -> bool:
    """Whether `path`, all links resolved, lies in the resolved folder `root`."""
    try:
        return os.path.commonpath([root, os.path.realpath(path)]) == root
    except ValueError:  # two drives
        return False


def _refuse_folders_named_as_images(tree: Walk) -> None:
    """`cat/7.jpg/` without files is most likely a failed download of an image; with files it is a folder like any other."""
    filled = above(tree.files)
    for name in tree.folders:
        if "/" not in name or suffix(name) not in IMAGE_SUFFIXES:
            continue
        if name not in filled:
            tree.refuse(name, "is-a-directory: an empty folder with the name of an image", "remove it")


def above(names: Iterable[str]) -> set[str]:
    """All folders that these relative names lie in. A set, since a search through the names for every folder would take
    time with the product of both."""
    folders: set[str] = set()
    for name in names:
        folder = name.rpartition("/")[0]
        while folder and folder not in folders:
            folders.add(folder)
            folder = folder.rpartition("/")[0]
    return folders
