"""Every text is in both catalogues and used; none is anywhere else; the files keep to the page's rules."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import uzel.faces.web
from faces.web_page.test_page_views import visit
from faces.web_page.tour import views
from faces.web_page.town import Person, Town
from uzel import errors

STATIC = Path(uzel.faces.web.__file__).parent / "static"
SCRIPTS = sorted((STATIC / "js").glob("*.js"))
MOST_FIRST = 142_000
"""Bytes that a first look may fetch, in either language. A Russian letter is two of them."""
FIRST, REST = "", "_rest"
"""The halves of a catalogue: what a first look says, and what is fetched with the first other view."""
SIGNS = re.compile(r"^[\W\d_]*$")
FOUND_BY = {  # a key made from a value: what the value may be
    "state.": {"asked", "queued", "sending", "delivered", "failed", "cancelled", "received"},
    "node.step.": {"connect", "login"},
    "devices.": {"local", "paired"},
    "reason.": {"not_let_in", "removed", "downgraded", "storage"},
}


def half(language: str, which: str) -> dict[str, str | dict[str, str]]:
    text = (STATIC / "js" / "lang" / f"{language}{which}.js").read_text()
    body = text[text.index("{") : text.rindex("}") + 1]
    read: dict[str, str | dict[str, str]] = json.loads(re.sub(r",\s*}$", "}", body))
    assert list(read) == sorted(read)
    return read


def catalogue(language: str) -> dict[str, str | dict[str, str]]:
    first, rest = half(language, FIRST), half(language, REST)
    assert not first.keys() & rest.keys()
    return {**first, **rest}


def first_modules() -> set[str]:
    """The modules that are there before a place is shown."""
    found: set[str] = set()
    open_ = {"app.js"}
    while open_ - found:
        name = (open_ - found).pop()
        found.add(name)
        open_ |= set(re.findall(r' from "\./(\w+\.js)"', (STATIC / "js" / name).read_text()))
    return found


def forms(text: str | dict[str, str]) -> list[str]:
    return [text] if isinstance(text, str) else list(text.values())


def test_both_languages_say_the_same_things() -> None:
    english, russian = catalogue("en"), catalogue("ru")
    assert [*english] == [*russian]  # in halves that are alike
    for key, text in english.items():
        other = russian[key]
        assert isinstance(text, str) == isinstance(other, str), key
        values = {tuple(sorted(set(re.findall(r"{\w+}", form)))) for form in (*forms(text), *forms(other))}
        assert len(values) == 1, (key, values)
        if isinstance(text, dict) and isinstance(other, dict):
            assert (set(text), set(other)) == ({"one", "other"}, {"one", "few", "many", "other"}), key
        assert all(form.strip() for form in (*forms(text), *forms(other))), key


def test_every_text_is_used_and_every_used_one_is_there() -> None:
    source = "\n".join(script.read_text() for script in SCRIPTS)
    there = set(catalogue("en"))
    asked = set(re.findall(r'\b(?:t|has)\("([\w.]+)"', source))
    assert asked <= there
    made = {prefix + value for prefix, values in FOUND_BY.items() for value in values}
    assert made <= there
    codes = {f"problem.{code}" for code in all_codes()}
    named = set(re.findall(r'"([a-z_]+(?:\.[a-z_]+)*)"', source))
    assert not [key for key in there if key not in named | made | codes]


def test_a_first_look_has_the_texts_that_it_says_and_no_others() -> None:
    source = "\n".join((STATIC / "js" / name).read_text() for name in first_modules())
    for key in catalogue("en"):
        said = f'"{key}"' in source or key.startswith(("state.", "reason.", "problem."))
        assert (key in half("en", FIRST)) == said, key


def all_codes() -> set[str]:
    """Every reason that an error can have, and those that only the interface gives."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.UzelError)]
    plain = {
        "not_found",
        "method_not_allowed",
        "too_large",
        "foreign_host",
        "foreign_origin",
        "unexpected",
        "only_at_home",
    }
    return {str(kind.reason) for kind in kinds} | plain


def test_what_a_person_meets_at_the_page_is_said_in_both_languages() -> None:
    api = (Path(__file__).parents[3] / "docs" / "api.md").read_text()
    table = api[api.index("| `code` | status |") : api.index("## What there is")]
    codes = set(re.findall(r"`([a-z_]+)`", table)) - {"code"}
    assert codes
    assert {f"problem.{code}" for code in codes} <= set(catalogue("en"))


