"""Conversations whose every byte says whose it is.

A stream is a row of records, each with the number of its conversation, its direction and its offset, and filled with a
pattern that follows from these. So whoever reads a byte knows whether it is meant for him. The two first records stand
for end-to-end TLS: each side proves who it is with a secret that no node ever learns. A `Plan` says who sends how much
and who ends it; a `Talk` is one side, over its data connection. Counterparts: `people.Person`, `checks`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol

from sim.clock import Clock
from sim.data import DataLine

MAGIC = b"UZ"
HEADER = struct.Struct(">2sBBIII")
"""Magic, kind, direction, conversation, offset (or token), length of what follows."""
PROOF = struct.Struct(">II8s")
"""Caller, callee, the sender's secret."""
MOST = 16384
"""Longest record, without its header."""
_PATTERN = bytes(range(256)) * (MOST // 256 + 2)

FIRST_BYTE = 30.0
HANDSHAKE = 10.0
PING = 5.0


class Kind(IntEnum):
    """Of a record."""

    HELLO = 1
    ANSWER = 2
    DATA = 3
    PING = 4
    PONG = 5


def pattern(conversation: int, direction: int, offset: int, length: int) -> bytes:
    """What a data record at this offset is filled with."""
    start = (conversation * 31 + direction * 17 + offset) % 256
    return _PATTERN[start : start + length]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a conversation does.

    caller_sends, callee_sends: bytes. record: bytes in one record. ends: who ends it, the caller (True) or the callee.
    how: "sent" (right behind its own last byte), "received" (when it has everything), "later" (after `after` seconds,
    in order), "reset" (likewise, without order). reads_caller, reads_callee: bytes a second, 0 for at once.
    again: how many seconds after the end the pair calls anew, None for not; by_ender: who then calls.
    """

    caller_sends: int = 0
    callee_sends: int = 0
    record: int = 1000
    ends: bool = True
    how: str = "received"
    after: float = 0.0
    reads_caller: float = 0.0
    reads_callee: float = 0.0
    again: float | None = None
    by_ender: bool = True
    next: Plan | None = None


@dataclass(slots=True, eq=False)
class Conversation:
    """What both sides and the checkers know of one conversation. `troubles`: what may have ended or harmed it."""

    number: int
    caller: int
    callee: int
    plan: Plan
    troubles: list[str] = field(default_factory=list)
    caller_talk: Talk | None = None
    callee_talk: Talk | None = None
    ended_at: float | None = None

    @property
    def is_over(self) -> bool:
        """Both sides have ended; a callee that never came counts as ended."""
        return all(talk is None or talk.is_over for talk in (self.caller_talk, self.callee_talk))


class TalkOwner(Protocol):
    """Whose side it is."""

    uin: int
    secret: bytes

    def secret_of(self, uin: int) -> bytes:
        """What only that user knows, to compare with."""

    def conversation(self, number: int) -> Conversation | None:
        """The conversation of that number, if there is one."""

    def talk_began(self, talk: Talk) -> None:
        """First bytes of the other side came (callee)."""

    def talk_stands(self, talk: Talk) -> None:
        """Both know who the other is."""

    def talk_ended(self, talk: Talk, why: str) -> None:
        """It is over: "wrong", "end", "timeout", "closed" (by its own plan) or "given up"."""

    def bad_bytes(self, talk: Talk, what: str, *, genuine: bool) -> None:
        """Bytes came that do not belong here; `genuine`: a client wrote them."""


class Talk:
    """One side of a conversation. `peer` is the other user as the node named it; `got` counts bytes.

    is_mute: it never says who it is.
    """

    def __init__(
        self,
        clock: Clock,
        owner: TalkOwner,
        peer: int,
        line: DataLine,
        conversation: Conversation | None,
        *,
        is_mute: bool = False,
    ) -> None:
        self._is_mute = is_mute
        self._clock = clock
        self._owner = owner
        self.peer = peer
        self.line = line
        self.conversation = conversation
        self.is_caller = conversation is not None
        self.stands = False
        self.is_over = False
        self.closed_in_order = False
        self.got = 0
        self._began = False
        self._buffer = b""
        self._offset_in = 0
        self._offset_out = 0
        self._to_send = 0
        self._to_get = 0
        self._pings = 0
        self._ping: Callable[[bool], None] | None = None
        self._reads = 0.0
        if conversation is not None:
            conversation.caller_talk = self
        line.down.on_data = self._arrived
        line.down.on_end = self._ended
        line.up.on_drained = self._send_more

    def start(self) -> None:
        """The 20 has been said."""
        if self.is_over:
            return
        if self.conversation is not None:
            self._write(Kind.HELLO, PROOF.pack(self._owner.uin, self.peer, self._owner.secret))
            self._clock.after(HANDSHAKE, self._handshake_over)
        else:
            self._clock.after(FIRST_BYTE, self._first_byte_over)

    def ping(self, answer: Callable[[bool], None]) -> None:
        """Is the other side there? (D13)"""
        self._ping = answer
        self._pings += 1
        self._write(Kind.PING, offset=self._pings)
        self._clock.after(PING, self._ping_over, self._pings)

    def close(self, *, in_order: bool = True, why: str = "closed") -> None:
        """End it from this side."""
        if self.is_over:
            return
        self.closed_in_order = in_order
        if in_order:
            self.line.client_close()
        else:
            self.line.client_abort()
        self._over(why)

    # -- Sending ----------------------------------------------------------------------------------------------

    def _write(self, kind: Kind, payload: bytes = b"", offset: int = 0) -> None:
        number = self.conversation.number if self.conversation is not None else 0
        if self._is_mute:
            return
        self.line.up.write(HEADER.pack(MAGIC, kind, self.is_caller, number, offset, len(payload)) + payload)

    def _send_more(self) -> None:
        if not self.stands or self.is_over or self.conversation is None:
            return
        plan = self.conversation.plan
        while self._offset_out < self._to_send and not self.line.up.unsent:
            length = min(plan.record, self._to_send - self._offset_out)
            filling = pattern(self.conversation.number, self.is_caller, self._offset_out, length)
            self._write(Kind.DATA, filling, self._offset_out)
            self._offset_out += length
        self._look_for_end()

    def _look_for_end(self) -> None:
        assert self.conversation is not None
        plan = self.conversation.plan
        if plan.ends is not self.is_caller or self._offset_out < self._to_send:
            return
        if plan.how == "sent" or (plan.how == "received" and self._offset_in >= self._to_get):
            self.close()

    # -- Receiving --------------------------------------------------------------------------------------------

    def _arrived(self, data: bytes) -> None:
        self.got += len(data)
        if not self._began:
            self._began = True
            if not self.is_caller:
                self._owner.talk_began(self)
                self._clock.after(HANDSHAKE, self._handshake_over)
        if self._reads:
            self.line.down.paused = True
            self._clock.after(len(data) / self._reads, self.line.down.read_on)
        buffer = self._buffer + data if self._buffer else data
        at, end = 0, len(buffer)
        while end - at >= HEADER.size and not self.is_over:
            magic, kind, direction, number, offset, length = HEADER.unpack_from(buffer, at)
            if magic != MAGIC:
                break
            behind = at + HEADER.size + length
            if behind > end:
                break
            self._record(kind, direction, number, offset, buffer[at + HEADER.size : behind])
            at = behind
        self._buffer = buffer[at:]
        if self._buffer and not self.is_over and self._buffer[:2] != MAGIC[: len(self._buffer)]:
            self._bad(f"{self._buffer[:16].hex()} is no record", genuine=False)

    def _record(self, kind: int, direction: int, number: int, offset: int, payload: bytes) -> None:
        conversation = self.conversation
        if conversation is None:
            self._take_hello(kind, number, payload)
        elif number != conversation.number or direction == self.is_caller:
            self._bad(f"a record of conversation {number}, direction {direction}", genuine=True)
        elif not self.stands:
            if kind != Kind.ANSWER or PROOF.unpack(payload)[2] != self._owner.secret_of(self.peer):
                self._bad(f"a record of kind {kind} before the answer", genuine=True)
            else:
                self._stand()
        elif kind == Kind.DATA:
            self._take_data(offset, payload)
        elif kind == Kind.PING:
            self._write(Kind.PONG, offset=offset)
        elif kind == Kind.PONG:
            if offset == self._pings and self._ping is not None:
                answer, self._ping = self._ping, None
                answer(True)
        else:
            self._bad(f"a record of kind {kind} in the middle", genuine=True)

    def _take_hello(self, kind: int, number: int, payload: bytes) -> None:
        if kind != Kind.HELLO:
            self._bad(f"a record of kind {kind}, conversation {number}, before the hello", genuine=True)
            return
        caller, callee, secret = PROOF.unpack(payload)
        found = self._owner.conversation(number)
        if caller != self.peer or callee != self._owner.uin or secret != self._owner.secret_of(caller):
            self._bad(f"the hello of {caller} to {callee}, conversation {number}", genuine=True)
        elif found is None or found.callee_talk is not None:
            self._bad(f"a second hello of conversation {number}", genuine=True)
        else:
            self.conversation = found
            found.callee_talk = self
            self._write(Kind.ANSWER, PROOF.pack(caller, callee, self._owner.secret))
            self._stand()

    def _take_data(self, offset: int, payload: bytes) -> None:
        assert self.conversation is not None
        if offset != self._offset_in:
            self._bad(f"offset {offset} where {self._offset_in} is next", genuine=True)
        elif payload != pattern(self.conversation.number, not self.is_caller, offset, len(payload)):
            self._bad(f"other bytes at offset {offset}", genuine=True)
        else:
            self._offset_in += len(payload)
            self._look_for_end()

    def _stand(self) -> None:
        assert self.conversation is not None
        plan = self.conversation.plan
        self.stands = True
        self._to_send, self._to_get = plan.caller_sends, plan.callee_sends
        self._reads = plan.reads_caller
        if not self.is_caller:
            self._to_send, self._to_get = self._to_get, self._to_send
            self._reads = plan.reads_callee
        self._owner.talk_stands(self)
        if plan.ends is self.is_caller and plan.how in {"later", "reset"}:
            self._clock.after(plan.after, self._planned_end, plan.how == "later")
        self._send_more()

    def _planned_end(self, in_order: bool) -> None:
        self.close(in_order=in_order)

    # -- The end ----------------------------------------------------------------------------------------------

    def _bad(self, what: str, *, genuine: bool) -> None:
        self._owner.bad_bytes(self, what, genuine=genuine)
        self.line.client_abort()
        self._over("wrong")

    def _ended(self) -> None:
        if not self.is_over:
            self.line.client_close()
            self._over("end")

    def _first_byte_over(self) -> None:
        if not self._began:
            self.close(in_order=False, why="timeout")

    def _handshake_over(self) -> None:
        if not self.stands:
            self.close(in_order=False, why="timeout")

    def _ping_over(self, number: int) -> None:
        if number == self._pings and self._ping is not None:
            answer, self._ping = self._ping, None
            answer(False)

    def _over(self, why: str) -> None:
        self.is_over = True
        if self._ping is not None:
            answer, self._ping = self._ping, None
            answer(False)
        self._owner.talk_ended(self, why)
