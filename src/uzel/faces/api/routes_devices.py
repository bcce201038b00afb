"""Routes about the page's devices: let one in, look, rename, sign out. All answer `no_page` where no page is served.

Counterpart: `uzel.faces.web`, which has them.
"""

from __future__ import annotations

from fastapi import APIRouter, Response

from uzel.faces.api.asked import DeviceName
from uzel.faces.api.context import Asker, PageOf
from uzel.faces.api.kinds import DeviceId, time
from uzel.faces.api.shown import AddressShown, DeviceShown, DevicesShown, PairingShown

router = APIRouter(tags=["devices"])


@router.post("/devices/address", status_code=201)
async def new_address(page: PageOf) -> AddressShown:
    """A one-time address of the page, for a browser of this machine."""
    ticket = page.new_address()
    return AddressShown(address=ticket.value, expires_at=time(ticket.expires_at))


@router.post("/devices/pairing", status_code=201)
async def pair_device(page: PageOf) -> PairingShown:
    """A code that another device types in, once, at the page's address."""
    ticket = page.new_code()
    return PairingShown(code=ticket.value, expires_at=time(ticket.expires_at), address=ticket.address)


@router.get("/devices")
async def devices(page: PageOf, asker: Asker) -> DevicesShown:
    """Every browser that is let in, the oldest first."""
    return DevicesShown(devices=[DeviceShown.of(device, asker) for device in page.devices()])


@router.patch("/devices/{device}")
async def rename_device(page: PageOf, asker: Asker, device: DeviceId, body: DeviceName) -> DeviceShown:
    """What it is called."""
    return DeviceShown.of(await page.rename(device, body.name), asker)


@router.delete("/devices/{device}", status_code=204)
async def sign_device_out(page: PageOf, device: DeviceId) -> Response:
    """It is let in no more, and its streams end at once."""
    await page.remove(device)
    return Response(status_code=204)
