"""Passphrases that cost nothing: Argon2id takes a fifth of a second each time, on purpose."""

from __future__ import annotations

import pytest

from uzel.store import keys


@pytest.fixture
def cheap_passphrases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "ARGON2_MEMORY_KIB", 8 * keys.ARGON2_LANES)
