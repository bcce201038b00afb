"""Two people, each at their own node and in their own browser, from the first run to a node that dies and a back-up."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from e2e.cli_harness import RunningNode, uzel
from e2e.netns import until
from faces.web_page.town import Person, Town, Window

pytestmark = pytest.mark.timeout(300)


def first_run(town: Town, person: Person, node: str, backup: Path) -> tuple[Window, str]:
    """Every step of it, none skipped but the passphrase. Gives the window and the back-up's recovery code."""
    window = town.window(person, address=person.page_address, accept_downloads=True)
    page = window.page
    page.get_by_label("Your name").fill(person.name)
    press(page, "Go on")
    window.shows(".progress li.now:nth-child(2)")
    press(page, "Skip")
    with page.expect_download() as made:
        press(page, "Download a back-up")
    made.value.save_as(backup)
    code = page.locator("dialog .copyable-text").inner_text()
    press(page, "I have written it down")
    page.get_by_label("Address").fill(node)
    press(page, "Check")
    expect(page.locator(".check .trust.good")).to_contain_text("ost-quantum")
    press(page, "Go on")
    expect(page.locator(".copyable-text")).to_contain_text(f"&node={node.partition(',')[0]}")
    window.shows("img.qr[src^='blob:']")
    press(page, "Start")
    window.shows(".status-line .good, .chats .empty")
    return window, code


