"""The work behind `uzel send` with a running core: queue the text there, and wait for what becomes of it.

Once it is queued it is not lost, whatever happens here. Counterpart: `sender`, without a core.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from uzel.errors import CoreSilentError, NoCoreError, NotAContactError, QueuedError, TextStateError
from uzel.faces.cli.asking import waiting_because
from uzel.faces.cli.running import StoppedError
from uzel.local.core_client import CoreClient, failure_of
from uzel.names import ContactLink
from uzel.session.envelopes import MAX_ENVELOPE_TEXT

LONGEST_WAIT = 30.0
"""Seconds of one question: the core answers at the latest then."""


def deliver_through_core(folder: Path, link: ContactLink, text: str, timeout: float) -> float:
    """Returns the milliseconds from queueing to the report; `timeout`, in seconds, is for everything.

    Who is no contact yet becomes one: whoever writes to a number knows it. Raises `QueuedError` when it is not
    delivered in time, and why it failed when it did; `StoppedError`, marked as queued once it is.
    """
    until = time.monotonic() + timeout
    queued = False
    try:
        with CoreClient(folder, timeout) as core:
            _acquaint(core, link)
            started = time.perf_counter()
            for piece in pieces(text):
                number = core.ask("POST", "/texts", {"to": int(link.uin), "text": piece})["number"]
                queued = True
            _wait(core, link, number, until)
    except StoppedError as stopped:
        stopped.queued = queued
        raise
    except (NoCoreError, CoreSilentError) as error:
        if queued:
            raise QueuedError("the core has ended meanwhile") from error
        raise
    return (time.perf_counter() - started) * 1000


def pieces(text: str, most: int = MAX_ENVELOPE_TEXT) -> Iterator[str]:
    """The text in parts of at most so many bytes, cut between code points; an empty text is one part."""
    data, at = text.encode(), 0
    while True:
        end = min(at + most, len(data))
        while end < len(data) and data[end] & 0xC0 == 0x80:
            end -= 1
        yield data[at:end].decode()
        at = end
        if at >= len(data):
            return


def _acquaint(core: CoreClient, link: ContactLink) -> None:
    if link.fingerprint is None:
        try:
            core.ask("GET", f"/contacts/{int(link.uin)}")
        except NotAContactError:
            pass
        else:
            return
    core.ask("POST", "/contacts", {"link": str(link)})


def _wait(core: CoreClient, link: ContactLink, number: int, until: float) -> None:
    """Until the last part is over: texts arrive in order."""
    while True:
        left = max(0.0, until - time.monotonic())
        asked = min(left, LONGEST_WAIT)
        text = core.ask("GET", f"/texts/{number}/wait?timeout={asked:.3f}", timeout=asked + 5.0)
        match text["state"]:
            case "delivered":
                return
            case "failed":
                raise failure_of(text["reason"])
            case "cancelled":
                raise TextStateError("it was cancelled")
        if left <= 0:
            raise _why_it_waits(core, link)


def _why_it_waits(core: CoreClient, link: ContactLink) -> QueuedError:
    try:
        contact = core.ask("GET", f"/contacts/{int(link.uin)}")
    except NotAContactError:  # removed meanwhile
        return QueuedError()
    return waiting_because(contact) or QueuedError()
