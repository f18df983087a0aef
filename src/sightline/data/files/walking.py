"""Every file below a folder, without following anything out of it or round in circles.

Links to files inside the folder are read; links that leave it, dangle, loop or lead to folders are refused by name, as
are pipes, sockets and devices. Containment is `realpath` + `commonpath`. A name is kept as the file system gave it.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass, field

from sightline.data.records.names import IMAGE_SUFFIXES, is_litter, suffix
from sightline.data.records.records import Problem
from sightline.storage.text import shown

RUN_FILES = {"recipe.yaml", "environment.json"}  # a run folder holds them from its beginning


@dataclass
class Walk:
    """`files` and `folders` by relative name, `refused` items, what was passed over: hidden names and run folders."""

    root: str
    files: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    refused: list[Problem] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)  # names of what was refused, as the file system gave them
    hidden: int = 0
    runs: int = 0  # folders of trainings that lie among the data

    def refuse(self, name: str, reason: str, fix: str) -> None:
        self.lost.append(name)
        self.refused.append(Problem(shown(name), None, reason, fix))


def walk(root: str) -> Walk:
    """All files below `root`, sorted. 100,000 names take about a second."""
    found = Walk(os.path.realpath(root))
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        try:
            entries = list(os.scandir(os.path.join(found.root, folder)))
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            found.refuse(folder or ".", f"unreadable: {why}", "let this user read the folder")
            continue
        if folder and {entry.name for entry in entries} >= RUN_FILES:
            found.runs += 1
            found.folders.remove(folder)
            continue
        for entry in entries:
            if is_litter(entry.name):
                found.hidden += 1
                continue
            name = f"{folder}/{entry.name}" if folder else entry.name
            if _visit(found, entry, name):
                waiting.append(name)
                found.folders.append(name)
    found.files.sort()
    found.folders.sort()
    _refuse_folders_named_as_images(found)
    return found


def _visit(found: Walk, entry: os.DirEntry[str], name: str) -> bool:
    """Put a file or a refusal on the list; True for a folder to look into."""
    if entry.is_symlink():
        _follow(found, entry.path, name)
    elif entry.is_dir(follow_symlinks=False):
        return True
    elif entry.is_file(follow_symlinks=False):
        found.files.append(name)
    else:
        found.refuse(name, "not-a-regular-file: a pipe, socket or device", "remove it")
    return False


def _follow(found: Walk, path: str, name: str) -> None:
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return found.refuse(name, "missing: a link to nothing", "remove the link or restore its target")
    except OSError as error:
        loop = error.errno == errno.ELOOP
        why = "symlink-loop: it leads to itself" if loop else f"unreadable: {(error.strerror or '').lower()}"
        return found.refuse(name, why, "remove the link")
    if not inside(found.root, path):
        return found.refuse(name, "outside: a link that leaves the data folder", "copy the target into the folder")
    if stat.S_ISDIR(mode):
        return found.refuse(name, "link-to-folder: the target is read where it lies", "remove the link")
    if not stat.S_ISREG(mode):
        return found.refuse(name, "not-a-regular-file: a link to a pipe, socket or device", "remove the link")
    found.files.append(name)
    return None


def inside(root: str, path: str) -> bool:
    """Whether `path`, all links resolved, lies in the resolved folder `root`."""
    try:
        return os.path.commonpath([root, os.path.realpath(path)]) == root
    except ValueError:  # two drives
        return False


def _refuse_folders_named_as_images(found: Walk) -> None:
    """`cat/7.jpg/` without files in it was meant as an image; with files it is a folder like any other."""
    for name in found.folders:
        if "/" not in name or suffix(name) not in IMAGE_SUFFIXES:
            continue
        if not any(file.startswith(f"{name}/") for file in found.files):
            found.refuse(name, "is-a-directory: it has an image's name and holds no files", "remove it")
