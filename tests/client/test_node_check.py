"""A node is looked at by a passing stranger: what is found, and that nobody is disturbed."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from client.client_world import ALICE, identity, run, world
from uzel.client.node_check import PATIENCE, POST_QUANTUM, NodeCheck, check_node
from uzel.names import Fingerprint, NodeAddress, NodeReference

OTHER = Fingerprint(bytes(32))


async def looked(reference: NodeReference, expected: Fingerprint | None = None) -> NodeCheck:
    return await check_node(reference, expected, identity(5), replace(PATIENCE, handshake=1.0))


def test_a_node_that_is_well_is_found_so_and_nobody_is_thrown_off() -> None:
    async def story() -> None:
        async with world() as w, w.online(ALICE) as (alice,):
            key = w.service.fingerprint
            found = await looked(w.reference, key)
            assert (found.reachable, found.reason, found.problem) == (True, "", "")
            assert (found.fingerprint, found.expected) == (key, key)
            assert (found.tls, found.key_agreement, found.protocol) == ("TLSv1.3", POST_QUANTUM, "1.0")
            assert found.connect_ms is not None
            assert found.login_ms is not None
            assert (await looked(w.reference)).expected is None
            changed = await looked(w.reference, OTHER)
            assert (changed.reachable, changed.reason, changed.fingerprint) == (True, "node_key_changed", key)
            named = await looked(NodeReference(w.reference.address, OTHER), key)
            assert (named.expected, named.reason) == (OTHER, "node_key_changed")
            await alice.wait_online(0)

    run(story)


def test_what_is_no_node_is_named() -> None:
    async def story() -> None:
        server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        other = await looked(NodeReference(NodeAddress("127.0.0.1", port)))
        server.close()
        await server.wait_closed()
        assert (other.reachable, other.login_ms, other.connect_ms is None) == (False, None, False)
        assert (other.reason, other.problem != "") == ("connection_lost", True) or other.reason == "closed"
        nobody = await looked(NodeReference(NodeAddress("127.0.0.1", port)))
        assert (nobody.reachable, nobody.reason, nobody.connect_ms) == (False, "node_unreachable", None)

    run(story)
