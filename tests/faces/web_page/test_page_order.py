"""What the page is told while an answer of the core is on its way: the answer is older, and takes nothing back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Page, Route, expect

from faces.web_page.test_journey_people import sees
from faces.web_page.town import Person, Town, Window

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def hers(neighbours: tuple[Person, Person, int], old_town: Town) -> Window:
    window = old_town.window(neighbours[0])
    window.shows(".chat-item")
    return window


@contextmanager
def overtaken(page: Page, address: str, meanwhile: Callable[[], None], name: str = "") -> Iterator[None]:
    """What is done in it asks this address; the answer is held until `meanwhile` is over, and there at the end.

    A `name` makes a list of chats known: the last is called so in it.
    """

    def held(route: Route) -> None:
        answer = route.fetch()
        meanwhile()
        told = answer.json()
        if name:
            told["chats"][-1]["name"] = name
        route.fulfill(response=answer, json=told)

    page.route(address, held, times=1)
    with page.expect_response(address):
        yield


def line(window: Window, uin: int, words: str) -> None:
    """So far the page has come with what it is told."""
    expect(window.page.locator(f".chat-item[href='#/chat/{uin}'] .chat-preview")).to_contain_text(words)


@contextmanager
def out_of_reach(window: Window, *also: str) -> Iterator[None]:
    """The core tells nothing, and what is asked at these addresses comes to nothing; at the end it is there again."""
    page = window.page
    window.expected.append("ERR_FAILED")
    page.route("**/v1/events?*", lambda route: route.abort())
    page.reload()
    bar = page.get_by_role("button", name="Retry now")
    expect(bar).to_be_visible()
    for address in also:
        page.route(address, lambda route: route.abort())
    yield
    for address in (*also, "**/v1/events?*"):
        page.unroute(address)
    bar.click()
    expect(bar).to_have_count(0)


def test_a_text_that_comes_while_its_chat_is_opened_is_in_it(
    neighbours: tuple[Person, Person, int], hers: Window
) -> None:
    alice, bob, _ = neighbours
    before = alice.ask("GET", f"/chats/{bob.uin}/texts?limit=1")["texts"][-1]["number"]

    def meanwhile() -> None:
        bob.says(alice, "While you opened it")
        line(hers, bob.uin, "While you opened it")

    with overtaken(hers.page, f"**/v1/chats/{bob.uin}/texts?limit=40", meanwhile):
        hers.go(f"/chat/{bob.uin}")
    hers.shows(f".row-of-log[data-number='{before}']")
    sees(hers, "While you opened it")
    hers.close()


def test_what_becomes_of_a_text_while_its_chat_is_opened_is_shown(
    neighbours: tuple[Person, Person, int], hers: Window
) -> None:
    alice, _, nobody = neighbours
    first, second, last = (
        alice.ask("POST", "/texts", {"to": nobody, "text": text})["number"] for text in ("One", "Two", "Three")
    )

    def meanwhile() -> None:
        alice.ask("DELETE", f"/texts/{second}")
        for number in (first, last):
            alice.ask("POST", f"/texts/{number}/cancel")
        alice.ask("PUT", f"/chats/{nobody}/draft", {"draft": "a sign"})  # later than the rest
        line(hers, nobody, "a sign")

    with overtaken(hers.page, f"**/v1/chats/{nobody}/texts?limit=40", meanwhile):
        hers.go(f"/chat/{nobody}")
    shown = hers.page.locator(".row-of-log .msg.mine.cancelled .text")
    expect(shown.nth(-2)).to_have_text("One")
    expect(shown.last).to_have_text("Three")
    assert hers.page.locator(".row-of-log", has_text="Two").count() == 0
    hers.close()


def test_a_place_far_back_that_reaches_to_the_end_has_what_comes_meanwhile(
    neighbours: tuple[Person, Person, int], hers: Window
) -> None:
    alice, bob, _ = neighbours
    for number in range(45):
        alice.ask("POST", "/texts", {"to": bob.uin, "text": f"Line {number}"})
    bob.says(alice, "So many")
    found = alice.ask("GET", f"/chats/{bob.uin}/texts?limit=15")["texts"][0]
    hers.go("/search?q=nothing")  # no conversation is open

    def meanwhile() -> None:
        bob.says(alice, "Behind it")
        line(hers, bob.uin, "Behind it")

    with overtaken(hers.page, f"**/v1/chats/{bob.uin}/texts?after=*&limit=1", meanwhile):
        hers.go(f"/chat/{bob.uin}/at/{found['number']}")
    expect(hers.page.locator(".row-of-log.found")).to_contain_text(found["text"])
    expect(hers.page.locator(".row-of-log:last-child .text")).to_have_text("Behind it")
    hers.close()


def test_an_older_list_of_chats_takes_nothing_back(neighbours: tuple[Person, Person, int], hers: Window) -> None:
    alice, bob, nobody = neighbours
    unread = hers.page.locator(f".chat-item[href='#/chat/{bob.uin}'] .badge")

    def meanwhile() -> None:
        bob.says(alice, "Newer than the list")
        line(hers, bob.uin, "Newer than the list")

    with overtaken(hers.page, "**/v1/chats?limit=*", meanwhile, name="An older answer"):
        alice.ask("PUT", f"/chats/{nobody}/draft", {"draft": "the list is asked for"})
    expect(hers.page.locator(".chat-item", has_text="An older answer")).to_be_visible()
    line(hers, bob.uin, "Newer than the list")
    expect(unread).to_contain_text("1")
    hers.close()


def test_a_search_that_is_left_while_one_types_does_not_come_back_into_the_address(
    neighbours: tuple[Person, Person, int], hers: Window
) -> None:
    _, bob, _ = neighbours
    page = hers.page
    hers.go("/search")
    hers.shows(".page .search-input")
    page.clock.install()
    page.locator(".page .search-input").press_sequentially("tea")
    hers.go(f"/chat/{bob.uin}")
    hers.shows(".row-of-log")
    page.clock.run_for(1000)
    assert page.url.endswith(f"#/chat/{bob.uin}")
    hers.close()


def test_an_invite_that_is_shown_once_is_shown_though_the_list_of_them_does_not_come(
    neighbours: tuple[Person, Person, int], hers: Window
) -> None:
    hers.expected.append("ERR_FAILED")
    hers.go("/invites")
    hers.shows(".page form")
    hers.shows(".page .empty, .page .plain-list")
    hers.page.route(
        "**/v1/invites", lambda route: route.abort() if route.request.method == "GET" else route.continue_()
    )
    hers.page.locator(".page form button[type=submit]").click()
    expect(hers.page.locator("dialog .copyable-text")).to_contain_text("uzel:")
    hers.close()


def test_a_recovery_code_that_is_shown_once_is_shown_though_nothing_else_is_told_after_the_back_up(
    neighbours: tuple[Person, Person, int], hers: Window
) -> None:
    hers.expected.append("ERR_FAILED")
    hers.go("/settings")
    button = hers.page.get_by_role("button", name="Download a back-up")
    expect(button).to_be_visible()
    hers.page.route("**/v1/profile", lambda route: route.abort())
    button.click()
    expect(hers.page.locator("dialog .copyable-text")).to_be_visible()
    hers.close()


def test_whoever_was_let_in_slowly_does_not_come_between_somebody_and_what_they_type_elsewhere(
    neighbours: tuple[Person, Person, int], hers: Window
) -> None:
    alice, bob, _ = neighbours
    page, known = hers.page, {each["uin"] for each in alice.ask("GET", "/contacts")["contacts"]}
    hers.go("/add")
    page.get_by_label("Contact link or number").fill("7654321")

    def meanwhile() -> None:
        hers.go(f"/chat/{bob.uin}")
        page.locator(".composer-input").press_sequentially("For Bob")

    with overtaken(page, "**/v1/contacts", meanwhile):
        page.get_by_role("button", name="Add", exact=True).click()
    hers.shows(".chat-item[href='#/chat/7654321']")
    page.evaluate("() => new Promise(requestAnimationFrame)")
    assert page.url.endswith(f"#/chat/{bob.uin}")
    expect(page.locator(".composer-input")).to_have_value("For Bob")
    assert known < {each["uin"] for each in alice.ask("GET", "/contacts")["contacts"]}
    hers.close()


def test_a_step_that_is_left_while_it_is_saved_does_not_come_back(town: Town) -> None:
    window = town.window(town.person("Nora"))
    page = window.page

    def meanwhile() -> None:
        page.get_by_role("button", name="Skip").click()
        page.locator("input[type=password]").first.fill("several words")

    page.get_by_label("Your name").fill("Nora")
    with overtaken(page, "**/v1/me", meanwhile):
        page.get_by_role("button", name="Go on").click()
    page.evaluate(
        """async () => {
            const { store } = await import('/static/js/store.js');
            const drawn = () => new Promise(requestAnimationFrame);
            while (store.profile.name !== 'Nora') await drawn();
            await drawn();
        }"""
    )
    expect(page.locator("input[type=password]").first).to_have_value("several words")
    window.close()


def test_a_chat_that_was_opened_while_the_core_was_out_of_reach_is_there_once_it_is_back(
    neighbours: tuple[Person, Person, int], hers: Window
) -> None:
    _, bob, _ = neighbours
    with out_of_reach(hers, "**/v1/chats/*/texts?*", "**/v1/contacts/*"):
        hers.go(f"/chat/{bob.uin}")
        hers.shows(".toast.bad")
    hers.shows(".row-of-log")
    hers.shows(".composer-input")
    hers.close()


def test_what_was_read_while_the_core_was_out_of_reach_is_read_once_it_is_back(
    neighbours: tuple[Person, Person, int], hers: Window
) -> None:
    alice, bob, _ = neighbours
    bob.says(alice, "Read while nobody hears of it")
    badge = hers.page.locator(f".chat-item[href='#/chat/{bob.uin}'] .badge")
    with out_of_reach(hers, "**/read"):
        hers.go(f"/chat/{bob.uin}")
        sees(hers, "Read while nobody hears of it")
    expect(badge).to_have_count(0)
    hers.close()


def test_nothing_is_read_before_it_is_shown(neighbours: tuple[Person, Person, int], hers: Window) -> None:
    alice, bob, _ = neighbours
    bob.says(alice, "Unread")
    asked: list[str] = []
    hers.page.on("request", lambda request: asked.append(request.url))

    def meanwhile() -> None:
        bob.says(alice, "Unread too")
        line(hers, bob.uin, "Unread too")
        hers.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        assert not [each for each in asked if each.endswith("/read")]

    with overtaken(hers.page, f"**/v1/chats/{bob.uin}/texts?limit=40", meanwhile):
        hers.go(f"/chat/{bob.uin}")
    expect(hers.page.locator(".row-of-log", has=hers.page.locator(".unread-line")).locator(".text")).to_have_text(
        "Unread"
    )
    sees(hers, "Unread too")
    hers.close()


def test_the_menu_of_a_text_gives_the_focus_back_though_the_text_changed_meanwhile(
    neighbours: tuple[Person, Person, int], hers: Window
) -> None:
    alice, _, nobody = neighbours
    number = alice.ask("POST", "/texts", {"to": nobody, "text": "It waits"})["number"]
    hers.go(f"/chat/{nobody}")
    row = hers.page.locator(f".row-of-log[data-number='{number}']")
    row.locator(".more").focus()
    hers.page.keyboard.press("Enter")
    hers.shows(".menu")
    alice.ask("POST", f"/texts/{number}/cancel")
    expect(row.locator(".msg.cancelled")).to_have_count(1)
    hers.page.keyboard.press("Escape")
    expect(row.locator(".more")).to_be_focused()
    hers.close()


def test_where_one_wished_to_be_last_is_where_one_is(neighbours: tuple[Person, Person, int], hers: Window) -> None:
    alice, bob, _ = neighbours
    first = alice.ask("GET", f"/chats/{bob.uin}/texts?limit=20")["texts"][0]
    for number in range(45):
        alice.ask("POST", "/texts", {"to": bob.uin, "text": f"{number}"})
    bob.says(alice, "An answer to the first", first["id"])
    hers.go(f"/chat/{bob.uin}")
    quote = hers.page.locator(".row-of-log:last-child button.quote")

    def meanwhile() -> None:
        hers.page.evaluate("document.querySelector('.log').scrollTop -= 900")
        hers.page.locator(".jump").click()

    with overtaken(hers.page, "**/around?limit=40", meanwhile):
        quote.click()
    hers.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    expect(hers.page.locator(".row-of-log:last-child .text")).to_have_text("An answer to the first")
    expect(hers.page.locator(".row-of-log.found")).to_have_count(0)
    hers.close()


def test_what_is_typed_while_the_core_is_out_of_reach_is_there_when_one_comes_back_and_kept_then(
    neighbours: tuple[Person, Person, int], hers: Window
) -> None:
    alice, bob, nobody = neighbours
    composer = hers.page.locator(".composer-input")
    hers.go(f"/chat/{bob.uin}")
    hers.shows(".composer-input")
    hers.go("/")
    with out_of_reach(hers, "**/draft", "**/v1/texts"):
        hers.go(f"/chat/{bob.uin}")
        composer.fill("half a thought")
        hers.go(f"/chat/{nobody}")
        expect(composer).to_have_value("")
        composer.fill("not lost")
        composer.press("Enter")
        expect(hers.page.locator(".composer .mistake")).not_to_be_empty()
        hers.go(f"/chat/{bob.uin}")
        expect(composer).to_have_value("half a thought")
        hers.go(f"/chat/{nobody}")
        expect(composer).to_have_value("not lost")
    line(hers, nobody, "not lost")
    hers.go(f"/chat/{bob.uin}")
    line(hers, bob.uin, "half a thought")
    assert {each["draft"] for each in alice.ask("GET", "/chats")["chats"]} == {"half a thought", "not lost"}
    hers.close()


def test_texts_are_sent_in_the_order_of_typing(neighbours: tuple[Person, Person, int], hers: Window) -> None:
    _, _, nobody = neighbours
    page = hers.page
    hers.go(f"/chat/{nobody}")
    composer = page.locator(".composer-input")

    def slow(route: Route) -> None:
        composer.fill("Second")
        composer.press("Enter")
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        route.continue_()

    page.route("**/v1/texts", slow, times=1)
    composer.fill("First")
    composer.press("Enter")
    shown = page.locator(".row-of-log .msg.mine .text")
    hers.shows(".row-of-log:has-text('First')")
    hers.shows(".row-of-log:has-text('Second')")
    expect(shown.nth(-2)).to_have_text("First")
    expect(shown.last).to_have_text("Second")
    hers.close()


def test_what_was_missed_is_made_up_for_though_it_fails_at_first(
    neighbours: tuple[Person, Person, int], hers: Window
) -> None:
    alice, bob, _ = neighbours
    hers.expected.append("ERR_FAILED")
    hers.go(f"/chat/{bob.uin}")

    def late(route: Route) -> None:
        hers.shows(".row-of-log")
        alice.ask("POST", "/texts", {"to": bob.uin, "text": "Missed"})
        last = alice.ask("GET", "/status")["last_event"]
        hers.page.route("**/v1/me", lambda asked: asked.abort(), times=2)
        missed = f'id: {last}\nevent: missed\ndata: {{"event": {last}}}\n\n'
        route.fulfill(content_type="text/event-stream", body=missed)

    hers.page.route("**/v1/events?*", late, times=1)
    hers.page.reload()
    hers.shows(".row-of-log:has-text('Missed')")
    hers.close()


def test_a_device_that_is_signed_out_shows_nothing_of_what_was_there(
    neighbours: tuple[Person, Person, int], old_town: Town
) -> None:
    alice, bob, _ = neighbours
    before = {each["id"] for each in alice.ask("GET", "/devices")["devices"]}
    window = old_town.window(alice)
    page = window.page
    window.expected.append("401")
    window.go(f"/contact/{bob.uin}")
    page.locator(".card .button .icon-shield").first.click()
    window.shows("dialog .safety")
    (device,) = {each["id"] for each in alice.ask("GET", "/devices")["devices"]} - before
    alice.ask("DELETE", f"/devices/{device}")
    window.shows("input[autocomplete='one-time-code']")
    expect(page.locator("dialog")).to_have_count(0)
    expect(page).to_have_title("Uzel")
    page.evaluate("address => { location.href = address; }", alice.new_address())
    window.shows(".home")  # a new address in the same tab lets it in again
    window.close()


def test_the_icon_shows_no_count_that_is_over(neighbours: tuple[Person, Person, int], hers: Window) -> None:
    alice, bob, _ = neighbours
    page = hers.page
    icon = page.locator("link[rel=icon]")

    def slow(route: Route) -> None:
        (chat,) = [each for each in alice.ask("GET", "/chats")["chats"] if each["unread"]]
        alice.ask("POST", f"/chats/{bob.uin}/read", {"up_to": chat["last"]["number"]})
        expect(page.locator(f".chat-item[href='#/chat/{bob.uin}'] .badge")).to_have_count(0)
        route.continue_()

    page.route("**/img/uzel.svg", slow, times=1)
    with page.expect_response("**/img/uzel.svg"):
        bob.says(alice, "Read at once")
    page.evaluate(
        """async () => {
            for (const _ of [1, 2, 3]) {
                const image = Object.assign(new Image(), { src: '/static/img/uzel.svg' });
                await image.decode();
                await new Promise(requestAnimationFrame);
            }
        }"""
    )
    expect(icon).to_have_attribute("type", "image/svg+xml")
    hers.close()


def test_a_name_that_is_typed_for_one_stranger_stays_when_another_knocks(
    neighbours: tuple[Person, Person, int], hers: Window, old_town: Town
) -> None:
    alice, _, _ = neighbours
    hers.go("/requests")
    page = hers.page
    names = page.locator(".request input")
    names.first.fill("Carol from the choir")
    dan = old_town.person("Dan", *alice.nodes)
    dan.ask("POST", "/contacts", {"link": alice.link, "name": "Alice"})
    dan.ask("POST", "/texts", {"to": alice.uin, "text": "Dan here"})
    expect(names).to_have_count(2)
    expect(names.and_(page.locator(":focus"))).to_have_value("Carol from the choir")
    page.locator(f".request[aria-label='{dan.uin}']").get_by_role("button", name="Refuse").click()
    expect(names).to_have_count(1)
    expect(names).to_have_value("Carol from the choir")
    dan.stop()
    hers.close()


def test_what_is_open_on_a_contact_stays_when_they_come_and_go(
    neighbours: tuple[Person, Person, int], old_town: Town
) -> None:
    alice, _, _ = neighbours
    olga = old_town.person("Olga", *alice.nodes)
    olga.ready()
    olga.knows(alice)
    alice.knows(olga)
    olga.says(alice, "Look at my page")
    window = old_town.window(alice, viewport={"width": 390, "height": 800})
    page = window.page
    window.go(f"/contact/{olga.uin}")
    page.locator("summary").click()
    page.get_by_label("Name").fill("Olga of the no")
    page.get_by_role("button", name="Block").focus()
    here = page.locator(".who .avatar.here")
    expect(here).to_have_count(1)
    olga.stop()
    expect(here).to_have_count(0)
    expect(page.locator("details[open]")).to_have_count(1)
    expect(page.get_by_label("Name")).to_have_value("Olga of the no")
    expect(page.get_by_role("button", name="Block")).to_be_focused()
    window.close()


def test_what_could_not_be_saved_is_shown_as_it_was_before(
    neighbours: tuple[Person, Person, int], hers: Window
) -> None:
    hers.expected.append("ERR_FAILED")
    page = hers.page
    hers.go("/settings")
    theme, strangers = page.get_by_label("Theme"), page.get_by_label("People who are no contacts")
    expect(strangers).to_have_value("ask")
    page.route("**/v1/preferences", lambda route: route.abort())
    page.route("**/v1/strangers", lambda route: route.abort())
    theme.select_option("dark")
    strangers.select_option("contacts-only")
    expect(page.locator(".toast.bad")).to_have_count(2)
    expect(theme).to_have_value("auto")
    expect(strangers).to_have_value("ask")
    hers.close()


def test_a_place_that_could_not_be_fetched_says_so_and_is_there_at_the_next_try(
    neighbours: tuple[Person, Person, int], hers: Window
) -> None:
    _, bob, _ = neighbours
    hers.expected.append("ERR_FAILED")
    page = hers.page
    hers.go(f"/chat/{bob.uin}")
    hers.shows(".row-of-log")
    page.route("**/css/pages.css", lambda route: route.abort(), times=1)
    hers.go("/settings")
    page.locator(".main").get_by_role("button", name="Retry now").click()
    hers.shows(".page select")
    hers.close()


def test_a_chat_that_is_pressed_while_a_text_comes_is_opened(
    neighbours: tuple[Person, Person, int], hers: Window
) -> None:
    alice, bob, _ = neighbours
    bob.says(alice, "Press here")
    line(hers, bob.uin, "Press here")
    hers.page.locator(f".chat-item[href='#/chat/{bob.uin}'] .chat-preview bdi").hover()
    hers.page.mouse.down()
    bob.says(alice, "And meanwhile")
    expect(hers.page).to_have_title("(2) Uzel")
    hers.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    hers.page.mouse.up()
    sees(hers, "And meanwhile")
    hers.close()
