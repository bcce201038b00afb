"""The work behind `uzel listen` with a running core: what comes there goes out here, a line each.

Events: `online` {node, uin}, `text` {from, text, at}, `offline` {reason, retry_in}; calls are the core's own matter.
The core keeps a text before it reports it. Here it is acknowledged once its line has left this process, so one that
was not is given again to whoever listens next. Counterpart: `listener`, without a core.
"""

from __future__ import annotations

import sys
from pathlib import Path

from uzel.errors import CoreSilentError, NotAContactError, StorageError
from uzel.faces.cli.output import json_line, named, printable, silence_stdout
from uzel.local.core_client import CoreClient, Values

PAGE = 20
"""Texts that are asked for at a time."""


def listen_through_core(folder: Path, *, as_json: bool, echo: bool) -> None:
    """Listen until the core ends, or nobody reads what is printed.

    Raises `CoreSilentError` when the core ends, `StorageError` when the disk behind stdout refuses.
    """
    with CoreClient(folder) as core:
        listener = _Listener(core, as_json=as_json, echo=echo)
        try:
            with core.events() as events:
                for kind, data in events:
                    listener.take(kind, data)
        except BrokenPipeError:
            silence_stdout()  # whoever read our lines has gone, and so do we
            return
        except OSError as error:
            raise StorageError(f"standard output: {error.strerror}") from None
    raise CoreSilentError("it has ended")


class _Listener:
    def __init__(self, core: CoreClient, *, as_json: bool, echo: bool) -> None:
        self._core = core
        self._as_json = as_json
        self._echo = echo
        self._uin = core.ask("GET", "/me")["uin"]
        self._names: dict[int, str] = {}

    def take(self, kind: str, data: Values) -> None:
        """One event of the core."""
        if kind == "presence":
            self._presence(data)
        if kind == "contact":
            self._names.pop(data["uin"], None)  # it may be another now
        if kind in {"ready", "missed"} or (kind == "text" and not data["outgoing"]):
            self._drain()

    def _presence(self, data: Values) -> None:
        if data["online"]:
            human = f"online at {data['node']} as {self._uin}"
            self._emit(human, event="online", node=data["node"], uin=self._uin)
        elif data["reason"]:  # at the start there is none yet
            self._emit(f"offline: {printable(data['reason'])}", event="offline", reason=data["reason"], retry_in=None)

    def _drain(self) -> None:
        """Everything that no program has been given yet."""
        while texts := self._core.ask("GET", "/unhandled", None, limit=PAGE)["texts"]:
            for text in texts:
                peer = text["chat"]
                human = "" if self._as_json else f"{self._named(peer)}: {printable(text['text'])}"
                self._emit(human, event="text", **{"from": peer}, text=text["text"], at=text["stored_at"])
                if self._echo and text["text"]:  # a peer may send an empty one, we do not
                    self._core.ask("POST", "/texts", {"to": peer, "text": text["text"]})
                self._core.ask("POST", f"/texts/{text['number']}/handled")

    def _named(self, peer: int) -> str:
        """Name and number, as far as there is a name; it is asked for once."""
        if peer not in self._names:
            try:
                self._names[peer] = self._core.ask("GET", f"/contacts/{peer}")["name"]
            except NotAContactError:
                self._names[peer] = ""
        return named(peer, self._names[peer])

    def _emit(self, human: str, **values: object) -> None:
        """A line that has left this process when this returns. Raises `OSError`."""
        if sys.stdout is None:
            raise BrokenPipeError
        sys.stdout.write(json_line(values) if self._as_json else human + "\n")
        sys.stdout.flush()
