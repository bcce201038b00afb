"""Texts of a profile: the outbox and the inbox, in its database (promise 1, issue 4's delivery).

Rules. Every verb runs inside the caller's transaction, so that what belongs together is committed together: a text that
came with its id, its unread mark and what is told of it. A text's number is its place in the outbox and in the chat;
numbers only grow; what is tried again after it failed goes to the end and gets a new one. A state changes only where
that is true: nothing that was never sent is delivered, and what was delivered is never anything else. A verb that names
a text that is gone, or in another state, changes nothing and says so. An id that came from a key is shown once, for as
long as the text is kept and 90 days more (section 6). Counterparts: `uzel.core`, which decides and commits; `history`,
which reads and deletes; `search`, which knows the words.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from itertools import islice

from uzel.names import Fingerprint, Uin
from uzel.store.history import History
from uzel.store.records import TextRecord, TextState
from uzel.store.text_rows import text_record

LATEST = 253_402_300_799_999
"""The last millisecond of the year 9999. A sender's clock is taken as it is between 1970 and this: later times have no
printed form."""
ENVELOPE = 0x31
"""The code of an envelope: a text once sent under it is sent again only under it (section 6)."""
_CODES = (0x30, ENVELOPE)

_ADD = """
    INSERT INTO texts (
        chat, outgoing, id, sender, reply, at, stored_at, state, changed_at, sent_as, unread, handled, text
    )
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_OWN_ID = """
    INSERT INTO own_ids VALUES (1, ?) ON CONFLICT DO UPDATE SET last = excluded.last WHERE excluded.last > last
"""
_LAST_ID = "SELECT last FROM own_ids"
_HAS_OWN = "SELECT 1 FROM texts WHERE chat = ? AND id = ? AND outgoing = 1"

_SENDER = "SELECT key FROM senders WHERE fingerprint = ?"
_ADD_SENDER = "INSERT INTO senders (fingerprint) VALUES (?)"
_SEE = "INSERT INTO seen (sender, id) VALUES (?, ?) ON CONFLICT DO NOTHING"
_HAS_SEEN = "SELECT 1 FROM seen WHERE sender = (SELECT key FROM senders WHERE fingerprint = ?) AND id = ?"
_FORGET = """
    DELETE FROM seen WHERE (sender, id) IN (SELECT sender, id FROM seen WHERE forget_at < ? ORDER BY forget_at LIMIT ?)
"""

_WAITING = """
    SELECT * FROM text_records
    WHERE chat = ? AND state IN ('queued', 'sending') AND number > ? ORDER BY number
"""
_IS_WAITING = "SELECT 1 FROM texts WHERE chat = ? AND state IN ('queued', 'sending') AND number > ?"
_CHATS_WAITING = "SELECT uin FROM chats WHERE waiting > 0 ORDER BY uin"
_SENT_AS = "SELECT sent_as FROM texts WHERE number = ? AND state IN ('queued', 'sending')"
_SENDING = "UPDATE texts SET state = 'sending', sent_as = ?, changed_at = ? WHERE number = ?"
_ON_THEIR_WAY = """
    SELECT number FROM texts
    WHERE chat = ? AND state IN ('queued', 'sending') AND state = 'sending' ORDER BY number
"""
_REQUEUE = """
    UPDATE texts SET state = 'queued', changed_at = ?
    WHERE chat = ? AND state IN ('queued', 'sending') AND state = 'sending'
"""
_DELIVERED = """
    UPDATE texts SET state = 'delivered', reason = '', changed_at = ?
    WHERE number = ? AND sent_as <> 0 AND state <> 'delivered'
"""
_FAILED = """
    UPDATE texts SET state = 'failed', reason = ?, changed_at = ? WHERE number = ? AND state IN ('queued', 'sending')
"""
_CANCEL = """
    UPDATE texts SET state = 'cancelled', changed_at = ?
    WHERE number = ? AND (state = 'queued' OR (state = 'sending' AND ?))
"""

