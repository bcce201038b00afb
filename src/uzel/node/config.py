"""A node's settings: every time and bound of section 8 that it keeps, with its default.

Read from TOML (`[times]`, `[limits]`) by msgspec; unknown names and values out of range are refused. Flags of the
command line come on top. Plain dataclasses, so that a node without a settings file never loads msgspec (1.2 MiB).
Counterpart: docs/settings.md, which is generated from these classes.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uzel.errors import ConfigError
from uzel.node.connections import ConnectionBounds
from uzel.node.limits import Rate
from uzel.node.switchboard import SwitchboardSettings
from uzel.session.keepalive import KeepaliveTimes

YEAR = 31_536_000.0
MOST = 10_000_000


def _bounded(default: Any, least: float, most: float) -> Any:
    """A setting with its default and the range it must lie in."""
    return dataclasses.field(default=default, metadata={"range": (least, most)})


def _seconds(default: float) -> Any:
    return _bounded(default, 0.001, YEAR)


def _count(default: int, least: int = 1, most: int = MOST) -> Any:
    return _bounded(default, least, most)


def _check(settings: Any) -> None:
    for setting in dataclasses.fields(settings):
        least, most = setting.metadata.get("range", (None, None))
        value = getattr(settings, setting.name)
        if least is not None and not least <= value <= most:
            raise ConfigError(f"{setting.name} = {value}: it lies between {least} and {most}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
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

    handshake: float = _seconds(10.0)
    data_hello: float = _seconds(10.0)
    ring: float = _seconds(60.0)
    data: float = _seconds(15.0)
    ping_idle: float = _seconds(30.0)
    silence: float = _seconds(90.0)
    drain: float = _seconds(10.0)
    shutdown: float = _bounded(30.0, 0, 86_400)
    claim_days: float = _seconds(90.0)
    flush: float = _seconds(60.0)

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Counts, unless said otherwise. An address is an IPv4 address or an IPv6 /64.

    half_open_per_address, half_open: connections that have not said who they are; beyond it the oldest goes.
    connections_per_address, connections: all connections; 0 takes the second from the descriptor limit.
    data_share: the share of connections that only data connections can take.
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

    half_open_per_address: int = _count(256)
    half_open: int = _count(4096)
    connections_per_address: int = _count(1024)
    connections: int = _count(0, least=0)
    data_share: float = _bounded(0.25, 0, 0.9)
    descriptor_reserve: int = _count(64)
    logins_per_minute: int = _count(60)
    login_burst: int = _count(60)
    calls_per_minute: int = _count(120)
    call_burst: int = _count(60)
    unanswered_per_caller: int = _count(16)
    unanswered_per_callee: int = _count(32)
    key_checks: int = _count(64)
    key_checks_per_address: int = _count(8)
    key_check_workers: int = _count(2, most=64)
    claims: int = _count(100_000)
    send_queue: int = _count(262_144, least=4096, most=1 << 30)
    check_data_address: bool = True
    backlog: int = _count(4096)
    accept_batch: int = _count(16, most=1024)
    pipes: int = _count(16, least=0, most=4096)

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeConfig:
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
            for_data=limits.data_share,
            handshake=times.handshake,
            data_hello=times.data_hello,
        )

    def keepalive_times(self) -> KeepaliveTimes:
        """For control connections."""
        return KeepaliveTimes(self.times.ping_idle, self.times.silence)


def load_config(path: Path) -> NodeConfig:
    """Read a TOML file. Raises `ConfigError` with what is wrong and where."""
    import tomllib  # noqa: PLC0415 - only a node with a settings file needs these two

    import msgspec  # noqa: PLC0415

    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        _refuse_unknown(data)
        return msgspec.convert(data, NodeConfig)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from None
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {error}") from None
    except ConfigError as error:
        raise ConfigError(f"{path}: {error.detail}") from None


def _refuse_unknown(data: dict[str, Any]) -> None:
    sections: dict[str, Any] = {"": NodeConfig, "times": Times, "limits": Limits}
    for section, settings in sections.items():
        given = data if not section else data.get(section, {})
        known = {setting.name for setting in dataclasses.fields(settings)}
        unknown = sorted(set(given) - known) if isinstance(given, dict) else []
        if unknown:
            raise ConfigError(f"there is no setting {section + '.' if section else ''}{unknown[0]}")
