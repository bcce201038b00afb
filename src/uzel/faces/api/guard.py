"""Who may ask the interface.

On the Unix socket the file's mode says who may; a web page cannot get there, so whatever names an `Origin` is refused.
On the loopback port anybody of this machine, and any page in a browser on it, could knock: there a bearer token is
asked for, compared in constant time, and `Host` must name the loopback itself (a name that was rebound would not), and
`Origin`, if there is one, the port itself. Counterparts: `server`, which listens; `uzel.faces.http.gate`, which reads
bodies within their bounds; `uzel.faces.web`, which guards the interface for the page in its own way.
"""

from __future__ import annotations

import hmac

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Scope

from uzel.faces.http.gate import LOOPBACK, Gate
from uzel.faces.http.problems import refused


class Guard(Gate):
    """See the module's text. Without a token it guards a Unix socket."""

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        super().__init__(app, self._refusal)
        self._token = None if token is None else token.encode()

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        origin = headers.get("origin")
        if self._token is None:
            return refused(403, "foreign_origin", "pages have no business here") if origin is not None else None
        hosts = _hosts(scope)
        given = headers.getlist("host")
        if len(given) != 1 or given[0].lower() not in hosts:
            return refused(403, "foreign_host", "the Host must be the loopback address and the port")
        if origin is not None and origin.lower() not in {f"http://{host}" for host in hosts}:
            return refused(403, "foreign_origin", "pages from elsewhere have no business here")
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(token.strip().encode(), self._token):
            detail = "the bearer token is missing or wrong; it is in api.token of the profile"
            return refused(401, "unauthorized", detail, {"WWW-Authenticate": "Bearer"})
        return None


def _hosts(scope: Scope) -> set[str]:
    """What the Host may say: the port is the one that was reached; 80 may be left out."""
    port = (scope.get("server") or ("", None))[1] or 80
    hosts = {f"{name}:{port}" for name in LOOPBACK}
    return hosts | set(LOOPBACK) if port == 80 else hosts
