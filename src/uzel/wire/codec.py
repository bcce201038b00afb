"""From a layout to reading and writing: one codec object per message, made once from its row of the table.

A codec first measures (how long is this message, as far as the bytes here tell?), so that the framer judges sizes
before it holds a body, and then decodes a message that is there as a whole. Messages of fixed length skip measuring
and go through one `struct`. Reading wrong bytes raises `MalformedError`, writing wrong values `ValueError`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from operator import attrgetter
from typing import Any, cast

from uzel.errors import Reason
from uzel.wire.fields import (
    Constant,
    Count,
    Layout,
    MalformedError,
    Plain,
    Size,
    Variable,
    measure_address,
    read_address,
    write_address,
)
from uzel.wire.messages import Message, NodeList

_HEADER = 2
_SIZED_HEADER = 4
_LONG_SIZED_HEADER = 6


class Codec:
    """Reads and writes one kind of message. `length` is the whole message's, header included; 0 when it varies."""

    length = 0

    def __init__(self, code: int, cls: type[Message]) -> None:
        self.code = code
        self.header = bytes((code, code))
        self.cls = cast("Callable[..., Message]", cls)

    def measure(self, data: bytes, at: int, have: int) -> int:
        """How many bytes the message at `at` has; a number over `have` means "look again when that many are there"."""
        raise NotImplementedError

    def decode(self, data: bytes, at: int, length: int) -> Message:
        """The message of `length` bytes, as measured, whose header is at `at`."""
        raise NotImplementedError

    def encode(self, message: Message) -> bytes:
        """The message with its header."""
        raise NotImplementedError


class FixedCodec(Codec):
    """A tail of plain fields: everything goes through one `struct`."""

    def __init__(self, code: int, cls: type[Message], fields: tuple[Plain, ...]) -> None:
        super().__init__(code, cls)
        self._reader = _struct("2x", fields)
        self._writer = _struct("2s", fields)
        self._values = _values_of(fields)
        self._opaque = _opaque_lengths(fields)
        self.length = self._reader.size

    def decode(self, data: bytes, at: int, length: int) -> Message:  # noqa: ARG002 - the length is known
        """See `Codec`; nothing can be wrong here."""
        return self.cls(*self._reader.unpack_from(data, at))

    def encode(self, message: Message) -> bytes:
        """See `Codec`."""
        values = self._values(message)
        for index, length in self._opaque:
            if len(values[index]) != length:
                raise ValueError(f"{message!r}: {length} bytes are wanted")
        return _pack(self._writer, message, self.header, *values)


class ConstantCodec(Codec):
    """A tail that is always the same."""

    def __init__(self, code: int, cls: type[Message], constant: Constant) -> None:
        super().__init__(code, cls)
        self._constant = constant
        self.length = _HEADER + len(constant.value)

    def decode(self, data: bytes, at: int, length: int) -> Message:
        """See `Codec`. Other bytes are the constant's own fault."""
        tail = data[at + _HEADER : at + length]
        if tail != self._constant.value:
            raise MalformedError(self._constant.reason, f"code 0x{self.code:02X} followed by {tail.hex(' ')}")
        return self.cls()

    def encode(self, message: Message) -> bytes:  # noqa: ARG002 - it holds nothing
        """See `Codec`."""
        return self.header + self._constant.value


