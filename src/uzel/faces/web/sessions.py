"""Lets browsers in and signs them out; the devices are kept in the profile, so that a restart signs nobody out.

Rules: who is let in, renamed or signed out is on disk before it is answered, and told in the journal (`device`). A
device's streams end in the moment in which it is signed out. An address that is opened twice is told and logged: one
of the two who have it is not its owner. Counterparts: `tickets` and `devices`, which decide; `app`, which asks.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec

from uzel.core.ledger import wall_ms
from uzel.core.messenger import Messenger
from uzel.errors import NoDeviceError, NotSignedInError, OneTimeUsedError, RateLimitedError
from uzel.faces.web.devices import Device, Devices, Kind, Shown
from uzel.faces.web.settings import PageSettings
from uzel.faces.web.tickets import CODE_DIGITS, Tickets, Verdict
from uzel.store.options import Option
from uzel.store.tables import Tables

TOKEN_BYTES = 32
ID_BYTES = 8
DEVICES: Option[list[Device]] = Option("page devices", list[Device], [])
DEVICE = "device"
"""Kind of news about devices."""
logger = logging.getLogger("uzel.page")


@dataclass(frozen=True, slots=True)
class Ticket:
    """An address or a code, and when it is no good any more, in milliseconds since 1970."""

    value: str
    expires_at: int
    address: str

    def __repr__(self) -> str:
        return f"<Ticket until {self.expires_at}>"


class Sessions:
    """See the module's text. Belongs to the messenger's loop; `load` comes first."""

    def __init__(self, messenger: Messenger, settings: PageSettings | None = None) -> None:
        self._ledger = messenger.ledger
        self.settings = settings or PageSettings()
        self._tickets = Tickets(self.settings)
        self._salt = messenger.profile.file.key.salt
        self._devices = Devices(self._salt, self.settings)
        self._open: dict[str, set[asyncio.Event]] = {}
        self.address = ""
        """Where the page is on this machine: `http://127.0.0.1:PORT/`; set by who serves it."""
        self.shared = ""
        """Where it is for other devices: `https://HOST:PORT/`, or nowhere."""

    async def load(self) -> None:
        """Read who was let in before. Raises `ConfigError`, `StorageError`."""
        kept = await self._ledger.writer.run(lambda tables: tables.options.get(DEVICES))
        self._devices = Devices(self._salt, self.settings, kept)
        self._devices.expire(wall_ms())

    # -- Letting in -------------------------------------------------------------------------------------------

    def new_address(self) -> Ticket:
        """A one-time address for a browser of this machine."""
        token = secrets.token_urlsafe(TOKEN_BYTES)
        self._tickets.add_address(token, time.monotonic())
        return Ticket(f"{self.address}#{token}", wall_ms() + round(1000 * self.settings.address), self.address)

    def new_code(self) -> Ticket:
        """A code that pairs one device, which opens the address."""
        code = f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}d}"
        self._tickets.add_code(code, time.monotonic())
        spaced = f"{code[:3]} {code[3:6]} {code[6:]}"
        return Ticket(spaced, wall_ms() + round(1000 * self.settings.code), self.shared or self.address)

    async def open_address(self, token: str, name: str, place: str, before: Device | None) -> tuple[Device, Shown]:
        """A browser opened a one-time address; what it is to show from now on. `before` is what it was.

        Raises `OneTimeUsedError`, `NotSignedInError`, `RateLimitedError`, `StorageError`.
        """
        self._judge(self._tickets.open_address(token, time.monotonic()))
        return await self._admit(name, "local", place, before)

    async def enter_code(self, code: str, name: str, place: str, before: Device | None) -> tuple[Device, Shown]:
        """A device shows a pairing code. As `open_address`."""
        self._judge(self._tickets.enter_code(code, time.monotonic()))
        return await self._admit(name, "paired", place, before)

    def wait(self) -> float:
        """Seconds until the next address or code is looked at."""
        return self._tickets.wait(time.monotonic())

    def _judge(self, verdict: Verdict) -> None:
        match verdict:
            case Verdict.GOOD:
                return
            case Verdict.WAIT:
                raise RateLimitedError(f"wrong addresses or codes came: wait {self.wait():.0f} s")
            case Verdict.USED:
                self._ledger.spawn(self._tell("address_reused", ""))
                _log("page_address_reused")
                raise OneTimeUsedError
            case Verdict.WRONG:
                _log("page_refused")
                raise NotSignedInError("that address or code is wrong, or too old")

    async def _admit(self, name: str, kind: Kind, place: str, before: Device | None) -> tuple[Device, Shown]:
        shown = Shown(
            secrets.token_hex(ID_BYTES), secrets.token_urlsafe(TOKEN_BYTES), secrets.token_urlsafe(TOKEN_BYTES)
        )
        if before is not None:
            self._devices.remove(before.id)
            self._end(before.id)
        for gone in self._devices.admit(shown, name, kind, place, wall_ms()):
            self._end(gone)
        await self._tell("added", shown.id)
        device = self._devices.get(shown.id)
        if device is None:  # it was signed out in the same moment
            raise NotSignedInError
        return device, shown

    # -- Who is let in ----------------------------------------------------------------------------------------

    def find(self, shown: Shown, place: str) -> Device | None:
        """The device that shows this. That it was seen is written down now and then."""
        now = wall_ms()
        device = self._devices.find(shown, place, now)
        if device is not None and self._devices.seen(device, now):
            self._ledger.spawn(self._keep())
        return device

    def is_known(self, device: Device) -> bool:
        """Whether it is still let in."""
        return self._devices.get(device.id) is not None

    def devices(self) -> list[Device]:
        """Everyone who is let in, the oldest first."""
        for gone in self._devices.expire(wall_ms()):
            self._end(gone)
        return self._devices.all()

    def expires_at(self, device: Device) -> int:
        """When it is signed out unless it is seen before, in milliseconds since 1970."""
        return self._devices.expires_at(device)

    async def rename(self, device: str, name: str) -> Device:
        """Call it something else. Raises `NoDeviceError`, `StorageError`."""
        renamed = self._devices.rename(device, name)
        if renamed is None:
            raise NoDeviceError(device)
        await self._tell("renamed", device)
        return renamed

    async def remove(self, device: str) -> None:
        """Sign it out: its streams end at once. Raises `NoDeviceError`, `StorageError`."""
        if not self._devices.remove(device):
            raise NoDeviceError(device)
        self._end(device)
        await self._tell("removed", device)

    @contextmanager
    def using(self, device: Device) -> Iterator[asyncio.Event]:
        """While one of its requests is answered: set when it is signed out."""
        over = asyncio.Event()
        self._open.setdefault(device.id, set()).add(over)
        try:
            yield over
        finally:
            left = self._open.get(device.id, set())
            left.discard(over)
            if not left:
                self._open.pop(device.id, None)

    def end_streams(self) -> None:
        """The page is served no longer."""
        for device in list(self._open):
            self._end(device)

    def _end(self, device: str) -> None:
        for over in self._open.pop(device, set()):
            over.set()

    # -- Keeping ----------------------------------------------------------------------------------------------

    async def _keep(self) -> None:
        kept = msgspec.to_builtins(self._devices.all())
        await self._ledger.writer.run(lambda tables: tables.options.set(DEVICES, kept))

    async def _tell(self, change: str, device: str) -> None:
        kept = msgspec.to_builtins(self._devices.all())

        def work(tables: Tables) -> None:
            tables.options.set(DEVICES, kept)
            tables.journal.append(DEVICE, {"change": change, "device": device}, wall_ms())

        await self._ledger.writer.run(work)
        self._ledger.tell()


def _log(event: str) -> None:
    logger.warning(event, extra={"event": event, "fields": {}})
