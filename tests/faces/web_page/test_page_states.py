"""What the page shows when something is not as usual (another key, a core that is gone), and what windows share."""

from __future__ import annotations

import io
import re
import time
from pathlib import Path

import pytest
import segno
from playwright.sync_api import FilePayload, Route, expect

from e2e.netns import until
from faces.web_page.test_page_views import faults
from faces.web_page.town import Person, Town
from uzel.identity import Identity
from uzel.store.profile import Profile
from uzel.store.tables import Tables

pytestmark = pytest.mark.timeout(240)
FRIEND, OTHER = Identity.generate(), Identity.generate()


def stopped(folder: Path) -> None:
    """A verified contact who showed another key."""
    with Profile.open(folder) as profile:
        tables = Tables(profile.connection, profile.pins)
        with profile.transaction():
            now = round(time.time() * 1000)
            tables.people.add(FRIEND.uin, now, name="Mira")
            tables.pins.pin_peer(FRIEND.uin, FRIEND.fingerprint, verified=True)
            tables.people.stop(FRIEND.uin, OTHER.fingerprint)
            tables.texts.receive(FRIEND.uin, FRIEND.fingerprint, b"1" * 16, "Hello", None, now, now)


def a_file(name: str, content: bytes) -> FilePayload:
    kind = "image/png" if name.endswith(".png") else "text/plain"
    return FilePayload(name=name, mimeType=kind, buffer=content)


def test_another_key_stops_everything_until_one_asked(town: Town) -> None:
    person = town.person("Nora", prepare=stopped)
    person.ready()
    window = town.window(person)
    page = window.page
    expect(page.locator(".chat-item .alert-text")).to_be_visible()
    window.go(f"/chat/{FRIEND.uin}")
    window.shows(".banner.stop")
    expect(page.locator("textarea")).to_have_count(0)
    assert not faults(page)
    page.locator(".banner.stop .button").click()
    expect(page.locator("dialog .prints")).to_contain_text(str(OTHER.fingerprint))
    expect(page.locator("dialog .prints")).to_contain_text(str(FRIEND.fingerprint))
    assert not faults(page)
    accept = page.get_by_role("button", name="Accept the new key")
    expect(accept).to_be_disabled()
    page.locator("dialog input[type=checkbox]").check()
    accept.click()
    expect(page.locator(".banner.stop")).to_have_count(0)
    window.shows("textarea.composer-input")
    window.shows(".head .trust.unsure")
    told = person.ask("GET", f"/contacts/{FRIEND.uin}")
    assert (told["stopped"], told["fingerprint"], told["verified"]) == (None, str(OTHER.fingerprint), False)
    window.close()


def test_a_core_that_is_gone_is_told_counted_down_and_says_of_nobody_that_they_are_there(
    neighbours: tuple[Person, Person, int], old_town: Town
) -> None:
    alice, bob, _ = neighbours
    nora = old_town.person("Nora", *alice.nodes)
    nora.ready()
    nora.knows(bob)
    bob.knows(nora)
    nora.says(bob, "Are you there?")
    window = old_town.window(nora)
    page = window.page
    window.go(f"/contact/{bob.uin}")
    expect(page.locator(".avatar.here")).to_have_count(3)  # in the list, in the conversation, and beside it
    expect(page.get_by_text("connected now")).to_have_count(3)
    expect(page.locator(".last-state")).to_contain_text("Delivered")
    window.expected += ["ERR_", "Failed to load"]
    nora.stop()
    bar = page.locator(".lost-bar")
    expect(bar).to_contain_text("The connection to Uzel on your computer is lost.")
    expect(bar.get_by_role("button", name="Retry now")).to_be_visible()
    expect(page.get_by_text("connected now")).to_have_count(0)
    expect(page.locator(".avatar.here")).to_have_count(0)
    expect(page.locator(".last-state")).to_contain_text("Delivered")
    assert not faults(page)
    window.close()
    bob.ask("DELETE", f"/contacts/{nora.uin}")


