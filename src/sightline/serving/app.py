"""The application: its routes, its description in OpenAPI, and a place for routes of others."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from starlette.exceptions import HTTPException

from sightline.errors import nearest
from sightline.version import __version__

from .access import Access, Refusal
from .description import INFO, PAGE, PREDICTIONS, body_schema, errors, public
from .engine import STARTING_UP, Engine, Keeper, Reply, Unavailable
from .gate import PREDICT, Gate, error_body
from .settings import Settings
from .uploads import Image, Refused, read_images

_POLICY = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"}
_MOST_CLASSES = 100
Confidence = Annotated[
    float | None,
    Query(ge=0, le=1, allow_inf_nan=False, description="The least score of a box; labels below it are marked."),
]
Classes = Annotated[list[str], Query(max_length=_MOST_CLASSES, description="The classes to report; all without it.")]
# FastAPI would otherwise export traces to where the environment says. A server makes no outgoing connection.
_NO_TELEMETRY: Any = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}


def create_app(
    settings: Settings,
    *,
    port: int | None = None,
    routers: Sequence[APIRouter] = (),
    open_paths: Collection[str] = (),
    engine: Engine | None = None,
) -> FastAPI:
    """The application over the model of `settings.folder`; its worker lives as long as the application's lifespan.

    port        the port that clients use, where it is not that of the settings
    routers     further routes, which come before those of this room: one for "/" replaces the description there
    open_paths  paths that are answered without the token, such as the files of a page that asks for it
    engine      the worker's keeper; `app.state.engine` in any case, for routes that need it
    """
    engine = engine or Engine(settings)
    return guarded_app(engine, (*routers, _model_routes(engine)), port=port, open_paths=open_paths)


def guarded_app(
    engine: Keeper, routers: Sequence[APIRouter], *, port: int | None = None, open_paths: Collection[str] = ()
) -> FastAPI:
    """An application of the given routes and those of its state, behind the gate: access, limits, counts."""
    settings = engine.settings

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await engine.start()
        yield
        await engine.stop()

    app = FastAPI(
        title="sightline", version=__version__, description="Predictions of one exported model.",
        docs_url=None, redoc_url=None, redirect_slashes=False, lifespan=lifespan, telemetry=_NO_TELEMETRY,
    )  # fmt: skip
    app.state.engine = engine
    app.add_middleware(
        Gate, engine=engine, access=Access(settings, settings.port if port is None else port, open_paths)
    )
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(RequestValidationError, _on_wrong_parameter)
    every = [*routers, _state_routes(engine)]
    for router in every:
        app.include_router(router)
    paths = (getattr(route, "path", "") for router in every for route in router.routes)
    engine.metrics.paths = frozenset({*filter(None, paths), "/openapi.json"})
    return app


def _model_routes(engine: Engine) -> APIRouter:
    router = APIRouter()

    @router.get("/", summary="The model that is served", responses=public(INFO, 503))
    async def info() -> Response:
        if not engine.model:
            raise Unavailable(*STARTING_UP)
        return JSONResponse(
            {"server": f"sightline {__version__}", **engine.model, "paths": sorted(engine.metrics.paths)}
        )

    @router.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return HTMLResponse(PAGE, headers=_POLICY)

    @router.post(
        PREDICT,
        summary="The prediction for one image, or for each of several",
        responses=public(PREDICTIONS, 400, 401, 403, 413, 415, 421, 422, 503),
        openapi_extra={"requestBody": body_schema()},
    )
    async def predict(request: Request, conf: Confidence = None, classes: Classes = []) -> Response:  # noqa: B006 - FastAPI copies it
        return await answer_images(engine, request, conf, classes)

    return router


def _state_routes(engine: Keeper) -> APIRouter:
    router = APIRouter()

    @router.get("/healthz", summary="Whether the server runs", response_class=PlainTextResponse, responses=errors(421))
    async def healthz() -> Response:
        return PlainTextResponse("ok\n")

    @router.get(
        "/readyz", summary="Whether it takes images", response_class=PlainTextResponse, responses=errors(421, 503)
    )
    async def readyz() -> Response:
        if not engine.ready:
            raise Unavailable("stopping", "the server stops") if engine.draining else Unavailable(*STARTING_UP)
        return PlainTextResponse("ready\n")

    @router.get(
        "/metrics", summary="Counts for Prometheus", response_class=PlainTextResponse, responses=errors(401, 421)
    )
    async def metrics() -> Response:
        return Response(engine.metrics.text(engine.gauges()), media_type="text/plain; version=0.0.4")

    return router


async def answer_images(engine: Engine, request: Request, conf: float | None, classes: Collection[str]) -> Response:
    """The answer to a request with images. Raises `Refused` or `Unavailable`, which the gate turns into answers."""
    _require_known(classes, engine.model.get("classes", ()))
    images = await read_images(request)
    facts: dict[str, Any] = {
        key: value for key, value in (("conf", conf), ("classes", classes)) if value not in (None, [])
    }
    replies = await engine.answer([image.data for image in images], facts)
    if all(reply.code is not None for reply in replies):
        first = replies[0]
        raise Refused(Refusal(422, first.code or "", first.message, first.hint))
    return Response(_joined(engine.model["name"], images, replies), media_type="application/json")


def _require_known(classes: Collection[str], known: Collection[str]) -> None:
    unknown = next((name for name in classes if name not in known), None)
    if unknown is not None:
        raise Refused(
            Refusal(422, "unknown-class", "the model does not have one of these classes", nearest(unknown, known))
        )


def _joined(model: str, images: Sequence[Image], replies: Sequence[Reply]) -> bytes:
    """The answer, of rows that are JSON already. Each begins with its upload's name, where there is one."""
    rows = []
    for image, reply in zip(images, replies, strict=True):
        name = b"" if image.name is None else b'"name": ' + json.dumps(image.name).encode() + b", "
        rows.append(b"{" + name + reply.row[1:])
    return b'{"model": ' + json.dumps(model).encode() + b', "predictions": [' + b", ".join(rows) + b"]}"


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = {404: "no-such-path", 405: "wrong-method"}.get(error.status_code, "wrong-request")
    body = error_body(Refusal(error.status_code, code, str(error.detail), "see /openapi.json"))
    return Response(body, error.status_code, dict(error.headers or {}), "application/json")


async def _on_wrong_parameter(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    body = error_body(Refusal(422, "wrong-parameter", f"{where}: {first['msg']}", "see /openapi.json"))
    return Response(body, 422, media_type="application/json")
