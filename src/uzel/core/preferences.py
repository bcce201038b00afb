"""What the person prefers, on all devices alike: how the page looks, and how long texts of new chats are kept.

Rules: chosen whole; on disk when it is answered, and told in the journal (`preferences`), so that every window follows.
How long texts are kept is given to a contact when it becomes one, by `works.befriend` and nothing else; what it has
then is its own. Counterparts: `own`, which chooses; the page, which looks so.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from uzel.store.options import Option

MOST_RETENTION = 10**13
"""Milliseconds: three centuries."""


class Preferences(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the person wants the page, on all devices alike. Retention: of new chats, in milliseconds; None: for ever."""

    language: Literal["auto", "en", "ru"] = "auto"
    theme: Literal["auto", "light", "dark"] = "auto"
    notifications: bool = False
    retention_default_ms: Annotated[int, msgspec.Meta(ge=1, le=MOST_RETENTION)] | None = None


PREFERENCES: Option[Preferences] = Option("preferences", Preferences, Preferences())
