"""Somebody who says text after text to another through the running core, whatever happens to it, and notes the answers.

One text is asked for at a time, so the order of asking is the order in which they must arrive. Where no core listens
nothing was said, and the same text is tried again; after any other silence it may be queued or not, and the next one
is said. Some go the way of `uzel send`. Counterpart: `checks`, which compares the notes with the histories.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from pathlib import Path

from chaos.checks import Answer, Said
from uzel.errors import CoreSilentError, NoCoreError, NotYourCoreError, QueuedError, StorageError, UzelError
from uzel.faces.cli.core_sender import deliver_through_core
from uzel.local.core_client import CoreClient
from uzel.names import ContactLink

ANSWER = 15.0
"""Seconds to wait for the core's word; a lock in the profile may hold it up for five or more."""
BRIEFLY = 1.0
"""Seconds that such a command has for everything."""
PAUSE = 0.05
"""Seconds before a core that does not listen is asked again."""
ONE_OF = 12
"""Of so many texts one goes the way of `uzel send`."""


def text_of(chance: random.Random, name: str, number: int) -> str:
    """The text with this number, of any size; most are short, and what it says tells it from all others."""
    size = chance.choice((20, 20, 20, 20, 200, 2000, 60_000)) if number % 40 else 200_000
    return f"{name} {number} ".ljust(chance.randint(10, size), "ё")


class Speaker(threading.Thread):
    """Says `count` texts within about so many seconds; `said` grows meanwhile."""

    def __init__(self, name: str, folder: Path, to: ContactLink, seed: int, count: int, seconds: float) -> None:
        super().__init__(name=name, daemon=True)
        self.said: list[Said] = []
        self.fault: BaseException | None = None
        self._folder, self._to = folder, to
        self._chance = random.Random(f"{name} {seed}")
        self._count = count
        self._pace = seconds / count
        self._over = threading.Event()
        self._core: CoreClient | None = None

    def run(self) -> None:
        try:
            for number in range(self._count):
                text = text_of(self._chance, self.name, number)
                way = self._by_command if number % ONE_OF == ONE_OF - 1 else self._by_api
                self.said.append(Said(text, self._say(text, way)))
                if self._over.wait(self._chance.uniform(0.0, 2 * self._pace)):
                    return
        except BaseException as fault:  # noqa: BLE001 - the report tells it
            self.fault = fault
        finally:
            self._let_go()

    def hush(self) -> None:
        """Say no more."""
        self._over.set()

    def _say(self, text: str, way: Callable[[str], None]) -> Answer:
        while not self._over.is_set():
            try:
                way(text)
            except NoCoreError:
                self._let_go()
                self._over.wait(PAUSE)
                continue
            except (CoreSilentError, NotYourCoreError):
                self._let_go()
                return Answer.NOTHING
            except StorageError:
                return Answer.REFUSED
            return Answer.ACCEPTED
        return Answer.NOTHING

    def _let_go(self) -> None:
        if self._core is not None:
            self._core.__exit__(None, None, None)
            self._core = None

    def _by_api(self, text: str) -> None:
        if self._core is None:
            self._core = CoreClient(self._folder, ANSWER).__enter__()
        self._core.ask("POST", "/texts", {"to": int(self._to.uin), "text": text})

    def _by_command(self, text: str) -> None:
        """Queued and not delivered in time is exit code 6 of the command: it is accepted."""
        try:
            deliver_through_core(self._folder, self._to, text, BRIEFLY)
        except QueuedError:
            return
        except NoCoreError as error:
            raise CoreSilentError(str(error)) from None  # it may have ended behind the queueing
        except UzelError as error:
            if error.reason == "storage":
                raise CoreSilentError(str(error)) from None  # queued, perhaps, and only the waiting was refused
            raise
