"""What changes on the way: a friend's key, the device one writes from, the language one reads."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from e2e.cli_harness import Running
from faces.web_page.test_journey_people import RETRIES, press, sees, write
from faces.web_page.test_page_views import faults
from faces.web_page.town import Person, Town, Window
from uzel.identity import Identity
from uzel.names import Uin
from uzel.store.profile import Profile

pytestmark = pytest.mark.timeout(240)


def knew_another_key(person: Person, other: Person) -> str:
    """From now on the profile has another key for the same number, as if theirs were new since. Gives the right one."""
    person.stop()
    with Profile.open(person.folder) as profile:
        right = profile.pins.peer(Uin(other.uin))
        assert right is not None
        profile.pins.forget_peer(Uin(other.uin))
        profile.pins.pin_peer(Uin(other.uin), Identity.generate().fingerprint, verified=True)
    person.start()
    return str(right.fingerprint)


def test_another_key_stops_everything_and_what_waits_goes_on_once_it_is_accepted(
    two_people: tuple[Person, Person], town: Town
) -> None:
    alice, bob = two_people
    alice.says(bob, "As always")
    new = knew_another_key(bob, alice)
    his, hers = town.window(bob), town.window(alice)
    his.go(f"/chat/{alice.uin}")
    hers.go(f"/chat/{bob.uin}")
    write(hers, "Are you there?")
    stop = his.page.locator(".banner.stop")
    expect(stop).to_contain_text("The key of Alice has changed")
    expect(his.page.locator("textarea.composer-input")).to_have_count(0)
    expect(his.page.locator(".head .trust.bad")).to_have_text("Key changed")
    expect(hers.page.locator(".row-of-log:last-child .msg.mine.delivered")).to_have_count(0)
    sees(his, "As always")

    press(his.page, "Compare the keys")
    expect(his.page.locator("dialog .prints .new")).to_contain_text(new)
    press(his.page, "Not now")
    expect(stop).to_be_visible()
    press(his.page, "Compare the keys")
    his.page.get_by_label("I asked Alice, and this is their new key.").check()
    press(his.page, "Accept the new key")
    expect(stop).to_have_count(0)
    sees(his, "Are you there?", within=RETRIES)
    sees(hers, "Are you there?", "mine.delivered")
    write(his, "It is me who asks")
    sees(his, "It is me who asks", "mine.delivered")
    sees(hers, "It is me who asks")
    expect(his.page.locator(".head .trust.unsure")).to_have_text("Not verified")
    his.close()
    hers.close()


def test_an_older_program_stops_everything_until_one_agrees(two_people: tuple[Person, Person], town: Town) -> None:
    alice, bob = two_people
    alice.says(bob, "As always")
    bob.stop()
    hers = town.window(alice)
    page = hers.page
    hers.go(f"/chat/{bob.uin}")
    stop, label = page.locator(".banner.stop"), page.locator(".chat-item .alert-text")
    with Running("listen", "--profile", bob.folder, "--node", *bob.nodes, "--json") as older:
        older.until("online")
        write(hers, "Are you there?")
        expect(stop).to_contain_text("Bob came with an older program")
        expect(label).to_have_text("Older program")
        expect(page.locator("textarea.composer-input")).to_have_count(1)  # what is written waits
        assert not faults(page)
        press(page, "What this means")
        expect(page.get_by_role("button", name="Agree", exact=True)).to_be_disabled()
        assert not faults(page)
        press(page, "Not now")
        hers.go(f"/contact/{bob.uin}")
        expect(page.locator(".page .banner.stop")).to_be_visible()
        press(page.locator(".page"), "What this means")
        page.get_by_label("I asked Bob, and they use an older program now.").check()
        press(page, "Agree")
        expect(stop).to_have_count(0)
        expect(label).to_have_count(0)
        assert older.until("text")["text"] == "Are you there?"
        hers.go(f"/chat/{bob.uin}")
        sees(hers, "Are you there?", "mine.delivered")
    hers.close()


def paired(home: Window, town: Town, name: str) -> Window:
    """Another browser, let in by the code that the first one shows."""
    home.go("/settings")
    press(home.page, "Add a device")
    told = home.page.locator("dialog")
    expect(told).to_contain_text("Only this computer can open the page now")
    expect(told.locator(".todo output")).to_have_text(
        [re.compile("^uzel start --profile .* --share "), re.compile("^ssh -N -L ")]
    )
    address = told.locator(".steps output").inner_text()
    code = home.page.locator("dialog .big-code").inner_text()
    other = town.window(home.person, address=address, viewport={"width": 390, "height": 780})
    other.expected.append("401")
    other.page.get_by_label("Pairing code").fill(code)
    other.page.get_by_label("Name of the device").fill(name)
    press(other.page, "Pair")
    other.shows(".chat-item")
    home.page.keyboard.press("Escape")
    return other


def test_a_second_device_is_paired_shares_what_is_written_and_is_signed_out_at_once(
    neighbours: tuple[Person, Person, int], old_town: Town
) -> None:
    alice, bob, _ = neighbours
    home = old_town.window(alice)
    phone = paired(home, old_town, "Telephone")
    line = home.page.locator("li.line", has_text="Telephone")
    expect(line).to_contain_text("Paired")  # it came by itself

    bob.says(alice, "Which one do you read this on?")
    unread = home.page.locator(f".chat-item[href='#/chat/{bob.uin}'] .badge")
    expect(unread).to_be_visible()
    phone.page.locator(f".chat-item[href='#/chat/{bob.uin}']").click()
    sees(phone, "Which one do you read this on?")
    phone.page.locator(".row-of-log:last-child .msg").scroll_into_view_if_needed()
    expect(unread).to_have_count(0)

    home.go(f"/chat/{bob.uin}")
    field = home.page.locator("textarea.composer-input")
    phone.page.locator("textarea.composer-input").fill("On the tele")
    expect(field).to_have_value("On the tele")
    field.press_sequentially("phone")
    expect(phone.page.locator("textarea.composer-input")).to_have_value("On the telephone")
    phone.page.locator("textarea.composer-input").press("Enter")
    for window in (phone, home):
        sees(window, "On the telephone", "mine.delivered")
    expect(field).to_have_value("")

    home.go("/settings")
    line.get_by_role("button", name="Sign out").click()
    home.page.locator("dialog").get_by_role("button", name="Sign out").click()
    expect(phone.page.get_by_role("heading", name="This browser is not signed in")).to_be_visible()
    expect(phone.page.locator(".chat-item")).to_have_count(0)
    expect(line).to_have_count(0)
    phone.page.reload()
    expect(phone.page.get_by_role("heading", name="This browser is not signed in")).to_be_visible()
    home.close()
    phone.close()


def test_a_first_conversation_in_russian(neighbours: tuple[Person, Person, int], old_town: Town) -> None:
    alice, _, _ = neighbours
    dora = old_town.person("Dora", *alice.nodes)
    invite = alice.ask("POST", "/invites", {"uses": 1, "name": "Алиса"})["link"]
    window = old_town.window(dora, address=dora.page_address, locale="ru-RU")
    page = window.page
    expect(page.locator("html")).to_have_attribute("lang", "ru")
    page.get_by_label("Ваше имя").fill("Дора")
    press(page, "Дальше")
    for step in (2, 3, 4):
        window.shows(f".progress li.now:nth-child({step})")
        press(page, "Пропустить")
    press(page, "Начать")
    page.locator(".side-nav").get_by_role("link", name="Добавить").click()
    page.locator("textarea.wide-input").fill(invite)
    expect(page.locator(".found-contact")).to_contain_text("Алиса")
    expect(page.locator(".found-contact")).to_contain_text("с приглашением")
    press(page, "Добавить")
    write(window, "Привет, Алиса!")
    sees(window, "Привет, Алиса!", "mine.delivered")
    expect(page.locator(".last-state")).to_contain_text("Доставлено")
    assert alice.ask("GET", f"/chats/{dora.uin}/texts")["texts"][-1]["text"] == "Привет, Алиса!"
    alice.ask("POST", "/texts", {"to": dora.uin, "text": "Здравствуй!"})
    sees(window, "Здравствуй!")
    expect(page.locator("h2.day").first).to_have_text("Сегодня")
    page.get_by_role("link", name="Искать в этом чате").click()
    page.locator(".page .search-input").fill("здравствуйте")
    expect(page.locator(".hit mark")).to_have_text("Здравствуй")
    window.close()
