"""The devices that are let in: which there are, what each must show, when each is signed out. Pure.

A device shows two secrets: the cookie, which no script can read but which a browser sends to every port of the host,
and a second one that the page keeps for its own port alone. Only keyed hashes of both are kept; the key is the profile
file's salt, so those in a backup are no good once it is restored: what was signed out does not come back by it. A
device belongs to the place (scheme and port) where it was let in. Counterpart: `sessions`, which keeps them.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from uzel.faces.page_settings import PageSettings

Kind = Literal["local", "paired"]
MOST_NAME = 64
"""Characters of a device's name."""
_HALVES = b"cookie", b"secret"


@dataclass(frozen=True, slots=True)
class Device:
    """A browser that was let in. Times are milliseconds since 1970; `cookie` and `secret` are hashes, in hex."""

    id: str
    name: str
    kind: Kind
    place: str
    cookie: str
    secret: str
    created_at: int
    last_seen: int


@dataclass(frozen=True, slots=True)
class Shown:
    """What a browser shows: the cookie's id and token, and the second secret."""

    id: str
    token: str = field(repr=False)
    secret: str = field(repr=False)


class Devices:
    """See the module's text. `now` is in milliseconds since 1970."""

    def __init__(self, key: bytes, settings: PageSettings, kept: Iterable[Device] = ()) -> None:
        self._key = key
        self._settings = settings
        self._devices = {device.id: device for device in kept}

    def all(self) -> list[Device]:
        """Every device, the oldest first."""
        return sorted(self._devices.values(), key=lambda device: (device.created_at, device.id))

    def get(self, name: str) -> Device | None:
        """The device with this id."""
        return self._devices.get(name)

    def admit(self, shown: Shown, name: str, kind: Kind, place: str, now: int) -> list[str]:
        """Let one in that will show this; the ids of those that had to go for it."""
        gone: list[str] = []
        while len(self._devices) >= self._settings.devices:
            oldest = min(self._devices.values(), key=lambda device: (device.last_seen, device.id))
            gone.append(oldest.id)
            del self._devices[oldest.id]
        cookie, secret = self._hashes(shown)
        self._devices[shown.id] = Device(shown.id, clean(name), kind, place, cookie, secret, now, now)
        return gone

    def find(self, shown: Shown, place: str, now: int) -> Device | None:
        """The device that shows this, in this place, unless its time is over. Takes equally long for every secret."""
        cookie, secret = self._hashes(shown)
        device = self._devices.get(shown.id)
        right = [
            hmac.compare_digest(cookie, device.cookie if device else cookie[::-1]),
            hmac.compare_digest(secret, device.secret if device else secret[::-1]),
        ]
        if device is None or not all(right) or device.place != place or now >= self.expires_at(device):
            return None
        return device

    def expires_at(self, device: Device) -> int:
        """When it is signed out, if it is not seen before."""
        idle, lifetime = (round(1000 * each) for each in (self._settings.idle, self._settings.lifetime))
        return min(device.last_seen + idle, device.created_at + lifetime)

    def seen(self, device: Device, now: int) -> bool:
        """It is there; whether that is worth writing down."""
        if now < device.last_seen + 1000 * self._settings.note_seen:
            return False
        self._devices[device.id] = replace(device, last_seen=now)
        return True

    def rename(self, name: str, to: str) -> Device | None:
        """Call it something else; None when it is gone."""
        device = self._devices.get(name)
        if device is not None:
            device = self._devices[name] = replace(device, name=clean(to))
        return device

    def remove(self, name: str) -> bool:
        """Sign it out. False when it was."""
        return self._devices.pop(name, None) is not None

    def expire(self, now: int) -> list[str]:
        """Sign out those whose time is over; their ids."""
        gone = [device.id for device in self._devices.values() if now >= self.expires_at(device)]
        for each in gone:
            del self._devices[each]
        return gone

    def _hashes(self, shown: Shown) -> tuple[str, str]:
        return tuple(  # type: ignore[return-value]  # there are two halves
            hmac.new(self._key, half + b"\0" + value.encode("utf-8", "replace"), hashlib.sha256).hexdigest()
            for half, value in zip(_HALVES, (shown.token, shown.secret), strict=True)
        )


def clean(name: str) -> str:
    """A name for a person's eyes: without control characters, not too long."""
    return "".join(character for character in name if character.isprintable())[:MOST_NAME].strip() or "?"
