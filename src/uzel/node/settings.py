"""The times and bounds that the switchboard itself keeps, with the defaults of section 8.

Counterpart: `config.Times` and `config.Limits`, where an operator sets them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from uzel.node.limits import Rate
from uzel.session.redial import RedialTimes

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """Links to other nodes (D19, D21, D22, D25). Times in seconds, sizes in bytes, the rest counts.

    ping_idle, silence: quiet before a link is probed, and quiet that ends it.
    first_message: TLS to the message that makes the connection a link.
    replaced_silence: how long an older link may be silent once a newer one to that node stands.
    fence: how long a fence stands on a link that never answered a 68.
    idle: how long a link dialled on demand is kept without a call.
    kept: links kept besides the configured ones.
    in_all, per_address: links; a second from the same IP address or /64 counts.
    logins: links that one node may open.
    relist: how often a dialled node is asked for its list again, while it tells something new.
    learned, learned_per_giver: addresses that others told.
    failures: so many in a row, and a learned address is forgotten.
    learned_dials: dials to addresses that were told and never reached.
    giver_dials: such dials on one giver's word in any minute.
    redial: delays between dials of a kept node.
    told_to_node, told_to_client: addresses in one A4.
    lists: answers to 90 for one node or client; beyond it they are empty.
    dials: dials at the same time.
    queue: messages waiting for a link, but for relayed data.
    flow: bytes that one conversation may have waiting for a link; beyond it its client is not read.
    fences: fences on one link.
    """

    ping_idle: float = 30.0
    silence: float = 90.0
    first_message: float = 10.0
    replaced_silence: float = 5.0
    fence: float = 2.0
    idle: float = 120.0
    kept: int = 64
    in_all: int = 512
    per_address: int = 256
    logins: Rate = Rate(60, 60)
    relist: float = 600.0
    learned: int = 20_000
    learned_per_giver: int = 4096
    failures: int = 3
    learned_dials: Rate = Rate(60, 1)
    giver_dials: int = 5
    redial: RedialTimes = field(default_factory=RedialTimes)
    told_to_node: int = 512
    told_to_client: int = 64
    lists: Rate = Rate(60, 20)
    dials: int = 64
    queue: int = 20_000
    flow: int = 128 * 1024
    fences: int = 4096


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """Search and location cache (D20, D23, D24). Times in seconds, the rest counts.

    search: from the first A5 until no answer counts.
    everyone_after: how long the hint nodes are alone with the question.
    hint_dial: how long a hint node may take to be dialled for a search.
    everyone_every: how often everyone may be asked for one UIN.
    negative: how long a UIN that nobody knew is not searched again.
    cached, hinted: how long a location, and a hint, is remembered.
    hint_refresh: how often an online client's hints are sent again, ± 20 %.
    bad: how long a location that failed ranks last and is told to nobody.
    short: a conversation that ends sooner after it was ready was with a wrong one, perhaps.
    better: how long a location that failed twice waits for a better one.
    ring: how long after a change of the ring hints are sent to whom it names now.
    cache: UINs in the location cache.
    hint_share: the share of it that hints may fill.
    hints_per_link: hints remembered of one node.
    tries: nodes tried for a call, in each of its two rounds.
    searches_of_client, searches_of_link: searches for one client, and A5 of one node.
    """

    search: float = 3.0
    everyone_after: float = 0.3
    hint_dial: float = 1.0
    everyone_every: float = 60.0
    negative: float = 5.0
    cached: float = 600.0
    hinted: float = 3600.0
    hint_refresh: float = 1500.0
    bad: float = 600.0
    short: float = 10.0
    better: float = 1.0
    ring: float = 10.0
    cache: int = 100_000
    hint_share: float = 0.5
    hints_per_link: int = 10_000
    tries: int = 3
    searches_of_client: Rate = Rate(60, 60)
    searches_of_link: Rate = Rate(6000, 2000)


@dataclass(frozen=True, slots=True)
class SwitchboardSettings:
    """Clients and calls (sections 4, 5, 8). Times in seconds, sizes in bytes, the rest counts.

    every_call: within this time every 03 is answered (D26).
    request_margin: more than ring and data time that another node has for AB or B8 (D26).
    link_calls: AA of one node.
    unanswered_per_link: calls of one link that ring at one callee.
    held_per_conversation, held_in_all: bytes that clients did not take (D25).
    """

    ring: float = 60.0
    data: float = 15.0
    every_call: float = 150.0
    request_margin: float = 5.0
    drain: float = 10.0
    logins: Rate = Rate(60, 60)
    calls: Rate = Rate(120, 60)
    link_calls: Rate = Rate(1200, 300)
    unanswered_per_caller: int = 16
    unanswered_per_callee: int = 32
    unanswered_per_link: int = 8
    check_data_address: bool = True
    held_per_conversation: int = 4 * MIB
    held_in_all: int = 64 * MIB
    links: LinkSettings = field(default_factory=LinkSettings)
    search: SearchSettings = field(default_factory=SearchSettings)
