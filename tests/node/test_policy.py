"""The node's policy and the wire's table say the same about who may say what."""

from __future__ import annotations

from uzel.node.policy import POLICY, ConnectionState, rule_for
from uzel.wire import TABLE, Channel

TO_A_NODE = (Channel.CONTROL_HELLO, Channel.CONTROL_TO_NODE, Channel.LINK, Channel.DATA_HELLO)


def test_every_message_to_a_node_has_its_rule_and_no_other_has() -> None:
    on_the_wire = {(channel, row.cls) for row in TABLE for channel in row.channels if channel in TO_A_NODE}
    assert {(rule.channel, rule.message) for rule in POLICY} == on_the_wire
    assert len(POLICY) == len(on_the_wire)
    assert all(rule_for(rule.channel, rule.message) is rule for rule in POLICY)


def test_control_messages_wait_for_the_registration() -> None:
    online = {rule.channel for rule in POLICY if rule.state is ConnectionState.ONLINE}
    assert online == {Channel.CONTROL_TO_NODE, Channel.LINK}
