"""Asks the running core of a profile, through the socket in the profile's folder.

Every way in which there is no answer is an error of its own, for a person: no core runs there, the folder belongs to
someone else, it does not answer in time. What the core refuses is the same error here as there, made again from its
code. Counterpart: `uzel.faces.api`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import httpx

from uzel.errors import CoreSilentError, NetworkError, NoCoreError, RequestRefusedError, UzelError
from uzel.local.core_socket import knock
from uzel.store.admin_socket import API_SOCKET, socket_address

Values = dict[str, Any]
TIMEOUT = 10.0
"""Seconds for an answer: those of the core come within milliseconds."""
MOST_EVENT = 8 * 1024 * 1024
"""Characters of one event: the longest text, written as escapes, takes less than half."""
STREAM_SILENCE = 60.0
"""Seconds without a byte after which a stream is dead: the core says something every fifteen."""


class CoreClient:
    """The core that runs on this profile's folder. Use it as a context manager; entering it raises as `knock`."""

    def __init__(self, folder: Path, timeout: float = TIMEOUT) -> None:
        self._folder = folder
        self._timeout = timeout
        self._held = ExitStack()

    def __enter__(self) -> Self:
        knock(self._folder)
        try:
            name = self._held.enter_context(socket_address(self._folder / API_SOCKET))
        except OSError as error:
            raise NoCoreError(f"{self._folder}: {error.strerror}") from None
        transport = httpx.HTTPTransport(uds=name)
        client = httpx.Client(transport=transport, base_url="http://core/v1", timeout=self._timeout, trust_env=False)
        self._client = self._held.enter_context(client)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.close()

    def ask(
        self, method: str, path: str, body: Values | None = None, *, timeout: float | None = None, **query: object
    ) -> Values:
        """The answer's object; empty when there is none.

        Raises `NoCoreError` when it has ended, `CoreSilentError`, and what the core raised.
        """
        given = {name: str(value) for name, value in query.items() if value is not None}
        try:
            answer = self._client.request(
                method, path, json=body, params=given or None, timeout=timeout or self._timeout
            )
        except httpx.HTTPError as error:
            raise self._silence(error) from None
        return values_of(answer.status_code, answer.content)

    @contextmanager
    def events(self, after: int | None = None) -> Iterator[Iterator[tuple[str, Values]]]:
        """The event stream: kinds and data, until the core ends. Raises as `ask`."""
        query = {} if after is None else {"after": str(after)}
        timeout = httpx.Timeout(self._timeout, read=STREAM_SILENCE)
        try:
            with self._client.stream("GET", "/events", params=query, timeout=timeout) as answer:
                if answer.status_code != 200:
                    answer.read()
                    values_of(answer.status_code, answer.content)
                yield _events(answer.iter_lines())
        except httpx.HTTPError as error:
            raise self._silence(error) from None

    def _silence(self, error: httpx.HTTPError) -> UzelError:
        if isinstance(error, httpx.ConnectError):
            return NoCoreError(str(self._folder))
        if isinstance(error, httpx.TimeoutException):
            return CoreSilentError(f"not within {self._timeout:g} s")
        return CoreSilentError("it ended the connection")


def error_of(code: str, detail: str) -> UzelError:
    """The error with this code, made again."""
    kind = _KINDS.get(code, RequestRefusedError)
    return kind(detail, reason=code)


def _all_kinds(kind: type[UzelError]) -> Iterator[type[UzelError]]:
    for below in kind.__subclasses__():
        yield below
        yield from _all_kinds(below)


def failure_of(reason: str) -> UzelError:
    """Why a text was not delivered, as an error."""
    kind = _KINDS.get(reason)
    return kind(reason=reason) if kind else NetworkError(reason, reason=reason)


_KINDS = {str(kind.reason): kind for kind in reversed(list(_all_kinds(UzelError)))}


def values_of(status: int, content: bytes) -> Values:
    """The answer's object, empty when there is none. Raises what the core raised, `CoreSilentError`."""
    good = 200 <= status < 300
    if good and not content:
        return {}
    try:
        values = json.loads(content)
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise CoreSilentError("it answered something else")
    if good:
        return cast("Values", values)
    raise error_of(str(values.get("code", "")), str(values.get("detail", "")))


class Events:
    """Takes the lines of the event stream and gives the events."""

    def __init__(self) -> None:
        self._kind, self._data = "", ""

    def line(self, line: str) -> tuple[str, Values] | None:
        """Kind and data, when this line ended an event. Raises `CoreSilentError` for what is none."""
        name, _, value = line.partition(": ")
        if name == "event":
            self._kind = value
        elif name == "data":
            self._data = value[:MOST_EVENT]
        elif not line and self._kind:
            kind, data = self._kind, self._data
            self._kind, self._data = "", ""
            try:
                return kind, cast("Values", json.loads(data))
            except ValueError:
                raise CoreSilentError("it sent something else than events") from None
        return None


def _events(lines: Iterator[str]) -> Iterator[tuple[str, Values]]:
    events = Events()
    for line in lines:
        event = events.line(line)
        if event is not None:
            yield event