def test_the_files_hold_nothing_that_turns_text_into_markup() -> None:
    banned = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc|javascript:|DOMParser"
    )
    for file in SCRIPTS:
        assert not banned.search(file.read_text()), file.name
    html = (STATIC / "index.html").read_text()
    assert not re.search(r"\sstyle=|\son\w+=|<style|<script(?![^>]*src=)", html)
    for file in STATIC.rglob("*.*"):
        text = file.read_text()
        assert not re.search(r"(?:https?:)?//(?!www\.w3\.org)[a-z0-9-]+\.[a-z]", text.replace("// ", "")), file.name


def test_modules_are_small_and_say_what_they_are() -> None:
    for file in SCRIPTS:
        lines = file.read_text().splitlines()
        assert lines[0].startswith("// "), file.name
        assert len(lines) <= 400, file.name


@pytest.mark.parametrize("locale", ["en-GB", "ru-RU"])
def test_the_first_look_is_light(
    neighbours: tuple[Person, Person, int],
    old_town: Town,
    record_property: Callable[[str, object], None],
    locale: str,
) -> None:
    alice, bob, _ = neighbours
    window = old_town.window(alice, locale=locale)
    fetched: set[str] = set()
    window.page.on("request", lambda request: fetched.add(urlsplit(request.url).path))
    window.page.reload()
    window.shows(".chat-item")
    window.go(f"/chat/{bob.uin}")
    window.shows(".row-of-log")
    static = {
        path: (STATIC / path.removeprefix("/static/")).stat().st_size for path in fetched if path.startswith("/static/")
    }
    assert len(static) > 20
    assert [path for path in static if "/lang/" in path] == [f"/static/js/lang/{locale[:2]}.js"]
    weight = sum(static.values()) + (STATIC / "index.html").stat().st_size
    record_property("summary", f"the first look fetches {weight:,} bytes ({locale})")
    assert weight <= MOST_FIRST
    assert {
        path.rpartition("/")[2] for path in static if path.count("/") == 3 and path.endswith(".js")
    } == first_modules()
    window.close()


@pytest.mark.timeout(120)
def test_nothing_visible_is_outside_of_the_catalogue(neighbours: tuple[Person, Person, int], old_town: Town) -> None:
    """Each text of the catalogue is put into brackets: whatever is seen outside of them is somebody's own words."""
    alice, bob, nobody = neighbours
    window = old_town.window(alice)
    window.shows(".chat-item")
    window.page.evaluate(
        """async () => {
            const { use, everything } = await import('/static/js/i18n.js');
            await everything();
            const halves = await Promise.all(['en', 'en_rest'].map((name) => import(`/static/js/lang/${name}.js`)));
            const texts = Object.assign({}, ...halves.map((each) => each.default));
            const all = (values, change) => Object.fromEntries(Object.entries(values).map(([k, v]) => [k, change(v)]));
            const mark = (text) => typeof text === 'string' ? `⟦${text}⟧` : all(text, mark);
            use('en', all(texts, mark));
            (await import('/static/js/shell.js')).raise();
        }"""
    )
    for view in views(bob.uin, nobody):
        visit(window, view)
        seen: list[str] = window.page.evaluate(
            """() => {
                const own = 'bdi, time, kbd, output, .avatar, .text, .badge, [translate=no], [value=en], [value=ru]';
                const found = [];
                const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
                while (walk.nextNode()) {
                    const { parentElement, data } = walk.currentNode;
                    if (parentElement.closest('noscript, ' + own)) continue;
                    found.push(data);
                }
                const named = [...document.querySelectorAll('[aria-label], [title], [placeholder], [alt]')];
                for (const each of named) for (const name of ['aria-label', 'title', 'placeholder', 'alt']) {
                    const others = each.closest('time, .link, .trust, .status-lock, .request');
                    if (each.hasAttribute(name) && !others) found.push(each.getAttribute(name));
                }
                return found;
            }"""
        )
        outside = [re.sub(r"⟦[^⟧]*⟧", "", text) for text in seen]
        left = [text for text in outside if not SIGNS.match(text)]
        assert not [text for text in left if not allowed(text)], view.name
    window.close()


def allowed(text: str) -> bool:
    """Examples and names, which are the same in every language."""
    return text.strip() in {"Uzel", "Bob", "Dave", "node.example:8935", "uzel:12345678?key=…"} or bool(
        re.fullmatch(r"\d+ \w+|[\d., :]+|\d+ [A-Z][a-z]+ \d+, \d\d:\d\d", text.strip())
    )
