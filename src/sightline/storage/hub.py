"""A model repository of the Hugging Face hub: upload, listing and download. The only file that imports huggingface_hub.

The token comes from HF_TOKEN or from the file that `hf auth login` writes; it is read by that package, and never printed.
"""

from __future__ import annotations

import io
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sightline.errors import DamagedError, ResourceError, UsageError

from .reading import read_regular

# The package reports its use, draws progress bars and explains itself, unless these say otherwise.
_ENVIRONMENT = {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_VERBOSITY": "error"}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_MOST_FILES = 10_000  # of a listing
_SECRET = re.compile(r"hf_[A-Za-z0-9]{8,}")


class Repository:
    """owner/name at an endpoint.

    name             "owner/name", or "owner/name@revision" for reading
    endpoint         of the hub; HF_ENDPOINT or the public one without it
    allow_network    without it nothing is contacted
    UsageError       for a wrong name or endpoint, or where the network is not allowed; ResourceError without the package
    """

    def __init__(self, name: str, *, endpoint: str | None, allow_network: bool) -> None:
        self.name, _, revision = name.partition("@")
        self.revision = revision or "main"
        if not _NAME.fullmatch(self.name) or ".." in name or not _REVISION.fullmatch(self.revision):
            raise UsageError(f"{name} is not the name of a repository", "write it as owner/name")
        for key, value in _ENVIRONMENT.items():
            os.environ.setdefault(key, value)
        address = endpoint or os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
        parts = urlsplit(address)
        if (parts.scheme != "https" and parts.hostname not in _LOOPBACK) or parts.username or parts.password:
            raise UsageError(f"the endpoint {parts.scheme}://{parts.hostname} is not safe", "use an https address")
        if not allow_network:
            raise UsageError(
                f"{self.name} is at {address}, on another machine",
                "add --allow-network (model.allow_network=true in a recipe)",
            )
        try:
            from huggingface_hub import HfApi
        except ImportError as error:
            raise ResourceError(
                "huggingface_hub is not installed", "install it: pip install 'sightline[hub]'"
            ) from error
        self.endpoint = address.rstrip("/")
        self._api: Any = HfApi(endpoint=self.endpoint, library_name="sightline")

    def upload(self, files: Mapping[str, bytes], *, private: bool, message: str) -> str:
        """Commit the files, in a repository that is made where there is none; returns the commit's hash."""
        from huggingface_hub import CommitOperationAdd

        with self._errors(f"cannot push to {self.name}"):
            self._api.create_repo(self.name, private=private, exist_ok=True)
            # a stream goes by Git LFS, which every endpoint has; bytes by a protocol of one hub, which waits for ever elsewhere
            operations = [CommitOperationAdd(name, io.BytesIO(data)) for name, data in files.items()]
            commit = self._api.create_commit(self.name, operations, commit_message=message)
        return str(commit.oid)

    def listing(self) -> tuple[str, dict[str, int]]:
        """The commit that the revision stands for, and the size of every file in it."""
        with self._errors(f"cannot list {self.name}"):
            commit = str(self._api.model_info(self.name, revision=self.revision).sha)
            sizes: dict[str, int] = {}
            for entry in self._api.list_repo_tree(self.name, recursive=True, revision=commit):
                if (size := getattr(entry, "size", None)) is not None:
                    sizes[entry.path] = int(size)
                if len(sizes) > _MOST_FILES:
                    raise DamagedError(f"{self.name} lists more than {_MOST_FILES:,} files")
        return commit, sizes

    def fetch(self, name: str, commit: str, most: int) -> bytes:
        """The content of one file of a commit, of at most `most` bytes."""
        with self._errors(f"cannot fetch {name} of {self.name}"), tempfile.TemporaryDirectory() as folder:
            path = self._api.hf_hub_download(self.name, name, revision=commit, local_dir=folder)
            if not Path(path).resolve().is_relative_to(Path(folder).resolve()):
                raise DamagedError(f"{name} of {self.name} leads elsewhere")
            return read_regular(path, most)

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except (DamagedError, UsageError):
            raise
        except Exception as error:  # the package's own, those of its HTTP client, OSError, ValueError
            lines = str(error).strip().splitlines()
            reason = _SECRET.sub("hf_…", lines[0][:300]) if lines else type(error).__name__
            raise ResourceError(
                f"{what}: {reason}", "check the name, the network, and that HF_TOKEN may do this"
            ) from None
