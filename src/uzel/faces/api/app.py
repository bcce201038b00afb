"""The application: all routes, the guard before them, and the document that describes them.

One is made for each place where the core is reached: without a token for the Unix socket, with one for the port.
Counterparts: `server`, which serves them; the `routes_…`, which are the interface.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from uzel.core.messenger import Messenger
from uzel.faces.api import (
    events,
    routes_chats,
    routes_devices,
    routes_nodes,
    routes_own,
    routes_people,
    routes_self,
    routes_strangers,
    routes_texts,
)
from uzel.faces.api.context import Context, Page
from uzel.faces.api.guard import Guard
from uzel.faces.api.problems import RESPONSES, SCHEMA, handle

OPENAPI = "/v1/openapi.json"


def make_app(
    messenger: Messenger,
    token: str | None = None,
    *,
    stop: Callable[[], None] | None = None,
    page: Page | None = None,
    guarded: bool = True,
) -> FastAPI:
    """The interface of this messenger. With a token it is for a loopback port, without for a Unix socket.

    `stop` is called when a program asks the core to end; without it, it cannot be asked. `page` is the one that is
    served beside it. With `guarded` off, whoever serves it has a guard of their own. Belongs to the messenger's event
    loop.
    """
    app = FastAPI(
        telemetry={"tracing": False, "metrics": False, "logs": False},  # whatever the environment says, nobody is told
        title="Uzel", version=version("uzel"), openapi_url=OPENAPI, docs_url=None, redoc_url=None, responses=RESPONSES,
        redirect_slashes=False, generate_unique_id_function=lambda route: route.name,
    )  # fmt: skip
    app.state.context = Context(messenger, stop, page)
    for routes in (
        routes_self,
        routes_texts,
        routes_chats,
        routes_people,
        routes_strangers,
        routes_devices,
        routes_nodes,
        routes_own,
        events,
    ):
        app.include_router(routes.router, prefix="/v1")
    handle(app)
    if guarded:
        app.add_middleware(Guard, token=token)
    _describe(app, with_token=token is not None)
    return app


def _describe(app: FastAPI, *, with_token: bool) -> None:
    """FastAPI's document, with the form of a problem and how one is let in."""

    def describe() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(title=app.title, version=app.version, routes=app.routes)
            components = schema.setdefault("components", {})
            components.setdefault("schemas", {})["Problem"] = SCHEMA
            if with_token:
                components["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
                schema["security"] = [{"token": []}]
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = describe  # type: ignore[method-assign]  # the documented way
