"""Looks whether a node is there and does what it should, as a passing stranger (`uzel doctor`, the page's settings).

It logs in with a key of its own, made for that, never with the user's: a second login under one number would throw the
user's own program off. Nothing is pinned. So what it cannot say is whether the node takes the user's own number.
Counterparts: `login`, which does the work; a node.
"""

from __future__ import annotations

import asyncio
import functools
from dataclasses import dataclass, replace

from uzel.client.login import Login
from uzel.client.reaching import ANYWHERE, reach
from uzel.client.settings import ClientSettings
from uzel.errors import NodeKeyChangedError, UzelError
from uzel.identity import Identity, MemoryPins
from uzel.names import Fingerprint, NodeReference
from uzel.session.hello import MAJOR, MINOR
from uzel.tls import Side, make_context

PATIENCE = ClientSettings(handshake=10.0, login=10.0)
"""A node that takes longer is not one to wait for every day."""
POST_QUANTUM = "X25519MLKEM768"
"""The key agreement that a machine of the future does not undo, either."""


@dataclass(frozen=True, slots=True)
class NodeCheck:
    """What was found. `reachable`: it took a login. `reason` and `problem` name what is wrong, for programs and people;
    both are empty when nothing is. What was not come to is None; times are milliseconds: until TCP stood, name look-up
    included, and from then until the first pong.
    """

    node: NodeReference
    reachable: bool = False
    reason: str = ""
    problem: str = ""
    fingerprint: Fingerprint | None = None
    expected: Fingerprint | None = None
    key_agreement: str | None = None
    tls: str | None = None
    protocol: str | None = None
    connect_ms: float | None = None
    login_ms: float | None = None


async def check_node(
    reference: NodeReference,
    expected: Fingerprint | None = None,
    identity: Identity | None = None,
    settings: ClientSettings = PATIENCE,
) -> NodeCheck:
    """Connect, log in, say goodbye. Slow the first time: it makes a key. Never raises `UzelError`.

    `expected` is the pinned key of the node, where the reference names none.
    """
    expected = reference.fingerprint or expected
    found = NodeCheck(reference, expected=expected)
    loop = asyncio.get_running_loop()
    try:
        begun = loop.time()
        (await reach(reference.address, ANYWHERE, settings.handshake)).close()
        connected = loop.time()
        found = replace(found, connect_ms=(connected - begun) * 1000)
        someone = await asyncio.to_thread(_someone) if identity is None else identity
        begun = loop.time()
        login = await _log_in(reference, someone, settings)
        found = replace(found, login_ms=(loop.time() - begun) * 1000)
    except UzelError as error:
        return replace(found, reason=str(error.reason), problem=str(error))
    assert login.runner is not None
    assert login.runner.engine is not None
    agreed = login.runner.engine.summary
    found = replace(
        found,
        reachable=True,
        fingerprint=login.fingerprint,
        key_agreement=agreed.group,
        tls=agreed.version,
        protocol=f"{MAJOR}.{MINOR}",
    )
    await login.close(1.0)
    if expected is not None and login.fingerprint != expected:
        changed = NodeKeyChangedError(f"node {reference.address}: expected {expected}, shown {login.fingerprint}")
        return replace(found, reason=str(changed.reason), problem=str(changed))
    return found


async def _log_in(reference: NodeReference, identity: Identity, settings: ClientSettings) -> Login:
    """Whatever key it shows: that is compared afterwards."""
    context = make_context(private_key=identity.private_key, certificate=identity.certificate, side=Side.SERVER)
    anybody = NodeReference(reference.address)
    return await Login.open(anybody, MemoryPins(), settings, context, lambda _login, _events: None)


@functools.cache
def _someone() -> Identity:
    """One for each process: a node remembers every number that it met."""
    return Identity.generate()
