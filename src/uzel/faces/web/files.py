"""The page's own files: read once, at the start, and given out under their names, never by a path.

Each has its exact type and an ETag; browsers ask again each time (`no-cache`) and mostly get 304, so that after an
update nobody runs half of an old page. Counterpart: `static`, where they are.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from starlette.datastructures import Headers
from starlette.responses import Response

TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}
INDEX = "index.html"


@dataclass(frozen=True, slots=True)
class File:
    """One of them."""

    content: bytes
    type: str
    etag: str

    def answer(self, headers: Headers) -> Response:
        """All of it, or that it has not changed."""
        given = {"ETag": self.etag, "Cache-Control": "no-cache"}
        known = {each.strip().removeprefix("W/") for each in headers.get("if-none-match", "").split(",")}
        if self.etag in known:
            return Response(status_code=304, headers=given)
        return Response(self.content, headers={**given, "Content-Type": self.type})


def read_files(folder: Traversable | None = None) -> dict[str, File]:
    """The files by the path of their address; `/` is the page."""
    found = dict(_below(folder or files("uzel.faces.web") / "static", "/static/"))
    return {**found, "/": found[f"/static/{INDEX}"]}


def _below(folder: Traversable, path: str) -> list[tuple[str, File]]:
    found: list[tuple[str, File]] = []
    for each in folder.iterdir():
        if each.is_dir():
            found += _below(each, f"{path}{each.name}/")
            continue
        kind = TYPES.get(f".{each.name.rpartition('.')[2]}")
        if kind is not None:
            content = each.read_bytes()
            found.append((path + each.name, File(content, kind, f'"{hashlib.sha256(content).hexdigest()[:32]}"')))
    return found
