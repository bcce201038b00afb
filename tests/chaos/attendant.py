"""Another program in a profile, on its disk: `attendant.py PROFILE` does one thing for each JSON line that it reads.

`{"do": "write"}` takes SQLite's lock for writing, so that nobody else can commit; `{"do": "read"}` takes a snapshot, so
that the log cannot be put into the file and grows; `{"do": "texts", "peer": N}` tells all texts with N as they stand on
the disk, `{"do": "ids", …}` only their ids and states. The first two last until the process is ended; what the disk
refuses is told as `refused`. Counterparts: `stage`, `faults`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from uzel.errors import ProfileError, StorageError
from uzel.names import Uin
from uzel.store.cipher import CipherFile, Mode
from uzel.store.keys import read_key_file, read_salt
from uzel.store.profile import KEY_FILE
from uzel.store.profile_names import DATABASE
from uzel.store.records import TextRecord
from uzel.store.tables import Tables


def opened(folder: Path, mode: Mode) -> CipherFile:
    """The database, under the key that lies beside it; nobody holds it by that."""
    return CipherFile(folder / DATABASE, read_key_file(folder / KEY_FILE, read_salt(folder / DATABASE)), mode)


def hold(folder: Path, how: str) -> CipherFile:
    """Begin what is never ended."""
    file = opened(folder, Mode.WRITE if how == "write" else Mode.READ)
    with file.errors():
        file.db.execute("BEGIN IMMEDIATE" if how == "write" else "BEGIN")
        file.db.execute("SELECT count(*) FROM texts").fetchall()
    return file


def told(folder: Path, peer: Uin, *, whole: bool) -> Iterator[list[object]]:
    """The texts with the peer, as `checks.Kept` has them."""
    file = opened(folder, Mode.READ)
    with closing(file), file.errors():
        for text in Tables(file.db).texts.export(peer):
            yield _told(text, whole=whole)


def _told(text: TextRecord, *, whole: bool) -> list[object]:
    return [text.number, text.outgoing, text.id.hex(), text.text if whole else "", str(text.state)]


def answer(folder: Path, wish: dict[str, Any], held: list[CipherFile]) -> dict[str, Any]:
    if wish["do"] in {"write", "read"}:
        held.append(hold(folder, wish["do"]))
        return {"event": "holds"}
    texts = told(folder, Uin(wish["peer"]), whole=wish["do"] == "texts")
    return {"event": "texts", "texts": list(texts)}


def main(folder: Path) -> None:
    held: list[CipherFile] = []
    for line in sys.stdin:
        try:
            said = answer(folder, json.loads(line), held)
        except (StorageError, ProfileError) as error:
            said = {"event": "refused", "reason": str(error)}
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
