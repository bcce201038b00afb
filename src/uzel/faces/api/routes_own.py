"""Routes about what is one's own: profile, passphrase, back-up, nodes, preferences; and the reading of QR codes.

The one thing that leaves the machine here is a back-up, under a secret of its own. Counterpart: `uzel.core.own`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

import zxingcpp
from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from uzel.core.messenger import Messenger
from uzel.core.preferences import Preferences
from uzel.errors import PictureError
from uzel.faces.api.asked import BackupSecret, NewNodes, NewPassphrase, ProfileChange, ReadLink
from uzel.faces.api.context import Core
from uzel.faces.api.kinds import Pixels, time_or_none
from uzel.faces.api.routes_self import SVG, qr_svg
from uzel.faces.api.shown import NodeShown, NodesShown, PreferencesShown, ProfileShown, QrTextsShown
from uzel.names import ContactLink, NodeReference

_QR = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)
RECOVERY_CODE = "X-Uzel-Recovery-Code"
"""Header of a back-up's answer: what opens it, shown this once."""
MOST_PICTURE = 1024 * 1024
"""Bytes of a picture, one a pixel: a camera's picture, made smaller, is enough for a QR code."""
MOST_CODES = 8
"""QR codes of one picture that are told."""
PIECE = 256 * 1024
BINARY = "application/octet-stream"
_BACKUP = {
    "description": "The back-up.",
    "content": {BINARY: {"schema": {"type": "string", "format": "binary"}}},
    "headers": {RECOVERY_CODE: {"description": "What opens it, unless a passphrase was given.",
                                "schema": {"type": "string"}}},
}  # fmt: skip
_PICTURE = {"required": True, "content": {BINARY: {"schema": {"type": "string", "format": "binary"}}}}
router = APIRouter(tags=["own"])


@router.get("/profile")
async def profile(core: Core) -> ProfileShown:
    """One's own profile, and how it is looked after."""
    return await _profile(core)


@router.patch("/profile")
async def change_profile(core: Core, body: ProfileChange) -> ProfileShown:
    """What one is called in one's own links; or that the first steps are done."""
    if body.name is not None:
        await core.own.rename(body.name)
    if body.set_up:
        await core.own.set_up()
    return await _profile(core)


@router.post("/profile/passphrase", status_code=204)
async def change_passphrase(core: Core, body: NewPassphrase) -> Response:
    """Another passphrase, or none. The core stands still while the profile is encrypted anew."""
    await core.own.change_passphrase(body.current, body.new)
    return Response(status_code=204)


@router.post("/profile/backup", response_class=StreamingResponse, responses={200: _BACKUP})
async def back_up(core: Core, body: BackupSecret) -> StreamingResponse:
    """Everything in one encrypted file, under a passphrase of its own or a new recovery code."""
    stream, code = await core.own.backup(body.passphrase)
    headers = {"Content-Disposition": f'attachment; filename="uzel-{core.link.uin}.uzel"'}
    if code is not None:
        headers[RECOVERY_CODE] = code
    return StreamingResponse(_pieces(stream), media_type=BINARY, headers=headers)


@router.get("/nodes")
async def nodes(core: Core) -> NodesShown:
    """One's own nodes, and the one at which one is logged in."""
    return await _nodes(core)


@router.put("/nodes")
async def use_nodes(core: Core, body: NewNodes) -> NodesShown:
    """Use these from now on. Conversations end, and begin anew where texts wait."""
    await core.use_nodes([NodeReference.parse(node) for node in body.nodes], roaming=body.roaming)
    return await _nodes(core)


@router.get("/preferences")
async def preferences(core: Core) -> PreferencesShown:
    """How the person wants the page."""
    return _preferences(await core.own.preferences())


@router.put("/preferences")
async def prefer(core: Core, body: PreferencesShown) -> PreferencesShown:
    """Want it so; what is left out is as it was at first."""
    wanted = Preferences(**body.model_dump())
    await core.own.prefer(wanted)
    return _preferences(wanted)


@router.post("/qr/read", openapi_extra={"requestBody": _PICTURE})
async def read_qr(request: Request, width: Pixels, height: Pixels) -> QrTextsShown:
    """What the QR codes of a picture say: grey pixels, one byte each, row by row, at most 1 MiB."""
    pixels = await request.body()
    if len(pixels) != width * height or len(pixels) > MOST_PICTURE:
        raise PictureError(f"a picture has width times height bytes, at most {MOST_PICTURE}")
    return QrTextsShown(texts=await run_in_threadpool(_codes, pixels, width, height))


@router.post("/qr/draw", response_class=Response, responses={200: SVG})
async def draw_qr(body: ReadLink) -> Response:
    """Any contact link as a QR code: a new invite's too, which is told once."""
    return qr_svg(str(ContactLink.parse(body.link)))


def _codes(pixels: bytes, width: int, height: int) -> list[str]:
    picture = memoryview(pixels).cast("B", shape=[height, width])
    found = zxingcpp.read_barcodes(picture, formats=_QR)
    return [code.text for code in found[:MOST_CODES]]


def _pieces(stream: IO[bytes]) -> Iterator[bytes]:
    with stream:
        while piece := stream.read(PIECE):
            yield piece


async def _profile(core: Messenger) -> ProfileShown:
    care = await core.own.care()
    return ProfileShown(
        name=core.ledger.name,
        passphrase=core.profile.has_passphrase,
        backed_up_at=time_or_none(care.backed_up_at),
        set_up=care.set_up,
        folder=str(core.profile.folder.absolute()),
    )


async def _nodes(core: Messenger) -> NodesShown:
    now = (await core.status()).node
    shown = [
        NodeShown(
            address=str(node.address),
            fingerprint=None if (pin := node.fingerprint or core.profile.pins.node(node.address)) is None else str(pin),
            current=now is not None and now.address == node.address,
        )
        for node in core.nodes
    ]
    return NodesShown(nodes=shown, roaming=core.roaming)


def _preferences(wanted: Preferences) -> PreferencesShown:
    return PreferencesShown(
        language=wanted.language,
        theme=wanted.theme,
        notifications=wanted.notifications,
        retention_default_ms=wanted.retention_default_ms,
    )
