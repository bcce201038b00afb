"""A node's settings: every time and bound of section 8 that it keeps, with its default.

Read from TOML (`[times]`, `[limits]`) by msgspec, which refuses unknown names and wrong types; ranges are checked
here. Flags of the command line come on top. Counterpart: docs/settings.md, which is generated from these classes.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated

import msgspec

from uzel.errors import ConfigError
from uzel.node.connections import ConnectionBounds
from uzel.node.limits import Rate
from uzel.node.switchboard import SwitchboardSettings
from uzel.session.keepalive import KeepaliveTimes

Seconds = Annotated[float, msgspec.Meta(gt=0, le=31_536_000)]
Count = Annotated[int, msgspec.Meta(ge=1, le=10_000_000)]


class Times(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Seconds, except `claim_days`.

    handshake: hello and TLS of a control connection, together.
    data_hello: the 20 of a data connection.
    ring: 04 to 06 or 08.
    data: 06 to the callee's data connection, and 07 to the caller's.
    ping_idle: quiet before a client is pinged.
    silence: quiet that ends a control connection.
    drain: how long bytes already received are still passed on after one side has ended (D17).
    shutdown: how long running conversations may go on after SIGTERM.
    claim_days: days after which an unused UIN is free again.
    flush: how often the last use of UINs is written to disk.
    """

    handshake: Seconds = 10.0
    data_hello: Seconds = 10.0
    ring: Seconds = 60.0
    data: Seconds = 15.0
    ping_idle: Seconds = 30.0
    silence: Seconds = 90.0
    drain: Seconds = 10.0
    shutdown: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 30.0
    claim_days: Seconds = 90.0
    flush: Seconds = 60.0


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Counts, unless said otherwise. An address is an IPv4 address or an IPv6 /64.

    half_open_per_address, half_open: connections that have not said who they are; beyond it the oldest goes.
    connections_per_address, connections: all connections; 0 takes the second from the descriptor limit.
    descriptor_reserve: descriptors kept free of connections, for pipes, files and the unexpected.
    logins_per_minute, login_burst: of one client.
    calls_per_minute, call_burst: of one client.
    unanswered_per_caller, unanswered_per_callee: calls that ring at the same time.
    key_checks, key_checks_per_address: unseen keys that wait for their check.
    key_check_workers: how many are checked at a time; each takes 64 MiB while it runs.
    claims: UINs whose first key is remembered.
    send_queue: bytes waiting for a client that does not read its control connection.
    check_data_address: data connections must come from their client's address (D12).
    backlog: connections the kernel may hold for us.
    accept_batch: connections accepted in one go, so that handshakes go on during a flood.
    pipes: pipes kept for bulk copying, two descriptors each.
    """

    half_open_per_address: Count = 256
    half_open: Count = 4096
    connections_per_address: Count = 1024
    connections: Annotated[int, msgspec.Meta(ge=0, le=10_000_000)] = 0
    descriptor_reserve: Count = 64
    logins_per_minute: Count = 60
    login_burst: Count = 60
    calls_per_minute: Count = 120
    call_burst: Count = 60
    unanswered_per_caller: Count = 16
    unanswered_per_callee: Count = 32
    key_checks: Count = 64
    key_checks_per_address: Count = 8
    key_check_workers: Annotated[int, msgspec.Meta(ge=1, le=64)] = 2
    claims: Count = 100_000
    send_queue: Annotated[int, msgspec.Meta(ge=4096)] = 262_144
    check_data_address: bool = True
    backlog: Count = 4096
    accept_batch: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 16
    pipes: Annotated[int, msgspec.Meta(ge=0, le=4096)] = 16


class NodeConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole configuration. `listen` holds HOST:PORT texts; port 0 picks a free pair."""

    listen: tuple[str, ...] = ()
    times: Times = Times()
    limits: Limits = Limits()

    def switchboard_settings(self) -> SwitchboardSettings:
        """What the switchboard keeps."""
        times, limits = self.times, self.limits
        return SwitchboardSettings(
            ring=times.ring,
            data=times.data,
            logins=Rate(limits.logins_per_minute, limits.login_burst),
            calls=Rate(limits.calls_per_minute, limits.call_burst),
            unanswered_per_caller=limits.unanswered_per_caller,
            unanswered_per_callee=limits.unanswered_per_callee,
            check_data_address=limits.check_data_address,
        )

    def connection_bounds(self, descriptor_bound: int) -> ConnectionBounds:
        """What `Connections` keeps; `descriptor_bound` is what the operating system leaves us."""
        times, limits = self.times, self.limits
        return ConnectionBounds(
            half_open_per_address=limits.half_open_per_address,
            half_open=limits.half_open,
            per_address=limits.connections_per_address,
            in_all=min(limits.connections or descriptor_bound, descriptor_bound),
            handshake=times.handshake,
            data_hello=times.data_hello,
        )

    def keepalive_times(self) -> KeepaliveTimes:
        """For control connections."""
        return KeepaliveTimes(self.times.ping_idle, self.times.silence)


def load_config(path: Path) -> NodeConfig:
    """Read a TOML file. Raises `ConfigError` with what is wrong and where."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        return msgspec.convert(data, NodeConfig)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from None
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {error}") from None
