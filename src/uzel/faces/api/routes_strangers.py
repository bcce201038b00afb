"""Routes about people who are no contacts: requests, the mode, invites (promise 5)."""

from __future__ import annotations

import hashlib

from fastapi import APIRouter, Response

from uzel.core.gate import Strangers
from uzel.faces.api.asked import NewInvite, NewName, StrangerMode
from uzel.faces.api.context import Core
from uzel.faces.api.kinds import InviteId, UinPath, uin_of
from uzel.faces.api.shown import (
    ContactShown,
    InviteShown,
    InvitesShown,
    NewInviteShown,
    RequestShown,
    RequestsShown,
    StrangersShown,
)

router = APIRouter(tags=["strangers"])


@router.get("/requests")
async def requests(core: Core) -> RequestsShown:
    """Who knocked, the latest first."""
    return RequestsShown(requests=[RequestShown.of(request) for request in await core.people.requests()])


@router.post("/requests/{uin}/accept", status_code=201)
async def accept_request(core: Core, uin: UinPath, body: NewName) -> ContactShown:
    """Let a stranger in: the key that knocked is theirs, unverified, and what they said is the first text."""
    return ContactShown.of(core, await core.people.accept(uin_of(uin), body.name))


@router.post("/requests/{uin}/refuse", status_code=204)
async def refuse_request(core: Core, uin: UinPath) -> Response:
    """Forget the request. They may knock again, unless they are blocked."""
    await core.people.refuse(uin_of(uin))
    return Response(status_code=204)


@router.get("/strangers")
async def strangers(core: Core) -> StrangersShown:
    """What becomes of people who are no contacts."""
    return StrangersShown(mode=core.people.strangers.value)


@router.put("/strangers")
async def set_strangers(core: Core, body: StrangerMode) -> StrangersShown:
    """Choose that."""
    await core.people.choose_strangers(Strangers(body.mode))
    return StrangersShown(mode=core.people.strangers.value)


@router.get("/invites")
async def invites(core: Core) -> InvitesShown:
    """Every invite, the oldest first."""
    return InvitesShown(invites=[InviteShown.of(invite) for invite in await core.people.invites()])


@router.post("/invites", status_code=201)
async def new_invite(core: Core, body: NewInvite) -> NewInviteShown:
    """A contact link that lets in whoever has it. It is shown this once."""
    link = await core.people.invite(body.label, uses=body.uses, lasts_ms=body.lasts_ms, name=body.name)
    return NewInviteShown(id=hashlib.sha256(link.invite).hexdigest(), link=str(link))


@router.delete("/invites/{invite}", status_code=204)
async def revoke_invite(core: Core, invite: InviteId) -> Response:
    """It lets nobody in any more."""
    await core.people.revoke(bytes.fromhex(invite))
    return Response(status_code=204)
