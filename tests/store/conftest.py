"""The database of texts and people, in memory and as a real encrypted file: every test of its tables runs on both.

And passphrases that cost nothing: Argon2id takes a fifth of a second each time, on purpose.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from store.message_tables import Database, encrypted, in_memory
from uzel.store import keys


@pytest.fixture
def cheap_passphrases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "ARGON2_MEMORY_KIB", 8 * keys.ARGON2_LANES)


@pytest.fixture(params=["memory", "encrypted"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Within a transaction, as everything is used."""
    connection = in_memory() if request.param == "memory" else encrypted(tmp_path / "profile.db")
    connection.execute("BEGIN IMMEDIATE")
    yield connection
    assert connection.in_transaction, "a repository ended its caller's transaction"
    connection.execute("COMMIT")
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()