def test_a_draft_and_what_was_read_are_the_same_in_every_window(
    neighbours: tuple[Person, Person, int], old_town: Town
) -> None:
    alice, bob, _ = neighbours
    first, second = old_town.window(alice), old_town.window(alice)
    for window in (first, second):
        window.shows(".chat-item")
    bob.says(alice, "Read me once")
    badge = f".chat-item[href='#/chat/{bob.uin}'] .badge"
    second.shows(badge)
    expect(second.page).to_have_title(re.compile(r"^\(\d+\) Uzel$"))
    first.go(f"/chat/{bob.uin}")
    expect(second.page.locator(badge)).to_have_count(0)
    expect(second.page).to_have_title("Uzel")
    second.go(f"/chat/{bob.uin}")
    second.shows(".composer-input")
    first.page.locator(".composer-input").fill("half a thought")
    expect(second.page.locator(".composer-input")).to_have_value("half a thought")
    first.page.locator(".composer-input").fill("")
    expect(second.page.locator(".composer-input")).to_have_value("")
    first.close()
    second.close()


def test_a_chat_or_contact_that_is_gone_elsewhere_leaves_a_window_that_works(
    neighbours: tuple[Person, Person, int], old_town: Town
) -> None:
    alice, _, _ = neighbours
    gone = 7_654_321
    alice.ask("POST", "/contacts", {"link": str(gone), "name": "Ghost"})
    number = alice.ask("POST", "/texts", {"to": gone, "text": "anybody there?"})["number"]
    window, beside = old_town.window(alice, viewport={"width": 1000, "height": 700}), old_town.window(alice)
    for each in (window, beside):
        each.expected.append("404")  # what the browser says of somebody who is no contact
        each.shows(".chat-item")
    window.go(f"/chat/{gone}")
    beside.go(f"/contact/{gone}")
    window.shows(".msg.mine")
    beside.shows(".who")
    alice.ask("DELETE", f"/chats/{gone}")
    expect(window.page.locator(".row-of-log")).to_have_count(0)
    window.shows(".talk-hint .empty")
    window.go(f"/chat/{gone}/at/{number}")
    expect(window.page.locator(".toast").first).to_contain_text("text")
    window.shows(".talk-hint .empty")
    window.page.locator(".composer-input").fill("still here")
    alice.ask("DELETE", f"/contacts/{gone}")
    expect(window.page.locator(".banner")).to_contain_text("no contact of yours")
    for selector in (".composer-input", ".talk-hint .empty", f".chat-item[href='#/chat/{gone}']"):
        expect(window.page.locator(selector)).to_have_count(0)
    expect(beside.page.locator(".who")).to_have_count(0)
    alice.ask("POST", "/contacts", {"link": str(gone), "name": "Ghost"})
    window.shows(".composer-input")
    beside.shows(".who")
    alice.ask("DELETE", f"/contacts/{gone}")
    expect(window.page.locator(".composer-input")).to_have_count(0)
    window.close()
    beside.close()


def test_a_text_that_is_deleted_elsewhere_is_gone_from_every_window(
    neighbours: tuple[Person, Person, int], old_town: Town
) -> None:
    alice, bob, _ = neighbours
    bob.says(alice, "This one stays")
    bob.says(alice, "Quicksilver, soon gone")
    number = alice.ask("GET", f"/chats/{bob.uin}/texts")["texts"][-1]["number"]
    window, beside = old_town.window(alice), old_town.window(alice)
    window.go(f"/chat/{bob.uin}")
    beside.go("/search?q=quicksilver")
    beside.shows(".hit mark")
    last = window.page.locator(f".row-of-log[data-number='{number}']")
    last.locator(".more").click()
    window.page.get_by_role("menuitem", name="Reply").click()
    expect(window.page.locator(".reply")).to_contain_text("Quicksilver")
    alice.ask("DELETE", f"/texts/{number}")
    expect(last).to_have_count(0)
    for each in (window, beside):
        expect(each.page.locator(f".chat-item[href='#/chat/{bob.uin}']")).to_contain_text("This one stays")
        expect(each.page.locator("body")).not_to_contain_text("Quicksilver")
        each.close()