class SizedCodec(Codec):
    """A size, plain fields, then text or bytes to the end."""

    _head = _SIZED_HEADER
    """Bytes of the header and the size field."""
    _size_form = "H"

    def __init__(self, code: int, cls: type[Message], size: Size, fields: tuple[Plain, ...], last: Variable) -> None:
        super().__init__(code, cls)
        self._size = size
        self._reader = _struct(f"{self._head}x", fields)
        self._writer = _struct("2s" + self._size_form, fields)
        self._values = _values_of(fields)
        self._last_value = attrgetter(last.name)
        self._is_text = last.kind == "utf8"

    def measure(self, data: bytes, at: int, have: int) -> int:
        """See `Codec`. SIZE_OUT_OF_RANGE as soon as the size is there."""
        if have < _SIZED_HEADER:
            return _SIZED_HEADER
        size = data[at + 2] | data[at + 3] << 8
        if not self._size.minimum <= size <= self._size.maximum:
            raise _size_fault(self.code, size)
        return _SIZED_HEADER + size

    def decode(self, data: bytes, at: int, length: int) -> Message:
        """See `Codec`. TEXT_NOT_UTF8 for bytes that are not."""
        body = data[at + self._reader.size : at + length]
        if not self._is_text:
            return self.cls(*self._reader.unpack_from(data, at), body)
        try:
            return self.cls(*self._reader.unpack_from(data, at), body.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise MalformedError(Reason.TEXT_NOT_UTF8, f"{error.reason} at byte {error.start}") from None

    def encode(self, message: Message) -> bytes:
        """See `Codec`."""
        value = self._last_value(message)
        body: bytes = value.encode("utf-8") if self._is_text else value
        size = self._reader.size - self._head + len(body)
        if not self._size.minimum <= size <= self._size.maximum:
            limits = f"{self._size.minimum} … {self._size.maximum}"
            raise ValueError(f"{type(message).__name__}: a size of {size} is not within {limits}")
        return _pack(self._writer, message, self.header, size, *self._values(message)) + body


class LongSizedCodec(SizedCodec):
    """The same with a size of four bytes. A class of its own, so that the size of two stays as quick as it is."""

    _head = _LONG_SIZED_HEADER
    _size_form = "I"

    def measure(self, data: bytes, at: int, have: int) -> int:
        """See `Codec`. SIZE_OUT_OF_RANGE as soon as the size is there."""
        if have < _LONG_SIZED_HEADER:
            return _LONG_SIZED_HEADER
        size = int.from_bytes(data[at + 2 : at + 6], "little")
        if not self._size.minimum <= size <= self._size.maximum:
            raise _size_fault(self.code, size)
        return _LONG_SIZED_HEADER + size


class AddressedCodec(Codec):
    """A size that counts itself, plain fields, then one address, whose own type tells the length (D2)."""

    def __init__(self, code: int, cls: type[Message], size: Size, fields: tuple[Plain, ...], last: Variable) -> None:
        super().__init__(code, cls)
        self._size = size
        self._reader = _struct("4x", fields)
        self._writer = _struct("2sH", fields)
        self._values = _values_of(fields)
        self._address = attrgetter(last.name)

    def measure(self, data: bytes, at: int, have: int) -> int:
        """See `Codec`. SIZE_OUT_OF_RANGE when the size is neither the bytes behind it nor those and its own two."""
        if have < _SIZED_HEADER:
            return _SIZED_HEADER
        size = data[at + 2] | data[at + 3] << 8
        if not self._size.minimum <= size <= self._size.maximum:
            raise _size_fault(self.code, size)
        start = self._reader.size
        known = max(have - start, 0)
        length = measure_address(data, at + start, known)
        if length > 2:  # no address is that short: the length is known by now
            behind = start - _SIZED_HEADER + length
            if size not in {behind, behind + 2}:
                raise _size_fault(self.code, size)
        return start + length

    def decode(self, data: bytes, at: int, length: int) -> Message:
        """See `Codec`. ADDRESS_MALFORMED for a name with other characters."""
        start = self._reader.size
        address = read_address(data, at + start, length - start)
        return self.cls(*self._reader.unpack_from(data, at), address)

    def encode(self, message: Message) -> bytes:
        """See `Codec`."""
        body = write_address(self._address(message))
        size = self._writer.size - _HEADER + len(body)
        return _pack(self._writer, message, self.header, size, *self._values(message)) + body


class ListCodec(Codec):
    """A count and that many addresses. Decodes the count alone; the framer takes the addresses one by one (D4)."""

    length = _SIZED_HEADER

    def __init__(self, code: int, cls: type[Message], count: Count) -> None:
        super().__init__(code, cls)
        self._maximum = count.maximum

    def decode(self, data: bytes, at: int, length: int) -> Message:  # noqa: ARG002 - the length is known
        """A list with nothing in it yet and everything to come. SIZE_OUT_OF_RANGE for a count over the maximum."""
        count = data[at + 2] | data[at + 3] << 8
        if count > self._maximum:
            raise _size_fault(self.code, count)
        return self.cls((), count)

    def encode(self, message: Message) -> bytes:
        """See `Codec`. A piece of a list cannot be written."""
        if not isinstance(message, NodeList) or message.to_come:
            raise ValueError("only a whole node list is written")
        if len(message.addresses) > self._maximum:
            raise ValueError(f"a node list holds at most {self._maximum} addresses")
        count = len(message.addresses).to_bytes(2, "little")
        return b"".join((self.header, count, *map(write_address, message.addresses)))


def codec_for(code: int, cls: type[Message], layout: Layout) -> Codec:
    """The codec that a layout asks for. Raises `TypeError` for a layout of no known shape."""
    plain = tuple(field for field in layout if isinstance(field, Plain))
    match layout:
        case (Constant() as constant,):
            return ConstantCodec(code, cls, constant)
        case (Count() as count, Variable(kind="addresses")):
            return ListCodec(code, cls, count)
        case (Size(counts_itself=True) as size, *_, Variable(kind="address") as last):
            return AddressedCodec(code, cls, size, plain, last)
        case (Size(width=4) as size, *_, Variable(kind="utf8" | "bytes") as last):
            return LongSizedCodec(code, cls, size, plain, last)
        case (Size() as size, *_, Variable(kind="utf8" | "bytes") as last):
            return SizedCodec(code, cls, size, plain, last)
        case _ if len(plain) == len(layout):
            return FixedCodec(code, cls, plain)
    raise TypeError(f"code 0x{code:02X}: no codec for this layout")


def _struct(prefix: str, fields: tuple[Plain, ...]) -> struct.Struct:
    orders = {field.big_endian for field in fields}
    if len(orders) > 1:
        raise TypeError("one message mixes both byte orders")
    return struct.Struct((">" if True in orders else "<") + prefix + "".join(field.form for field in fields))


def _values_of(fields: tuple[Plain, ...]) -> Callable[[Message], tuple[Any, ...]]:
    """A function that takes the fields' values out of a message, as a tuple whatever their number."""
    names = [field.name for field in fields]
    if not names:
        return lambda _: ()
    getter = attrgetter(*names)
    if len(names) == 1:
        return lambda message: (getter(message),)
    return getter


def _opaque_lengths(fields: tuple[Plain, ...]) -> tuple[tuple[int, int], ...]:
    # struct would pad or cut these without a word
    return tuple((index, field.opaque_length) for index, field in enumerate(fields) if field.opaque_length)


def _pack(writer: struct.Struct, message: Message, *values: object) -> bytes:
    try:
        return writer.pack(*values)
    except struct.error as error:
        raise ValueError(f"{type(message).__name__}: {error}") from None


def _size_fault(code: int, size: int) -> MalformedError:
    return MalformedError(Reason.SIZE_OUT_OF_RANGE, f"size {size} of code 0x{code:02X}")
