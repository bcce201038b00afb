"""Routes about contacts: add, look, rename, compare, decide about keys, block, remove.

What was compared is named in the request, so that a key that changes meanwhile is not verified by mistake.
"""

from __future__ import annotations

from fastapi import APIRouter, Response

from uzel.errors import KeyNotComparedError
from uzel.faces.api.asked import AcceptedKey, Compared, NewContact, NewName, ReadLink
from uzel.faces.api.context import Core
from uzel.faces.api.kinds import UinPath, uin_of
from uzel.faces.api.routes_self import SVG, qr_svg
from uzel.faces.api.shown import BlocksShown, ContactShown, ContactsShown, LinkShown
from uzel.names import ContactLink, Fingerprint

router = APIRouter(tags=["people"])


@router.get("/contacts")
async def contacts(core: Core) -> ContactsShown:
    """Every contact, by number."""
    return ContactsShown(contacts=[ContactShown.of(core, contact) for contact in core.people.all()])


@router.post("/contacts", status_code=201)
async def add_contact(core: Core, body: NewContact) -> ContactShown:
    """Add somebody by contact link, which verifies them, or by a bare number, which does not."""
    return ContactShown.of(core, await core.people.add(ContactLink.parse(body.link), body.name))


@router.post("/contacts/parse")
async def parse_link(body: ReadLink) -> LinkShown:
    """What a contact link says, without adding anybody."""
    link = ContactLink.parse(body.link)
    return LinkShown(
        uin=link.uin,
        name=link.name,
        fingerprint=None if link.fingerprint is None else str(link.fingerprint),
        nodes=[str(node) for node in link.nodes],
        invite=bool(link.invite),
    )


@router.get("/contacts/{uin}/qr.svg", response_class=Response, responses={200: SVG})
async def contact_qr_svg(core: Core, uin: UinPath) -> Response:
    """The contact's link as a QR code, to give them to somebody else."""
    return qr_svg(ContactShown.of(core, core.people.get(uin_of(uin))).link)


@router.get("/contacts/{uin}")
async def get_contact(core: Core, uin: UinPath) -> ContactShown:
    """One contact."""
    return ContactShown.of(core, core.people.get(uin_of(uin)))


@router.patch("/contacts/{uin}")
async def rename_contact(core: Core, uin: UinPath, body: NewName) -> ContactShown:
    """What they are called here."""
    return ContactShown.of(core, await core.people.rename(uin_of(uin), body.name))


@router.delete("/contacts/{uin}", status_code=204)
async def remove_contact(core: Core, uin: UinPath) -> Response:
    """No contact any more, and their key is forgotten; the texts stay, what waits for them has failed."""
    await core.people.remove(uin_of(uin))
    return Response(status_code=204)


@router.post("/contacts/{uin}/verify")
async def verify_contact(core: Core, uin: UinPath, body: Compared) -> ContactShown:
    """The safety numbers were compared, and match."""
    who = uin_of(uin)
    core.people.get(who)
    number = core.people.safety_number(who)
    if number is None or number.split() != body.safety_number.split():
        raise KeyNotComparedError(f"UIN {uin}")
    return ContactShown.of(core, await core.people.verify(who))


@router.post("/contacts/{uin}/accept-key")
async def accept_key(core: Core, uin: UinPath, body: AcceptedKey) -> ContactShown:
    """The person knows of the contact's new key: it is the contact's from now on, unverified."""
    contact = core.people.get(uin_of(uin))
    if contact.stopped is None or contact.stopped != Fingerprint.parse(body.fingerprint):
        raise KeyNotComparedError(f"UIN {uin}")
    return ContactShown.of(core, await core.people.accept_key(contact.uin))


@router.post("/contacts/{uin}/agree")
async def agree_to_less(core: Core, uin: UinPath) -> ContactShown:
    """They went back to a program that speaks less, and the person knows (D29)."""
    return ContactShown.of(core, await core.people.agree(uin_of(uin)))


@router.get("/blocks")
async def blocks(core: Core) -> BlocksShown:
    """Every number that is refused."""
    return BlocksShown(uins=sorted(core.ledger.blocked))


@router.put("/blocks/{uin}", status_code=204)
async def block(core: Core, uin: UinPath) -> Response:
    """Nothing goes either way from now on, contact or not."""
    await core.people.block(uin_of(uin))
    return Response(status_code=204)


@router.delete("/blocks/{uin}", status_code=204)
async def unblock(core: Core, uin: UinPath) -> Response:
    """Refused no more. Twice is once."""
    await core.people.unblock(uin_of(uin))
    return Response(status_code=204)
