"""Another device: let in by a code over HTTPS, with a certificate of the user's own, and signed out at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from faces.web.test_page_share import make
from faces.web_page.test_page_views import faults
from faces.web_page.town import Person, Town

pytestmark = pytest.mark.timeout(240)


def test_a_telephone_is_paired_writes_and_is_signed_out(
    neighbours: tuple[Person, Person, int], old_town: Town, tmp_path: Path
) -> None:
    alice, _, _ = neighbours
    cert, key = make(tmp_path)
    shared = ("--share", "127.0.0.2:0", "--cert", cert, "--cert-key", key)
    person = old_town.person("Tessa", *alice.nodes, flags=shared)
    person.ask("POST", "/contacts", {"link": "7654321", "name": "Mira"})
    pairing = person.ask("POST", "/devices/pairing")
    assert pairing["address"].startswith("https://127.0.0.2:")
    telephone = old_town.window(
        person, address=pairing["address"], ignore_https_errors=True, viewport={"width": 390, "height": 780}
    )
    telephone.expected.append("401")
    page = telephone.page
    page.get_by_label("Code").fill(pairing["code"])
    page.get_by_label("Name").fill("Telephone")
    assert not faults(page)
    page.get_by_role("button", name="Pair", exact=True).click()
    expect(page.locator(".progress li")).to_have_count(3)  # neither passphrase nor back-up, which are refused here
    page.get_by_label("Your name").fill("Tessa")
    page.get_by_role("button", name="Go on", exact=True).click()
    telephone.shows("input[placeholder='node.example:8935']")
    page.get_by_role("button", name="Skip", exact=True).click()
    page.get_by_role("button", name="Start", exact=True).click()
    telephone.shows(".chat-item")
    (cookie,) = telephone.context.cookies()
    assert cookie["name"].startswith("__Host-")
    assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (True, True, "Strict")
    telephone.go("/chat/7654321")
    page.locator(".composer-input").fill("from the telephone")
    page.keyboard.press("Enter")
    expect(page.locator(".msg.mine .text")).to_have_text("from the telephone")
    (text,) = person.ask("GET", "/chats/7654321/texts")["texts"]
    assert (text["text"], text["state"]) == ("from the telephone", "queued")
    person.ask("PATCH", "/contacts/7654321", {"name": "Mira B."})
    expect(page.locator(".head h1")).to_have_text("Mira B.")
    telephone.go("/settings")
    telephone.shows(".page select")
    expect(page.locator(".page input[type=password]")).to_have_count(0)
    expect(page.get_by_text("Only a browser on the computer where Uzel runs")).to_have_count(2)
    page.reload()
    telephone.shows(".page select")  # it is still let in
    (device,) = person.ask("GET", "/devices")["devices"]
    assert (device["name"], device["kind"]) == ("Telephone", "paired")
    person.ask("DELETE", f"/devices/{device['id']}")
    telephone.shows("input[autocomplete='one-time-code']")
    assert page.evaluate("localStorage.getItem('uzel.secret')") is None
    telephone.close()
