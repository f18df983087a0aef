"""A model hub on the loopback: what huggingface_hub asks of one for uploads and downloads, over repositories in memory."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit


class Hub:
    """`repositories` name → path → bytes; `calls` every request; `tokens` that came with them; those of `private` names."""

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.objects: dict[str, bytes] = {}
        self.private: dict[str, bool] = {}
        self.calls: list[str] = []
        self.tokens: set[str] = set()
        self.url = ""

    def commit(self, name: str) -> str:
        files = self.repositories[name]
        return hashlib.sha1(b"".join(k.encode() + v for k, v in sorted(files.items()))).hexdigest()


@contextmanager
def served(hub: Hub) -> Iterator[Hub]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_Handler,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: Any) -> None:
        pass

    def _answer(self, status: int, body: bytes | dict[str, Any] | list[Any] = b"", **headers: str) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Content-Type", "application/octet-stream" if isinstance(body, bytes) else "application/json")
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _heard(self) -> list[str]:
        self.hub.calls.append(f"{self.command} {self.path}")
        self.hub.tokens.add(self.headers.get("Authorization") or "")
        return [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]

    def do_POST(self) -> None:
        parts, body = self._heard(), self._body()
        if "Bearer hf_" not in (self.headers.get("Authorization") or ""):
            self._answer(401, {"error": "Invalid credentials"})
            return
        if parts == ["api", "validate-yaml"]:
            header = json.loads(body)["content"].split("---")[1]
            valid = "library_name: sightline" in header
            self._answer(200 if valid else 400, {"errors": [], "warnings": []})
            return
        if parts == ["api", "repos", "create"]:
            asked = json.loads(body)
            owner = asked.get("organization") or "me"
            name = f"{owner}/{asked['name']}"
            if name in self.hub.repositories:
                self._answer(409, {"error": "exists", "url": f"{self.hub.url}/{name}"})
                return
            self.hub.repositories[name] = {}
            self.hub.private[name] = bool(asked.get("private")) or asked.get("visibility") == "private"
            self._answer(200, {"url": f"{self.hub.url}/{name}", "name": name})
            return
        name = "/".join(parts[2:4]) if parts[0] == "api" else "/".join(parts[:2]).removesuffix(".git")
        if parts[-1] == "batch":
            self._batch(json.loads(body))
        elif parts[4:5] == ["preupload"]:
            modes = {
                f["path"]: "lfs" if f["path"].endswith("safetensors") else "regular" for f in json.loads(body)["files"]
            }
            files = [{"path": path, "shouldIgnore": False, "uploadMode": mode} for path, mode in modes.items()]
            self._answer(200, {"files": files})
        elif parts[4:5] == ["commit"]:
            self._commit(name, body)
        else:
            self._answer(404, {"error": self.path})

    def _batch(self, asked: dict[str, Any]) -> None:
        objects = [
            {**one, "authenticated": True, "actions": {"upload": {"href": f"{self.hub.url}/store/{one['oid']}"}}}
            for one in asked["objects"]
        ]
        self._answer(200, {"transfer": "basic", "objects": objects})

    def _commit(self, name: str, body: bytes) -> None:
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                self.hub.repositories[name][value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                self.hub.repositories[name][value["path"]] = self.hub.objects[value["oid"]]
        commit = self.hub.commit(name)
        self._answer(200, {"success": True, "commitOid": commit, "commitUrl": f"{self.hub.url}/{name}/commit/{commit}"})

    def do_PUT(self) -> None:
        parts, body = self._heard(), self._body()
        if hashlib.sha256(body).hexdigest() == parts[1]:
            self.hub.objects[parts[1]] = body
        self._answer(200)

    def do_GET(self) -> None:
        parts = self._heard()
        if parts[:2] == ["api", "models"]:
            self._about("/".join(parts[2:4]), parts[4:])
        elif parts[2:3] == ["resolve"]:
            name, path = "/".join(parts[:2]), "/".join(parts[4:])
            data = self.hub.repositories.get(name, {}).get(path)
            if data is None:
                self._answer(404, {"error": "not found"}, X_Error_Code="EntryNotFound")
                return
            etag = f'"{hashlib.sha256(data).hexdigest()}"'
            self._answer(200, data, ETag=etag, X_Repo_Commit=self.hub.commit(name), Accept_Ranges="bytes")
        else:
            self._answer(404, {"error": self.path})

    do_HEAD = do_GET

    def _about(self, name: str, rest: list[str]) -> None:
        files = self.hub.repositories.get(name)
        if files is None:
            self._answer(404, {"error": "Repository not found"}, X_Error_Code="RepoNotFound")
        elif rest[:1] == ["tree"]:
            entries = [
                {"type": "file", "path": p, "size": len(d), "oid": hashlib.sha1(d).hexdigest()}
                for p, d in files.items()
            ]
            self._answer(200, entries)
        else:
            self._answer(
                200,
                {
                    "id": name,
                    "modelId": name,
                    "sha": self.hub.commit(name),
                    "private": False,
                    "tags": [],
                    "siblings": [],
                },
            )
