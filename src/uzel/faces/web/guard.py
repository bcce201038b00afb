"""Who may ask the page's server, from where, and what every answer says to the browser.

`Host` must be one of the place's own names: one that was rebound to this address is not. `Origin` must be the place,
and Fetch-Metadata, where a browser sends it, must say that the page itself asks; only the page as a whole may be gone
to from elsewhere, and only as a whole window. A device shows its cookie and its second secret: the cookie alone opens
nothing, for browsers send it to every port of the host. Counterparts: `app`, behind it; `devices`, which knows the
secrets.
"""

from __future__ import annotations

from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Scope

from uzel.errors import Reason
from uzel.faces.web.devices import Shown

SECRET = "x-uzel-secret"  # noqa: S105 - the header's name
MOST_SECRET = 200
"""Characters of a cookie or a secret; ours are shorter."""
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src blob:; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": _POLICY,
    "permissions-policy": "camera=(self), microphone=(), geolocation=(), payment=(), usb=()",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cache-control": "no-store",
}
"""On every answer. The page's files say themselves that they may be kept."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the page is served: scheme, and the names by which a browser may call it, each with its port."""

    scheme: str
    port: int
    hosts: tuple[str, ...]

    @property
    def name(self) -> str:
        """What a device's stay is bound to."""
        return f"{self.scheme}:{self.port}"

    @property
    def cookie(self) -> str:
        """The cookie's name: browsers know no ports, so it says the port; over HTTPS it is held to this host."""
        return f"__Host-uzel-{self.port}" if self.scheme == "https" else f"uzel-{self.port}"

    def written_hosts(self) -> frozenset[str]:
        """What `Host` may say."""
        standard = self.port == (443 if self.scheme == "https" else 80)
        with_port = {f"{host}:{self.port}".lower() for host in self.hosts}
        return frozenset(with_port | ({host.lower() for host in self.hosts} if standard else set()))

    def refuse(self, scope: Scope, headers: Headers) -> tuple[Reason, str] | None:
        """Why what does not come from the page is refused, and the same in words; None when it may come in."""
        hosts = self.written_hosts()
        given = headers.getlist("host")
        if len(given) != 1 or given[0].lower() not in hosts:
            return Reason.FOREIGN_HOST, "the Host is not one of this page's names"
        origin = headers.get("origin")
        if origin is not None and (len(headers.getlist("origin")) != 1 or not self._is_own(origin, given[0])):
            return Reason.FOREIGN_ORIGIN, "pages from elsewhere have no business here"
        if not _comes_from_the_page(str(scope["path"]), str(scope["method"]), headers):
            return Reason.FOREIGN_ORIGIN, "only the page itself may ask for that"
        return None

    def _is_own(self, origin: str, host: str) -> bool:
        parts = urlsplit(origin.lower())
        return origin.lower() == f"{parts.scheme}://{parts.netloc}" and (parts.scheme, parts.netloc) == (
            self.scheme,
            host.lower(),
        )

    def shown(self, headers: Headers) -> Shown | None:
        """What the browser shows of itself, if it shows both."""
        cookie: SimpleCookie = SimpleCookie()
        try:
            cookie.load(headers.get("cookie", ""))
        except CookieError:
            return None
        value = cookie[self.cookie].value if self.cookie in cookie else ""
        name, _, token = value.partition(".")
        secret = headers.get(SECRET, "")
        if not (name and token and secret) or max(len(value), len(secret)) > MOST_SECRET:
            return None
        return Shown(name, token, secret)

    def set_cookie(self, answer: Response, shown: Shown | None, age: int = 0) -> None:
        """Have the browser keep the cookie for so many seconds, or with None forget it."""
        value = "" if shown is None else f"{shown.id}.{shown.token}"
        answer.set_cookie(
            self.cookie,
            value,
            max_age=age if shown is not None else 0,
            path="/",
            secure=self.scheme == "https",
            httponly=True,
            samesite="strict",
        )


def _comes_from_the_page(path: str, method: str, headers: Headers) -> bool:
    """By Fetch-Metadata, which every browser of today sends and no page can change."""
    site, mode, target = (headers.get(f"sec-fetch-{name}") for name in ("site", "mode", "dest"))
    if path == "/" and method in {"GET", "HEAD"}:
        return mode in {None, "navigate", "same-origin", "cors"} and target in {None, "document", "empty"}
    if site not in {None, "same-origin"} and not (path.startswith("/static/") and site == "none"):
        return False
    return mode != "navigate" or path.startswith("/static/")
