"""Nodes and people on a network of their own: hosts with IPv4 and IPv6 addresses and names (`netns`).

Real nodes and real clients, each a process on a host; addresses look public, so that what holds on the Internet holds
here. What breaks on the way: `test_network_faults.py`; nodes that lie: `test_network_lies.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from e2e.netns import Impossible, Network, command
from e2e.netns_processes import PORT, Field, Talker


def test_people_on_other_hosts_reach_their_node_over_ipv4_ipv6_and_by_name(field: Field) -> None:
    """Data connections go to the very address, and from the very address, of the control connection (D12).

    Even when a host has begun to prefer another address in the meantime, as hosts with IPv6 do every day.
    """
    server = field.host("server", "198.51.100.1", "2001:db8:1::1")
    field.network.name("node.example", server.ipv4)
    node = field.node(server)
    ways = {"alice": f"{server.ipv4}:{PORT}", "bob": f"{server.ipv6}:{PORT}", "carol": "node.example"}
    hosts = []
    for number, name in enumerate(ways, 1):
        addresses = (f"203.0.113.{number}", f"2001:db8:2::{number}")
        others = (f"192.0.2.{number}", f"2001:db8:3::{number}")
        hosts.append(field.host(f"{name}s", *addresses, *others))
        hosts[-1].prefers(*addresses)
    alice, bob, carol = (field.talker(host, *who) for host, who in zip(hosts, ways.items(), strict=True))
    for talker in (alice, bob, carol):
        talker.waits_for("online")
        talker.host.prefers(*talker.host.addresses[2:])
    for speaker, hearer in ((alice, bob), (bob, carol), (carol, alice)):
        talk_both_ways(speaker, hearer)
    assert "data_wrong_address" not in node.status()["refusals"]


ADDRESSES = {
    "ipv4": ("198.51.100.1", "203.0.113.2", "198.51.100.11", "203.0.113.12"),
    "ipv6": ("2001:db8:1::1", "2001:db8:2::2", "2001:db8:1::11", "2001:db8:2::12"),
}


@pytest.mark.parametrize("way", ["ipv4", "ipv6"])
def test_calls_across_two_nodes_on_a_network_that_has_only(field: Field, way: str) -> None:
    names = ("one", "two", "alices", "bobs")
    one, two, alices, bobs = (field.host(name, at) for name, at in zip(names, ADDRESSES[way], strict=True))
    first = field.node(one)
    field.node(two, f"{getattr(one, way)}:{PORT},{first.fingerprint}")
    alice = field.talker(alices, "alice", f"{getattr(one, way)}:{PORT}")
    bob = field.talker(bobs, "bob", f"{getattr(two, way)}:{PORT}")
    talk_both_ways(alice, bob)


def test_calls_across_nodes_that_know_each_other_by_name(field: Field) -> None:
    """A name of both kinds of address, and a port left out (D3, D7)."""
    one = field.host("one", "198.51.100.1", "2001:db8:1::1")
    two = field.host("two", "203.0.113.2", "2001:db8:2::2")
    field.network.name("one.example", *one.addresses)
    field.network.name("two.example", *two.addresses)
    first, second = field.node(one), field.node(two, "one.example")
    second.waits_linked(first)
    assert "one.example:8935" in second.peers()
    alice, bob = field.talker(one, "alice", "one.example"), field.talker(two, "bob", "two.example")
    talk_both_ways(alice, bob)


@pytest.mark.parametrize("networks", [("198.51.", "2001:db8:"), ("10.51.", "fd00:db8:")], ids=["public", "private"])
def test_three_nodes_in_a_row_become_one_network(field: Field, networks: tuple[str, str]) -> None:
    """The first is told of the third by the second, and dials it (D4, D22); commands as people type them."""
    ipv4, ipv6 = networks
    one, two, three = (field.host(f"node{n}", f"{ipv4}{n}.1", f"{ipv6}{n}::1") for n in (1, 2, 3))
    third = field.node(three)
    second = field.node(two, f"{three.ipv4}:{PORT}")
    first = field.node(one, f"{two.ipv6}:{PORT}")
    for node, others in ((first, (second, third)), (third, (first, second))):
        node.waits_linked(*others)
    carol = field.listener(three, "carol", f"{three.ipv6}:{PORT}")
    shown = field.send(one, "alice", f"{one.ipv4}:{PORT}", field.person("carol"), "across")
    assert shown["event"] == "delivered", shown
    assert carol.waits_for("text")["text"] == "across"


def talk_both_ways(alice: Talker, bob: Talker) -> None:
    """Each calls the other, and says something large and something small."""
    for speaker, hearer in ((alice, bob), (bob, alice)):
        speaker.says(hearer.person, 10, size=50_000)
        speaker.waits_said(hearer.person, 9)
        speaker.says(hearer.person, 10, first=10)
        speaker.waits_said(hearer.person, 19)
        hearer.heard_it_all(speaker.person, 20)
        speaker.hangs_up()
        hearer.waits_for("closed", times=len(hearer.all("open")))


def test_where_no_network_can_be_made_it_is_said_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test is skipped for it."""
    with pytest.raises(Impossible, match="as root: apt-get install nosuch"):
        command("nosuch", "nosuch")
    monkeypatch.setattr("e2e.netns.command", lambda name: "/bin/false")
    with pytest.raises(Impossible, match=r"refuses them \(/bin/false.*Run them as root, or"):
        Network(tmp_path)
