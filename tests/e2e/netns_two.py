"""Two linked nodes with a person at each, and much to say: what the tests of faults begin with (`netns_processes`)."""

from __future__ import annotations

from e2e.netns import Host
from e2e.netns_processes import PORT, Field, Node, Talker

PATIENT = 15.0
SOON = 2.0
"""Seconds of silence that end a connection: far more than a test takes, and soon."""
MANY = 300
SIZE = 2000
PACE = 0.003
"""Seconds to keep one text: so that there is a middle to break things in."""


class Two:
    """Two nodes, the second of which dials the first, or `way` instead; Alice is at the first, Bob at the second."""

    def __init__(self, field: Field, silence: float, way: Host | None = None) -> None:
        self.field = field
        self.one = field.host("one", "198.51.100.1", "2001:db8:1::1")
        self.two = field.host("two", "203.0.113.2", "2001:db8:2::2")
        self.alices = field.host("alices", "198.51.100.11")
        self.bobs = field.host("bobs", "203.0.113.12")
        self.times = {"silence": silence, "ping_idle": silence / 4}
        self.first: Node = field.node(self.one, settings=self.times)
        self.second: Node = field.node(self.two, f"{(way or self.one).ipv4}:{PORT}", settings=self.times)
        self.alice: Talker = field.talker(self.alices, "alice", f"{self.one.ipv4}:{PORT}", silence=silence)
        self.bob: Talker = field.talker(self.bobs, "bob", f"{self.two.ipv4}:{PORT}", silence=silence, pace=PACE)
        self.second.waits_linked(self.first)
        self.alice.waits_for("online")
        self.bob.waits_for("online")

    def half_said(self) -> None:
        """Alice says it all to Bob; wait until he has a quarter of it."""
        self.alice.says(self.bob.person, MANY, size=SIZE)
        self.bob.waits_heard(MANY // 4)
        assert not self.alice.all("said")

    def all_said(self) -> None:
        """It all comes through."""
        self.alice.waits_said(self.bob.person, MANY - 1)
        self.bob.heard_it_all(self.alice.person, MANY)