def press(page: Page | Locator, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def do(window: Window, text: str, what: str) -> None:
    """Something that the menu of the last text with these words offers."""
    window.page.locator(".row-of-log", has_text=text).last.locator(".more").click()
    window.page.get_by_role("menuitem", name=what).click()


def write(window: Window, text: str) -> None:
    window.page.locator("textarea.composer-input").fill(text)
    window.page.keyboard.press("Enter")


RETRIES = 130_000
"""Milliseconds in which a text goes out that could not before: the outbox waits for two minutes at most."""


def sees(window: Window, text: str, state: str = "theirs", within: float | None = None) -> None:
    """The last text in the open conversation is this one, and so far along."""
    last = window.page.locator(f".row-of-log:last-child .msg.{state}")
    expect(last.locator(".text")).to_have_text(text, timeout=within)


def add(window: Window, link: str) -> None:
    window.go("/add")
    window.page.locator("textarea.wide-input").fill(link)
    window.shows(".found-contact")
    press(window.page, "Add")
    window.shows("textarea.composer-input")


def safety_number(window: Window, uin: int) -> str:
    window.go(f"/contact/{uin}")
    window.page.locator(".card .button:has(.icon-shield)").click()
    return window.page.locator("dialog .safety").inner_text()


def again(node: RunningNode, state: Path) -> RunningNode:
    """The same node, at the same address."""
    return RunningNode(state, listen=(node.written,))


def test_two_people_meet_verify_talk_part_and_come_back(town: Town, tmp_path: Path) -> None:
    here = town.node(state=tmp_path / "here")
    there = town.node(here.written, state=tmp_path / "there")
    alice, bob = town.person("Alice"), town.person("Bob")
    alices, code = first_run(town, alice, here.written, tmp_path / "alice.uzel")
    bobs, _ = first_run(town, bob, there.written, tmp_path / "bob.uzel")

    alices.go("/invites")
    press(alices.page, "Make an invite")
    link = alices.page.locator("dialog .copyable-text").inner_text()
    alices.page.locator("dialog .caution a").click()  # her node is on this computer
    expect(alices.page.get_by_role("heading", name="Nodes")).to_be_in_viewport()
    expect(alices.page.locator("dialog")).to_have_count(0)
    add(bobs, link)
    write(bobs, "Hello, Alice!")
    sees(bobs, "Hello, Alice!", "mine.delivered")
    alices.page.locator(f".chat-item[href='#/chat/{bob.uin}']").click()
    sees(alices, "Hello, Alice!")
    write(alices, "Hello, Bob! The tea is ready.")
    sees(alices, "Hello, Bob! The tea is ready.", "mine.delivered")
    sees(bobs, "Hello, Bob! The tea is ready.")

    expect(alices.page.locator(".head .trust.unsure")).to_be_visible()  # her invite says nothing about who takes it
    assert safety_number(alices, bob.uin) == safety_number(bobs, alice.uin)
    bobs.page.keyboard.press("Escape")
    press(alices.page, "They match")
    alices.go(f"/chat/{bob.uin}")
    expect(alices.page.locator(".head .trust.good")).to_be_visible()
    bobs.go(f"/chat/{alice.uin}")
    expect(bobs.page.locator(".head .trust.good")).to_be_visible()  # by the link's key

    bob.stop()
    bobs.expected += ["ERR_", "Failed to load"]
    write(alices, "While you are away")
    waiting = alices.page.locator(".row-of-log:last-child .msg.mine")
    expect(waiting.locator(".glyph")).to_have_attribute("title", re.compile("Waits|On its way"))
    assert "delivered" not in str(waiting.get_attribute("class"))
    write(alices, "Never mind")
    do(alices, "Never mind", "Take it back")
    sees(alices, "Never mind", "mine.cancelled")
    do(alices, "Never mind", "Delete here")
    press(alices.page.locator("dialog"), "Delete")
    bob.start()
    sees(alices, "While you are away", "mine.delivered")
    bobs = town.window(bob)
    bobs.go(f"/chat/{alice.uin}")
    sees(bobs, "While you are away")

    here.end(signal.SIGKILL)
    expect(alices.page.locator(".lost-bar")).to_contain_text("The connection to your node is lost.")
    expect(alices.page.locator(".lost-bar")).to_contain_text(re.compile(r"Next try in \d+ s|Trying now"))
    write(alices, "Written without a node")
    with again(here, tmp_path / "here"):
        # the core may be back by itself before one can click, and the bar gone
        alices.page.locator(".lost-bar .button", has_text="Retry now").dispatch_event("click")
        expect(alices.page.locator(".lost-bar")).to_be_hidden()
        sees(alices, "Written without a node", "mine.delivered")
        sees(bobs, "Written without a node")
        for window in (alices, bobs):
            expect(window.page.locator(".text", has_text="Never mind")).to_have_count(0)

        alices.go("/search?q=tea")
        alices.page.locator(".hit").first.click()
        window_of_hit = alices.page.locator(".row-of-log.found .text")
        expect(window_of_hit).to_contain_text("The tea is ready.")
        alices.close()
        bobs.close()
    restored = restored_from(tmp_path / "alice.uzel", code, tmp_path / "restored")
    assert str(alice.uin) in restored


def restored_from(backup: Path, code: str, folder: Path) -> str:
    """What it says when a back-up that the page made is restored by the command line."""
    done = uzel("profile", "restore", backup, "--profile", folder, "--json", stdin=f"{code}\n".encode())
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_back_up_from_the_settings_holds_contacts_and_texts(
    two_people: tuple[Person, Person], town: Town, tmp_path: Path
) -> None:
    alice, bob = two_people
    alice.says(bob, "Keep this")
    window = town.window(alice, accept_downloads=True)
    window.go("/settings")
    expect(window.page.get_by_text("At least one node is needed.")).to_be_visible()
    expect(window.page.get_by_role("button", name="Remove")).to_have_count(0)  # it is the only one
    card = window.page.locator("form", has_text="Passphrase for the file")
    expect(card.get_by_label("Once more")).to_be_hidden()
    card.get_by_label("Passphrase for the file").fill("four words or five")
    card.get_by_label("Once more").fill("four words of five")
    press(card, "Download a back-up")
    expect(card.locator(".mistake")).to_have_text("The two are not the same. Type them again.")
    card.get_by_label("Passphrase for the file").fill("")
    with window.page.expect_download() as made:
        press(window.page, "Download a back-up")
    made.value.save_as(tmp_path / "kept.uzel")
    code = window.page.locator("dialog .copyable-text").inner_text()
    window.close()
    alice.stop()
    restored_from(tmp_path / "kept.uzel", code, tmp_path / "restored")
    back = Person("Alice", tmp_path / "restored", *alice.nodes)
    try:
        shown = town.window(back, address=back.page_address)
        shown.page.locator(f".chat-item[href='#/chat/{bob.uin}']").click()
        sees(shown, "Keep this", "mine.delivered")
        expect(shown.page.locator(".head .trust.good")).to_be_visible()  # whom she knew she knows
        write(shown, "I am back")
        sees(shown, "I am back", "mine.delivered")
        shown.close()
    finally:
        back.stop()


def test_strangers_are_refused_blocked_and_let_in(town: Town) -> None:
    node = town.node()
    alice, bob, carol, dave = (town.person(name, node.written) for name in ("Alice", "Bob", "Carol", "Dave"))
    alice.ready()
    for person in (bob, carol, dave):
        person.ask("POST", "/contacts", {"link": alice.link, "name": "Alice"})
        person.ask("POST", "/texts", {"to": alice.uin, "text": f"I am {person.name}"})
    window = town.window(alice)
    page = window.page
    window.go("/requests")
    for person in (bob, carol, dave):
        expect(page.locator(f".request[aria-label='{person.uin}']")).to_be_visible()
    expect(page.locator("main, .main").first).not_to_contain_text("I am")  # nothing of theirs before they are let in
    card = page.locator(f".request[aria-label='{bob.uin}']")
    card.get_by_role("button", name="Refuse", exact=True).click()
    expect(card).to_have_count(0)
    card = page.locator(f".request[aria-label='{carol.uin}']")
    card.get_by_role("button", name="Block", exact=True).click()
    page.locator("dialog").get_by_role("button", name="Block", exact=True).click()
    expect(card).to_have_count(0)
    assert alice.ask("GET", "/blocks")["uins"] == [carol.uin]
    card = page.locator(f".request[aria-label='{dave.uin}']")
    card.get_by_label("What to call them").fill("Dave")
    card.get_by_role("button", name="Let in", exact=True).click()
    sees(window, "I am Dave")
    write(window, "Welcome")
    sees(window, "Welcome", "mine.delivered")
    assert [chat["uin"] for chat in alice.ask("GET", "/chats")["chats"]] == [dave.uin]

    window.go(f"/contact/{dave.uin}")
    press(page.locator(".page"), "Block")
    press(page.locator("dialog"), "Block")
    expect(page.locator(".page").get_by_role("button", name="Unblock")).to_be_visible()
    assert dave.core is not None
    log, before = dave.core.talk, len(dave.core.talk)
    number = dave.ask("POST", "/texts", {"to": alice.uin, "text": "Still there?"})["number"]
    until("the call was refused", lambda: any("call_failed" in line for line in log[before:]))
    assert dave.ask("GET", f"/texts/{number}")["state"] == "queued"
    press(page.locator(".page"), "Unblock")
    window.go(f"/chat/{dave.uin}")
    sees(window, "Still there?")
    window.close()
