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

from uzel.errors import ConfigError, InvalidNameError
from uzel.names import NodeReference
from uzel.node.connections import ConnectionBounds
from uzel.node.limits import Rate
from uzel.node.settings import MIB, LinkSettings, SearchSettings, SwitchboardSettings
from uzel.session.keepalive import KeepaliveTimes
from uzel.session.redial import RedialTimes

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

    handshake: TCP connect, hello and TLS of a control connection or link, together.
    data_hello: the 20 of a data connection.
    ring: 04 to 06 or 08.
    data: 06 to the callee's data connection, and 07 to the caller's.
    every_call: within this time every 03 is answered (D26).
    request_margin: more than ring and data time that another node has for AB or B8 (D26).
    ping_idle: quiet before a client is pinged or a link probed.
    silence: quiet that ends a control connection or a link.
    drain: how long bytes already received are still passed on after one side has ended (D17).
    shutdown: how long running conversations may go on after SIGTERM.
    claim_days: days after which an unused UIN is free again.
    flush: how often the last use of UINs, and what other nodes answered, is written to disk.
    link_first_message: TLS to the message that makes a connection a link (D21).
    link_replaced: how long an older link may be silent once a newer one to that node stands (D21).
    link_idle: how long a link that was dialled on demand is kept without a call (D22).
    link_relist: how often a dialled node is asked for its list; four times more rarely while it tells nothing new.
    fence: how long a fence stands on a link that never answered a 68 (D19).
    redial_first, redial_last: the first delay before a kept link is dialled again, and the longest.
    redial_stable: a link that stood longer sets the delays back.
    search: from the first A5 until no answer counts.
    everyone_after: how long the hint nodes are alone with a question (D23).
    everyone_every: how often everyone may be asked for one UIN (D23).
    hint_dial: how long a hint node may take to be dialled for a search (D23).
    unknown: how long a UIN that nobody knew is not searched again.
    cached, hinted: how long a location, and a hint, is remembered (D24).
    hint_refresh: how often an online client's hints are sent again, give or take 20 % (D23).
    hint_ring: how long after a change of the ring hints are sent to the nodes that it names now.
    location_bad: how long a location that failed ranks last and is told to nobody (D20).
    location_short: a conversation that ends sooner after it was ready was with a wrong one, perhaps (D20).
    location_better: how long a location that failed twice waits for a better one.
    """

    handshake: float = _seconds(10.0)
    data_hello: float = _seconds(10.0)
    ring: float = _seconds(60.0)
    data: float = _seconds(15.0)
    every_call: float = _seconds(150.0)
    request_margin: float = _seconds(5.0)
    ping_idle: float = _seconds(30.0)
    silence: float = _seconds(90.0)
    drain: float = _seconds(10.0)
    shutdown: float = _bounded(30.0, 0, 86_400)
    claim_days: float = _seconds(90.0)
    flush: float = _seconds(60.0)
    link_first_message: float = _seconds(10.0)
    link_replaced: float = _seconds(5.0)
    link_idle: float = _seconds(120.0)
    link_relist: float = _seconds(600.0)
    fence: float = _seconds(2.0)
    redial_first: float = _seconds(1.0)
    redial_last: float = _seconds(300.0)
    redial_stable: float = _seconds(300.0)
    search: float = _seconds(3.0)
    everyone_after: float = _seconds(0.3)
    everyone_every: float = _seconds(60.0)
    hint_dial: float = _seconds(1.0)
    unknown: float = _seconds(5.0)
    cached: float = _seconds(600.0)
    hinted: float = _seconds(3600.0)
    hint_refresh: float = _seconds(1500.0)
    hint_ring: float = _seconds(10.0)
    location_bad: float = _seconds(600.0)
    location_short: float = _seconds(10.0)
    location_better: float = _seconds(1.0)

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
    held_per_conversation, held: bytes that clients at the end of a link did not take; the largest ends first (D25).
    check_data_address: data connections must come from their client's address (D12).
    backlog: connections the kernel may hold for us.
    accept_batch: connections accepted in one go, so that handshakes go on during a flood.
    pipes: pipes kept for bulk copying, two descriptors each.
    links, links_per_address: links; of one address the count includes those that this node dialled (D22).
    links_kept: links kept besides the configured ones (D22).
    link_logins_per_minute, link_login_burst: links that one node may open.
    link_buffer: bytes on their way to a node that nothing overtakes: so many here, and so many in the kernel (D25).
    link_queue: messages waiting for a link, relayed data aside.
    link_flow: bytes that one conversation may have waiting for a link; beyond it its client is not read (D25).
    link_calls_per_minute, link_call_burst: calls that one node may ask for.
    unanswered_per_link: calls of one link that ring at one callee.
    fences: fences on one link (D19).
    dials: dials at the same time.
    addresses, addresses_per_giver: addresses of nodes that others told (D22).
    address_failures: so many in a row, and a learned address is forgotten (D22).
    learned_dials_per_minute, learned_dial_burst: dials to addresses that were told and never reached (D22).
    giver_dials_per_minute: such dials on one node's word, in any minute (D22).
    lists_per_minute, list_burst: answers to 90 for one link; beyond it they are empty.
    told_to_node, told_to_client: addresses in one node list (D4).
    redial_jitter: the share by which each delay before a link is dialled again varies, up and down.
    cache: UINs in the location cache (D24).
    hint_share: the share of it that hints may fill.
    hints_per_link: hints remembered of one node.
    call_tries: nodes tried for a call, in each of its two rounds (D20).
    searches_per_minute, search_burst: searches for one client.
    link_searches_per_minute, link_search_burst: searches that one node may ask for.
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
    held_per_conversation: int = _count(4 * MIB, least=65_536, most=1 << 40)
    held: int = _count(64 * MIB, least=65_536, most=1 << 40)
    check_data_address: bool = True
    backlog: int = _count(4096)
    accept_batch: int = _count(16, most=1024)
    pipes: int = _count(16, least=0, most=4096)
    links: int = _count(512)
    links_per_address: int = _count(256)
    links_kept: int = _count(64, least=0)
    link_logins_per_minute: int = _count(60)
    link_login_burst: int = _count(60)
    link_buffer: int = _count(131_072, least=4096, most=1 << 30)
    link_queue: int = _count(20_000)
    link_flow: int = _count(131_072, least=65_536, most=1 << 30)
    link_calls_per_minute: int = _count(1200)
    link_call_burst: int = _count(300)
    unanswered_per_link: int = _count(8)
    fences: int = _count(4096)
    dials: int = _count(64)
    addresses: int = _count(20_000)
    addresses_per_giver: int = _count(4096)
    address_failures: int = _count(3)
    learned_dials_per_minute: int = _count(60)
    learned_dial_burst: int = _count(1)
    giver_dials_per_minute: int = _count(5)
    lists_per_minute: int = _count(60)
    list_burst: int = _count(20)
    told_to_node: int = _count(512, least=0, most=65_532)
    told_to_client: int = _count(64, least=0, most=65_532)
    redial_jitter: float = _bounded(0.5, 0, 0.99)
    cache: int = _count(100_000)
    hint_share: float = _bounded(0.5, 0, 1)
    hints_per_link: int = _count(10_000)
    call_tries: int = _count(3, most=100)
    searches_per_minute: int = _count(60)
    search_burst: int = _count(60)
    link_searches_per_minute: int = _count(6000)
    link_search_burst: int = _count(2000)

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeConfig:
    """The whole configuration. `listen` holds HOST:PORT texts; port 0 picks a free pair.

    `peers` are the configured nodes, HOST:PORT or HOST:PORT,FINGERPRINT.
    """

    listen: tuple[str, ...] = ()
    peers: tuple[str, ...] = ()
    times: Times = Times()
    limits: Limits = Limits()

    def __post_init__(self) -> None:
        self.peer_references()

    def peer_references(self) -> list[NodeReference]:
        """The peers, read. Raises `ConfigError`."""
        try:
            return [NodeReference.parse(text) for text in self.peers]
        except InvalidNameError as error:
            raise ConfigError(f"peers: {error.detail}") from None

    def switchboard_settings(self) -> SwitchboardSettings:
        """What the switchboard keeps."""
        times, limits = self.times, self.limits
        return SwitchboardSettings(
            ring=times.ring,
            data=times.data,
            every_call=times.every_call,
            request_margin=times.request_margin,
            drain=times.drain,
            logins=Rate(limits.logins_per_minute, limits.login_burst),
            calls=Rate(limits.calls_per_minute, limits.call_burst),
            link_calls=Rate(limits.link_calls_per_minute, limits.link_call_burst),
            unanswered_per_caller=limits.unanswered_per_caller,
            unanswered_per_callee=limits.unanswered_per_callee,
            unanswered_per_link=limits.unanswered_per_link,
            check_data_address=limits.check_data_address,
            held_per_conversation=limits.held_per_conversation,
            held_in_all=limits.held,
            links=self._link_settings(),
            search=self._search_settings(),
        )

    def _link_settings(self) -> LinkSettings:
        times, limits = self.times, self.limits
        return LinkSettings(
            ping_idle=times.ping_idle,
            silence=times.silence,
            first_message=times.link_first_message,
            replaced_silence=times.link_replaced,
            fence=times.fence,
            idle=times.link_idle,
            kept=limits.links_kept,
            in_all=limits.links,
            per_address=limits.links_per_address,
            logins=Rate(limits.link_logins_per_minute, limits.link_login_burst),
            relist=times.link_relist,
            learned=limits.addresses,
            learned_per_giver=limits.addresses_per_giver,
            failures=limits.address_failures,
            learned_dials=Rate(limits.learned_dials_per_minute, limits.learned_dial_burst),
            giver_dials=limits.giver_dials_per_minute,
            redial=RedialTimes(
                first=times.redial_first,
                last=times.redial_last,
                jitter=limits.redial_jitter,
                stable=times.redial_stable,
            ),
            told_to_node=limits.told_to_node,
            told_to_client=limits.told_to_client,
            lists=Rate(limits.lists_per_minute, limits.list_burst),
            dials=limits.dials,
            queue=limits.link_queue,
            flow=limits.link_flow,
            fences=limits.fences,
        )

    def _search_settings(self) -> SearchSettings:
        times, limits = self.times, self.limits
        return SearchSettings(
            search=times.search,
            everyone_after=times.everyone_after,
            hint_dial=times.hint_dial,
            everyone_every=times.everyone_every,
            negative=times.unknown,
            cached=times.cached,
            hinted=times.hinted,
            hint_refresh=times.hint_refresh,
            bad=times.location_bad,
            short=times.location_short,
            better=times.location_better,
            ring=times.hint_ring,
            cache=limits.cache,
            hint_share=limits.hint_share,
            hints_per_link=limits.hints_per_link,
            tries=limits.call_tries,
            searches_of_client=Rate(limits.searches_per_minute, limits.search_burst),
            searches_of_link=Rate(limits.link_searches_per_minute, limits.link_search_burst),
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