def test_who_waits_to_be_let_in_is_told_until_they_are(neighbours: tuple[Person, Person, int], old_town: Town) -> None:
    alice, _, _ = neighbours
    host, guest = old_town.person("Hugo", *alice.nodes), old_town.person("Gast", *alice.nodes)
    guest.ready()
    guest.knows(host)
    window = old_town.window(guest)
    window.shows(".chat-item")
    window.go(f"/chat/{host.uin}")
    window.page.locator(".composer-input").fill("May I come in?")
    window.page.keyboard.press("Enter")
    expect(window.page.locator(".knocking")).to_contain_text("Hugo has not let you in yet")
    assert guest.ask("GET", f"/contacts/{host.uin}")["gate"] == "asked"
    for told in (".last-state", ".msg.mine .glyph.queued .sr", ".chat-preview .glyph.queued .sr"):
        expect(window.page.locator(told).first).to_have_text("Waits until they let you in")
    host.ask("POST", f"/requests/{guest.uin}/accept", {"name": "Gast"})
    expect(window.page.locator(".msg.delivered")).to_be_visible()
    expect(window.page.locator(".knocking")).to_have_count(0)
    window.close()


def test_a_code_is_read_from_an_image_and_a_file_becomes_text(
    neighbours: tuple[Person, Person, int], old_town: Town
) -> None:
    alice, bob, _ = neighbours
    window = old_town.window(alice)
    window.shows(".chat-item")
    window.go("/add")
    window.shows("textarea.wide-input")
    drawn = io.BytesIO()
    segno.make_qr(bob.link).save(drawn, kind="png", scale=6)
    window.page.locator(".page input[type=file]").set_input_files(a_file("code.png", drawn.getvalue()))
    expect(window.page.locator(".wide-input")).to_have_value(bob.link)
    expect(window.page.locator(".found-contact")).to_contain_text(str(bob.uin))
    window.go(f"/chat/{bob.uin}")
    files = window.page.locator(".composer input[type=file]")
    files.set_input_files(a_file("list.txt", "один\nдва".encode()))
    expect(window.page.locator(".composer-input")).to_have_value("один\nдва")
    files.set_input_files(a_file("photo.bin", b"\xff\xfe\x00"))
    expect(window.page.locator(".composer .mistake")).to_contain_text("photo.bin is not a text file")
    window.page.locator(".composer-input").fill("")
    window.close()


def test_the_language_and_the_theme_change_live_and_leave_the_focus_where_it_is(
    neighbours: tuple[Person, Person, int], old_town: Town
) -> None:
    alice, bob, _ = neighbours
    window = old_town.window(alice)
    window.shows(".chat-item")
    window.go("/settings")
    page = window.page
    page.get_by_label("Language").select_option("ru")
    expect(page.locator(".main h1")).to_have_text("Настройки")
    expect(page.get_by_label("Язык")).to_be_focused()
    assert page.evaluate("document.documentElement.lang") == "ru"
    page.get_by_label("Оформление").select_option("dark")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(page.locator(".main h1")).to_have_text("Настройки")
    page.get_by_label("Оформление").focus()
    alice.ask("PUT", "/preferences", {"theme": "light"})  # as another device would
    expect(page.locator(".main h1")).to_have_text("Settings")
    expect(page.get_by_label("Theme")).to_have_value("light")
    expect(page.get_by_label("Theme")).to_be_focused()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    alice.ask("PUT", "/preferences", {})
    expect(page.get_by_label("Theme")).to_have_value("auto")
    expect(page.get_by_label("Theme")).to_be_focused()
    window.go(f"/chat/{bob.uin}")
    field = page.locator("textarea.composer-input")
    field.press_sequentially("half a thought")

    def late(route: Route) -> None:
        """The contact as it was before the draft was kept, told after that."""
        answer = route.fetch()
        until("the draft is kept", lambda: alice.ask("GET", f"/contacts/{bob.uin}")["draft"] != "")
        route.fulfill(response=answer, json={**answer.json(), "draft": ""})

    page.route(f"**/v1/contacts/{bob.uin}", late, times=1)
    alice.ask("PUT", "/preferences", {"language": "ru"})
    expect(page.locator("html")).to_have_attribute("lang", "ru")
    expect(field).to_have_value("half a thought")
    expect(field).to_be_focused()
    alice.ask("PUT", "/preferences", {})
    field.fill("")
    expect(page.locator(".chat-item em")).to_have_count(0)  # no draft is left
    window.close()
