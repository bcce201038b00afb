"""The texts for one peer that have not been reported delivered, in order (section 6, D27).

It outlives conversations: a conversation sends from it, marks what went out, and takes off the oldest at each
report; the next conversation starts again at the front. Counterpart: the receiver's `conversation.Inbox`.
A text longer than 65,535 bytes goes as several pieces, split between code points; it counts as delivered when its
last piece is reported.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

MAX_PIECE = 65_535
"""Bytes of UTF-8 that one 30 carries."""
FRAME = 4
"""Bytes of a 30 beside the text: header and size."""


def pieces_of(text: str) -> Iterator[bytes]:
    """Split a text into UTF-8 pieces of at most 65,535 bytes, between code points. An empty text is one piece.

    Raises `UnicodeEncodeError` for a lone surrogate, which UTF-8 cannot carry.
    """
    data = text.encode("utf-8")
    start = 0
    while len(data) - start > MAX_PIECE:
        end = start + MAX_PIECE
        while data[end] & 0xC0 == 0x80:  # a continuation byte: the code point began earlier
            end -= 1
        yield data[start:end]
        start = end
    yield data[start:]


@dataclass(slots=True, eq=False)
class OutgoingText:
    """One text on its way. `on_delivered` is called once, when its last piece has been reported."""

    text: str
    on_delivered: Callable[[], None]
    withdrawn: bool = False
    pieces: deque[bytes] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.pieces.extend(pieces_of(self.text))

    @property
    def size(self) -> int:
        """Bytes on the wire."""
        return sum(len(piece) + FRAME for piece in self.pieces)


class Unreported:
    """The queue. `waiting_bytes` is what it holds, for its owner to bound."""

    def __init__(self) -> None:
        self._texts: deque[OutgoingText] = deque()
        self._in_flight: deque[tuple[OutgoingText, int]] = deque()
        self._next_text = 0
        self._next_piece = 0
        self._in_flight_bytes = 0
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._texts)

    @property
    def waiting_bytes(self) -> int:
        """Bytes of all unreported texts."""
        return self._bytes

    @property
    def in_flight_bytes(self) -> int:
        """Bytes sent in this conversation and not yet reported."""
        return self._in_flight_bytes

    def add(self, text: OutgoingText) -> None:
        """Put a text at the end."""
        self._texts.append(text)
        self._bytes += text.size

    def rewind(self) -> None:
        """A new conversation begins: everything unreported is sent again, first and in order (D27).

        Pieces of a long text that were reported stay reported. Withdrawn texts go now.
        """
        self._in_flight.clear()
        self._in_flight_bytes = 0
        self._next_text = self._next_piece = 0
        self._texts = deque(text for text in self._texts if not text.withdrawn)
        self._bytes = sum(text.size for text in self._texts)

    def withdraw(self, text: OutgoingText) -> None:
        """Never send this text again. What is on its way stays counted, since a report for it may come."""
        text.withdrawn = True
        if all(sent is not text for sent, _ in self._in_flight) and text in self._texts:
            index = self._texts.index(text)
            del self._texts[index]
            self._bytes -= text.size
            if index < self._next_text:
                self._next_text -= 1
            elif index == self._next_text:
                self._next_piece = 0

    def next_piece(self, window: int) -> bytes | None:
        """The next piece to send, or None when nothing is left or the window is full.

        A piece goes when what is in flight stays within `window` bytes, or when nothing else is (D28).
        """
        if self._next_text >= len(self._texts):
            return None
        text = self._texts[self._next_text]
        piece = text.pieces[self._next_piece]
        size = len(piece) + FRAME
        if self._in_flight and self._in_flight_bytes + size > window:
            return None
        self._in_flight.append((text, size))
        self._in_flight_bytes += size
        self._next_piece += 1
        if self._next_piece == len(text.pieces):
            self._next_text += 1
            self._next_piece = 0
        return piece

    def reported(self) -> bool:
        """A 40 came: the oldest piece in flight has arrived. False when nothing was outstanding (ignored, D6)."""
        if not self._in_flight:
            return False
        text, size = self._in_flight.popleft()
        self._in_flight_bytes -= size
        self._bytes -= size
        text.pieces.popleft()
        if text is self._texts[0] and self._next_text == 0 and self._next_piece:
            self._next_piece -= 1
        if not text.pieces:
            self._texts.popleft()
            self._next_text -= 1
            text.on_delivered()
        return True