_UNHANDLED = "SELECT * FROM text_records WHERE handled = 0 AND number > ? ORDER BY number LIMIT ?"
_LAST_NUMBER = "SELECT seq FROM sqlite_sequence WHERE name = 'texts'"
_HANDLED = "UPDATE texts SET handled = 1 WHERE number = ? AND handled = 0"


class Texts(History):
    """See the module's text. What the disk refuses passes through (`connection`)."""

    # -- Out --------------------------------------------------------------------------------------------------

    def queue(self, chat: Uin, text_id: bytes, text: str, reply: bytes | None, at: int, now: int) -> TextRecord:
        """Put a text of ours at the end of the chat's outbox.

        Raises `ValueError` when the chat has a text of ours with this id already, for the peer would never show the
        second, and for a text that is no Unicode (lone surrogates).
        """
        if self._db.execute(_HAS_OWN, (chat, text_id)).fetchone():
            raise ValueError("the chat has a text of ours with this id")
        state = TextState.QUEUED
        record = self._add(TextRecord(0, chat, True, text_id, text, reply, at, now, state, "", now, 0, False, True))
        self._db.execute(_OWN_ID, (text_id,))
        return record

    def last_id(self) -> bytes | None:
        """The greatest id that a queued text ever had, deleted ones too: the next is to be greater (UUIDv7 grow)."""
        row = self._db.execute(_LAST_ID).fetchone()
        return row[0] if row else None

    def waiting(self, chat: Uin, limit: int, after: int = 0, *, most_bytes: int | None = None) -> list[TextRecord]:
        """The next texts to be sent, queued or already on their way, in order, behind the number `after`.

        At most `limit`, and `most_bytes` of UTF-8 together; a larger first one comes alone.
        """
        texts: list[TextRecord] = []
        left = most_bytes
        # A LIMIT that is bound would have SQLite plan the statement anew each time, which takes longer than it does.
        with closing(self._db.execute(_WAITING, (chat, after))) as rows:
            for text in map(text_record, islice(rows, limit)):
                if left is not None:
                    left -= len(text.text.encode())
                    if left < 0 and texts:
                        break
                texts.append(text)
        return texts

    def is_waiting(self, chat: Uin, after: int = 0) -> bool:
        """Whether `waiting` would give anything."""
        return self._db.execute(_IS_WAITING, (chat, after)).fetchone() is not None

    def chats_waiting(self) -> list[Uin]:
        """Whom texts wait for."""
        return [Uin(uin) for (uin,) in self._db.execute(_CHATS_WAITING)]

    def sending(self, number: int, code: int, now: int) -> bool:
        """It goes out under this code. False when it does not wait any more: then it is not to be sent.

        Raises `ValueError` for another code than 0x30 and 0x31, and for 0x30 after 0x31.
        """
        if code not in _CODES:
            raise ValueError(f"a text is sent as 0x30 or 0x31, not as {code:#x}")
        row = self._db.execute(_SENT_AS, (number,)).fetchone()
        if row is None:
            return False
        if row[0] == ENVELOPE != code:
            raise ValueError("what was sent in an envelope is sent again only in one")
        return self._changes(_SENDING, (code, now, number))

    def requeue(self, chat: Uin, now: int) -> list[int]:
        """The conversation ended: what was on its way waits again, in its old place. Returns the numbers, in order."""
        numbers = self._numbers(_ON_THEIR_WAY, (chat,))
        self._db.execute(_REQUEUE, (now, chat))
        return numbers

    def delivered(self, number: int, now: int) -> bool:
        """The peer has it on disk. True also for one that waits again, failed or was cancelled since: it did arrive.

        False when it was never sent, is delivered already, or is gone.
        """
        return self._changes(_DELIVERED, (now, number))

    def failed(self, number: int, reason: str, now: int) -> bool:
        """It is not tried any more, for this reason. False when it does not wait."""
        return self._changes(_FAILED, (reason, now, number))

    def cancel(self, number: int, now: int, *, force: bool = False) -> bool:
        """Take it back. False when it does not wait, or is on its way and there is no `force`: it may arrive still."""
        return self._changes(_CANCEL, (now, number, force))

    def retry(self, number: int, now: int) -> TextRecord | None:
        """Queue what failed or was cancelled once more: at the end, under a new number and its old id.

        None when it did neither. The old number is gone.
        """
        old = self.get(number)
        if old is None or old.state not in {TextState.FAILED, TextState.CANCELLED}:
            return None
        self._remove([number], now)
        return self._add(replace(old, state=TextState.QUEUED, reason="", changed_at=now))

    # -- In ---------------------------------------------------------------------------------------------------

    def receive(
        self,
        chat: Uin,
        fingerprint: Fingerprint,
        text_id: bytes,
        text: str,
        reply: bytes | None,
        at: int,
        now: int,
        *,
        unread: bool = True,
        handled: bool = False,
    ) -> TextRecord | None:
        """Keep a peer's text and its id. None when this key sent this id before: it is reported again, not shown.

        `at` is the sender's word, brought between 1970 and `LATEST`. `handled`: no program is to acknowledge it.
        """
        sender = self._sender(fingerprint)
        if not self._changes(_SEE, (sender, text_id)):
            return None
        return self._received(chat, text_id, text, reply, at, now, sender=sender, unread=unread, handled=handled)

    def receive_base(
        self, chat: Uin, made_id: bytes, text: str, at: int, now: int, *, unread: bool = True, handled: bool = False
    ) -> TextRecord:
        """Keep a text of a base peer, which gives no ids: a repeat is a new text (D27). The caller makes the id."""
        return self._received(chat, made_id, text, None, at, now, sender=None, unread=unread, handled=handled)

    def has_seen(self, fingerprint: Fingerprint, text_id: bytes) -> bool:
        """Whether `receive` would give None."""
        return self._db.execute(_HAS_SEEN, (fingerprint.raw, text_id)).fetchone() is not None

    def forget_seen(self, now: int, limit: int = 10_000) -> int:
        """Forget ids whose texts were deleted more than 90 days ago, at most so many. Returns how many."""
        return self._db.execute(_FORGET, (now, limit)).rowcount

    def unhandled(self, limit: int, after: int = 0) -> list[TextRecord]:
        """Received texts that no program has acknowledged, in order, behind the number `after`."""
        return self._records(_UNHANDLED, (after, limit))

    def handled(self, number: int) -> bool:
        """A program has acknowledged it. False when there was nothing to acknowledge."""
        return self._changes(_HANDLED, (number,))

    def last_number(self) -> int:
        """The greatest number that a text ever had, a deleted one too; 0 before the first."""
        row = self._db.execute(_LAST_NUMBER).fetchone()
        return row[0] if row else 0

    # -- Within -----------------------------------------------------------------------------------------------

    def _received(
        self,
        chat: Uin,
        text_id: bytes,
        text: str,
        reply: bytes | None,
        at: int,
        now: int,
        *,
        sender: int | None,
        unread: bool,
        handled: bool,
    ) -> TextRecord:
        at = min(max(at, 0), LATEST)
        state = TextState.RECEIVED
        record = TextRecord(0, chat, False, text_id, text, reply, at, now, state, "", now, 0, unread, handled)
        return self._add(record, sender)

    def _add(self, text: TextRecord, sender: int | None = None) -> TextRecord:
        """Give it a number, the next one, and make it findable."""
        values = (
            text.chat, text.outgoing, text.id, sender, text.reply, text.at, text.stored_at, text.state.value,
            text.changed_at, text.sent_as, text.unread, text.handled, text.text,
        )  # fmt: skip
        number = self._db.execute(_ADD, values).lastrowid
        self._search.add(number, text.chat, text.text)
        return replace(text, number=number)

    def _sender(self, fingerprint: Fingerprint) -> int:
        row = self._db.execute(_SENDER, (fingerprint.raw,)).fetchone()
        if row:
            return int(row[0])
        return self._db.execute(_ADD_SENDER, (fingerprint.raw,)).lastrowid
