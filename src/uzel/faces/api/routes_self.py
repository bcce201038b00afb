"""Routes about the core itself and whose it is: status, number, link, QR, end."""

from __future__ import annotations

import io
from importlib.metadata import version

import segno
from fastapi import APIRouter, Response

from uzel.errors import RequestRefusedError
from uzel.faces.api.context import ContextOf, Core
from uzel.faces.api.kinds import time_or_none
from uzel.faces.api.shown import MeShown, StatusShown, TroubleShown

router = APIRouter(tags=["core"])
SVG: dict[str, object] = {
    "description": "The QR code of the contact link.",
    "content": {"image/svg+xml": {"schema": {"type": "string"}}},
}
_TXT = {"description": "The same for a terminal.", "content": {"text/plain": {"schema": {"type": "string"}}}}


@router.get("/status")
async def status(context: ContextOf, core: Core) -> StatusShown:
    """How the core is."""
    last = await core.ledger.writer.run(lambda tables: tables.journal.last())
    now = await core.status()
    return StatusShown(
        version=version("uzel"),
        uin=now.uin,
        fingerprint=str(now.fingerprint),
        online=now.node is not None,
        node=None if now.node is None else str(now.node),
        reason=now.reason or None,
        problem=now.problem or None,
        contested=now.contested,
        trouble=None if now.trouble is None else TroubleShown.of(now.trouble),
        conversations=now.conversations,
        waiting=now.waiting,
        last_event=last,
        key_agreement=now.key_agreement,
        retry_at=time_or_none(now.retry_at),
        refusals={} if context.page is None else dict(context.page.refused()),
    )


@router.post("/reconnect", status_code=204)
async def reconnect(core: Core) -> Response:
    """Do not wait for the next attempt to log in."""
    core.retry_now()
    return Response(status_code=204)


@router.post("/stop", status_code=202)
async def stop(context: ContextOf) -> Response:
    """End the core, in order. Texts that wait stay queued."""
    if context.stop is None:
        raise RequestRefusedError("this core cannot be ended from here")
    context.stop()
    return Response(status_code=202)


@router.get("/me")
async def me(core: Core) -> MeShown:
    """Number, key and contact link."""
    link = core.link
    assert link.fingerprint is not None
    return MeShown(uin=link.uin, fingerprint=str(link.fingerprint), link=str(link))


@router.get("/me/qr.svg", response_class=Response, responses={200: SVG})
async def me_qr_svg(core: Core) -> Response:
    """The contact link as a QR code."""
    return qr_svg(str(core.link))


@router.get("/me/qr.txt", response_class=Response, responses={200: _TXT})
async def me_qr_txt(core: Core) -> Response:
    """The contact link as a QR code, in half blocks for a dark terminal."""
    drawn = io.StringIO()
    _qr(str(core.link)).terminal(drawn, compact=True)
    return Response(drawn.getvalue(), media_type="text/plain")


def qr_svg(link: str) -> Response:
    """A contact link as a picture. Raises `RequestRefusedError` when it is too long for one."""
    drawn = io.BytesIO()
    _qr(link).save(drawn, kind="svg", scale=4, xmldecl=False)
    return Response(drawn.getvalue(), media_type="image/svg+xml")


def _qr(link: str) -> segno.QRCode:
    try:
        return segno.make_qr(link)
    except segno.DataOverflowError:
        raise RequestRefusedError("the contact link is too long for a QR code") from None
