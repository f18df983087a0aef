"""The routes of the page, beside those of `serving`: runs, their files, and predictions by any of them."""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Callable
from hashlib import sha256
from importlib import resources
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse

from sightline.errors import SightlineError
from sightline.serving.access import Refusal
from sightline.serving.app import Classes, Confidence, answer_images
from sightline.serving.uploads import Refused

from .engines import Engines
from .library import Entry, Library, details, read_picture, read_report, summary

_MODULES = ("app.js", "common.js", "drawing.js", "predicting.js")
PAGE = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/app.css": ("app.css", "text/css; charset=utf-8"),
    **{f"/{name}": (name, "text/javascript; charset=utf-8") for name in _MODULES},
}
REPORT, PLAYGROUND = "/report", "/playground"
OPEN = frozenset({*PAGE, REPORT, PLAYGROUND})  # without a token: the page asks for it; a report needs a ticket
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_REPORT_POLICY = (
    "sandbox allow-popups; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
)
_TICKET = 600  # seconds

Name = Annotated[str, Query(max_length=500, description="A run, as the list names it.")]


class Tickets:
    """Leave to open one run's report for a while: a browser sends no token when it loads a frame."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def issue(self, name: str) -> str:
        end = str(int(time.time()) + _TICKET)
        return f"{end}.{self._sign(name, end)}"

    def admits(self, name: str, ticket: str) -> bool:
        end, _, signature = ticket.partition(".")
        valid = end.isascii() and end.isdigit() and len(end) < 12 and int(end) >= time.time()
        return hmac.compare_digest(signature.encode(), self._sign(name, end).encode()) and valid

    def _sign(self, name: str, end: str) -> str:
        return hmac.new(self._key, f"{end}\0{name}".encode("utf-8", "surrogatepass"), sha256).hexdigest()


def page_routes() -> APIRouter:
    """The files of the page."""
    router, folder = APIRouter(), resources.files("sightline.app") / "page"
    for path, (file, kind) in PAGE.items():
        answer = _constant((folder / file).read_bytes(), kind)
        router.add_api_route(path, answer, methods=["GET"], include_in_schema=False)

    @router.get(PLAYGROUND, include_in_schema=False)
    def playground() -> Response:
        from sightline.lab.playground import playground_page, policy

        headers = {"content-security-policy": f"{policy()}; frame-ancestors 'none'"}
        return Response(playground_page(), media_type="text/html; charset=utf-8", headers=headers)

    return router


def _constant(data: bytes, kind: str) -> Any:
    async def route() -> Response:
        return Response(data, media_type=kind, headers={"content-security-policy": _POLICY})

    return route


def run_routes(library: Library) -> APIRouter:
    """What there is to see of runs. They are named in the query, so that a path never holds a name."""
    router, tickets = APIRouter(), Tickets()

    @router.get("/runs", summary="The runs")
    def runs() -> Response:
        return JSONResponse({"runs": [summary(entry) for entry in library.entries()]})

    @router.get("/run", summary="One run")
    def run(name: Name) -> Response:
        values = details(_find(library, name))
        return JSONResponse({**values, "ticket": tickets.issue(name) if values["report"] else None})

    @router.get("/picture", summary="A picture of a run")
    def picture(name: Name, file: Annotated[str, Query(max_length=500)]) -> Response:
        data = _required(read_picture, library, name, file)
        return Response(data, media_type="image/png")

    @router.get(REPORT, summary="A run's report, with a ticket from /run")
    def report(name: Name, ticket: Annotated[str, Query(max_length=200)]) -> Response:
        if not tickets.admits(name, ticket):
            raise Refused(Refusal(403, "no-ticket", "the ticket is wrong or too old", "open the report from the page"))
        headers = {"content-security-policy": _REPORT_POLICY}
        data = _required(read_report, library, name)
        return Response(data, media_type="text/html; charset=utf-8", headers=headers)

    return router


def model_routes(library: Library, engines: Engines) -> APIRouter:
    """Predictions by the model of any run."""
    router = APIRouter()

    @router.post("/model", summary="Prepare a run's model: export it if need be, and load it")
    async def prepare(name: Name) -> Response:
        return JSONResponse((await engines.open(_find(library, name))).to_json())

    @router.get("/model", summary="How far that is")
    async def state(name: Name) -> Response:
        one = engines.find(name)
        return JSONResponse({"state": "none"} if one is None else one.to_json())

    @router.post("/predictions", summary="As /predict, by the named run")
    async def predictions(request: Request, name: Name, conf: Confidence = None, classes: Classes = []) -> Response:  # noqa: B006 - FastAPI copies it
        return await answer_images(engines.ready_engine(name), request, conf, classes)

    return router


def _find(library: Library, name: str) -> Entry:
    entry = library.find(name)
    if entry is None:
        raise Refused(Refusal(404, "no-such-run", "there is no such run", "see /runs"))
    return entry


def _required(read: Callable[..., bytes | None], library: Library, name: str, *file: str) -> bytes:
    try:
        data = read(_find(library, name), *file)
    except SightlineError as error:
        raise Refused(Refusal(422, error.code, error.message, error.hint or "see `sightline verify`")) from error
    if data is None:
        raise Refused(Refusal(404, "no-such-file", "the run has no such file", "see /run"))
    return data
