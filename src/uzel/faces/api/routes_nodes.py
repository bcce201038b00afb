"""Routes about nodes: whether one is there and does what it should."""

from __future__ import annotations

from fastapi import APIRouter

from uzel.faces.api.asked import NodeToCheck
from uzel.faces.api.context import Core
from uzel.faces.api.shown import NodeCheckShown, NodeChecksShown
from uzel.names import NodeReference

router = APIRouter(tags=["nodes"])


@router.post("/nodes/check")
async def check_nodes(core: Core, body: NodeToCheck) -> NodeChecksShown:
    """Connect to a node, or to each of one's own, as a passing stranger. Takes up to half a minute."""
    reference = None if body.node is None else NodeReference.parse(body.node)
    return NodeChecksShown(nodes=[NodeCheckShown.of(found) for found in await core.check_nodes(reference)])
