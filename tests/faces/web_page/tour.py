"""Every view of the page: where it is, and what is there once it is shown. Used by whatever has to see all of them.

What fills them is here too: a short talk, and one of thousands of texts.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from faces.web_page.town import Person
from uzel.identity import Identity
from uzel.store.profile import Profile
from uzel.store.tables import Tables

FIVE_MINUTES = 300_000
"""Milliseconds between two texts of a long chat."""


@dataclass(frozen=True, slots=True)
class View:
    """`path` is behind #; `shown` is a selector; `press` opens a dialog, once the place is shown."""

    name: str
    path: str
    shown: str
    press: str = ""


def views(friend: int, stranger_number: int) -> list[View]:
    """All of them, for somebody who knows a friend, and a number that was never reached."""
    return [
        View("home", "/", ".home .knot"),
        View("chat", f"/chat/{friend}", ".row-of-log article"),
        View("chat-empty", f"/chat/{stranger_number}", ".talk-hint .empty"),
        View("contact", f"/contact/{friend}", ".page .who"),
        View("verify", f"/contact/{friend}", "dialog .safety", press=".card .button .icon-shield"),
        View("add", "/add", "textarea.wide-input"),
        View("me", "/me", "img.qr[src^='blob:']"),
        View("requests", "/requests", ".request form"),
        View("invites", "/invites", ".page form"),
        View("invite-made", "/invites", "dialog .qr[src^='blob:']", press=".page form button[type=submit]"),
        View("search", "/search?q=node", ".hit mark"),
        View("settings", "/settings", ".line-text .code"),
        View("help", "/settings", "dialog .keys", press=".button .icon-help"),
    ]


def furnish(alice: Person, bob: Person, carol: Person) -> int:
    """What makes the views full: two who talk, a stranger who knocks, a number that nobody has. Gives that number."""
    for person in (alice, bob):
        person.ready()
    alice.knows(bob, "Bob")
    bob.knows(alice)
    alice.says(bob, "Hi Bob! Did the new node come up?")
    answer = bob.says(alice, "Yes, this morning. It takes 40 MB, and nobody noticed the move")
    bob.says(alice, "The doctor is happy with it too: https://uzel.example/doctor?node=2")
    alice.says(bob, "Very good. Shall we compare safety numbers tonight?", answer["id"])
    bob.says(alice, "Gladly. At eight?\nI shall have tea ready, and the long list of what is still to be moved.")
    alice.says(bob, "At eight it is.")
    carol.ask("POST", "/contacts", {"link": alice.link, "name": "Alice"})
    carol.ask("POST", "/texts", {"to": alice.uin, "text": "It is Carol from the choir"})
    nobody = 1_234_567
    alice.ask("POST", "/contacts", {"link": str(nobody), "name": "Dave"})
    return nobody


def tidy(alice: Person, bob: Person, nobody: int) -> None:
    """Undo what a test may have left: people who came, other names, drafts, what is unread, texts to nobody."""
    known = {bob.uin: "Bob", nobody: "Dave"}
    for contact in alice.ask("GET", "/contacts")["contacts"]:
        if contact["uin"] not in known:
            alice.ask("DELETE", f"/contacts/{contact['uin']}")
        elif contact["name"] != known[contact["uin"]]:
            alice.ask("PATCH", f"/contacts/{contact['uin']}", {"name": known[contact["uin"]]})
    for chat in alice.ask("GET", "/chats")["chats"]:
        place = f"/chats/{chat['uin']}"
        if chat["uin"] not in known or (chat["uin"] == nobody and chat["last"]):
            alice.ask("DELETE", place)
            continue
        if chat["unread"]:
            alice.ask("POST", f"{place}/read", {"up_to": chat["last"]["number"]})
        if chat["draft"]:
            alice.ask("PUT", f"{place}/draft", {"draft": ""})


def long_talk(folder: Path, friend: Identity, texts: int) -> None:
    """Put so many texts of a contact into a profile, over some weeks.

    The last answers the first, the one before it a text that was never here.
    """
    with Profile.open(folder) as profile:
        tables = Tables(profile.connection, profile.pins)
        with profile.transaction():
            now = round(time.time() * 1000)
            tables.people.add(friend.uin, now)
            for index in range(texts):
                at = now - (texts - index) * FIVE_MINUTES
                text, text_id = f"text {index}" + " and more words" * (index % 7), index.to_bytes(16)
                reply = (0).to_bytes(16) if index == texts - 1 else b"?" * 16 if index == texts - 2 else None
                tables.texts.receive(friend.uin, friend.fingerprint, text_id, text, reply, at, at, unread=False)
