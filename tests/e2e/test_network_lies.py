"""Nodes that lie, on a network of their own: addresses that are nobody's business, and a key that is not the one.

What a node does upon a lie is counted by the packets that leave its host.
"""

from __future__ import annotations

import sys

from e2e.netns_processes import HERE, PORT, Field

INSIDE = {
    "loopback": ("127.0.0.0/8", "127.0.0.1:22"),
    "loopback6": ("::1", "[::1]:22"),
    "private10": ("10.0.0.0/8", "10.9.9.9:8935"),
    "private172": ("172.16.0.0/12", "172.31.9.9:8935"),
    "private192": ("192.168.0.0/16", "192.168.9.9:8935"),
    "shared": ("100.64.0.0/10", "100.64.9.9:8935"),
    "link_local": ("169.254.0.0/16", "169.254.169.254:80"),
    "link_local6": ("fe80::/10", "[fe80::9]:8935"),
    "unique_local6": ("fc00::/7", "[fd00::9]:8935"),
    "multicast": ("224.0.0.0/4", "224.0.0.1:8935"),
    "broadcast": ("255.255.255.255", "255.255.255.255:8935"),
}
"""Networks that a public node has no business in, each with an address there."""
MAPPED = ("[::ffff:127.0.0.1]:22", "[::ffff:10.9.9.9]:22")
NAMES = {"inside.example": "10.9.9.8", "itself.example": "127.0.0.1", "zero.example": "0.0.0.0"}
PUBLIC = ("192.0.2.77:8935", "[2001:db8:77::77]:8935", "public.example:8935")


def test_a_public_node_cannot_have_others_dial_inside(field: Field) -> None:
    """It tells of addresses inside, plain, mapped and behind names, among public ones: only these are dialled."""
    liars, victims = field.host("liars", "203.0.113.66"), field.host("victims", "192.0.2.77", "2001:db8:77::77")
    host = field.host("one", "198.51.100.1", "2001:db8:1::1")
    for name, address in {**NAMES, "public.example": victims.ipv4}.items():
        field.network.name(name, address)
    public = {"public": victims.ipv4, "public6": victims.addresses[1]}
    host.watch_dials({name: network for name, (network, _) in INSIDE.items()} | public)
    node = field.node(host)
    told = (*(address for _, address in INSIDE.values()), *MAPPED, *(f"{name}:{PORT}" for name in NAMES), *PUBLIC)
    places = (liars.ipv4, PORT, host.ipv4, PORT, "10.9.9.9:8935")
    liar = field.start(liars, [sys.executable, HERE / "netns_liar.py", *places, *told])
    liar.waits_for("told")
    alice = field.talker(host, "alice", f"{host.ipv4}:{PORT}")
    alice.says(field.person("bob"))
    liar.waits_for("asked")
    alice.waits_for("uncalled", reason="unavailable")
    node.waits_until("the public ones are dialled", lambda: host.dials("public") >= 2 and host.dials("public6") >= 1)
    assert {name: host.dials(name) for name in INSIDE} == dict.fromkeys(INSIDE, 0)


def test_another_key_at_a_configured_address_is_refused_by_name(field: Field) -> None:
    """Pinned at first sight, across a restart; the true node is linked again as soon as it is back."""
    one, two = field.host("one", "198.51.100.1"), field.host("two", "203.0.113.2")
    written = f"{one.ipv4}:{PORT}"
    first = field.node(one)
    second = field.node(two, written)
    second.waits_linked(first)
    second.end()
    first.end()
    other = field.node(one, state="impostor")
    second = field.node(two, written)
    second.waits_logged("node_key_changed")
    assert not second.status()["links"]
    assert not other.status()["links"]
    other.end()
    again = field.node(one)
    second.waits_linked(again)


def test_another_key_than_the_one_given_is_refused_by_name(field: Field) -> None:
    one, two = field.host("one", "198.51.100.1"), field.host("two", "203.0.113.2")
    first = field.node(one)
    wrong = "A" * 43
    second = field.node(two, f"{one.ipv4}:{PORT},{wrong}")
    second.waits_logged("node_key_changed")
    assert not first.status()["links"]


def test_a_name_that_was_outside_is_not_followed_inside(field: Field) -> None:
    """A name that another node told of is dialled outside only, also after a restart (D22)."""
    places = (("one", "198.51.100.1"), ("teller", "203.0.113.2"), ("third", "192.0.2.3"))
    one, teller, third = (field.host(*place) for place in places)
    field.network.name("third.example", third.ipv4)
    named = field.node(third)
    telling = field.node(teller, "third.example")
    telling.waits_linked(named)
    node = field.node(one, f"{teller.ipv4}:{PORT}")
    node.waits_until("the name is known", lambda: "third.example:8935" in node.peers())
    node.waits_linked(named)
    node.kill()
    named.kill()
    field.network.name("third.example", "10.9.9.9")
    one.watch_dials({"inside": "10.0.0.0/8"})
    node = field.node(one, f"{teller.ipv4}:{PORT}")
    node.waits_logged("range_refused")
    assert one.dials("inside") == 0
