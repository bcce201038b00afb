"""Reads the golden vectors (messages.json, faults.json, envelopes.json), whose notation their own "about" explains."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uzel.wire
from uzel.errors import Reason
from uzel.session.envelopes import AnyEnvelope, Gate, Hello, OtherEnvelope, Refusal, TextEnvelope
from uzel.wire import Address, Channel, Message

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Vector:
    """Bytes, and the one message they are."""

    name: str
    channels: tuple[Channel, ...]
    data: bytes
    message: Message
    decode_only: bool


@dataclass(frozen=True)
class FaultVector:
    """Bytes that are refused, once `known_after` of them are there."""

    name: str
    channel: Channel
    data: bytes
    known_after: int
    reason: Reason
    before: tuple[Message, ...]


@dataclass(frozen=True)
class EnvelopeVector:
    """The body of an envelope and what is read: a value, a refusal, or the end of the conversation."""

    name: str
    data: bytes
    envelope: AnyEnvelope | None
    refused: Refusal | None
    closes: bool
    read_only: bool


def message_vectors() -> list[Vector]:
    return [
        Vector(
            entry["name"],
            tuple(Channel(name) for name in entry["channels"]),
            _bytes(entry["bytes"]),
            _message(entry["message"]),
            entry.get("decode_only", False),
        )
        for entry in _read("messages.json")
    ]


def fault_vectors() -> list[FaultVector]:
    return [
        FaultVector(
            entry["name"],
            Channel(entry["channel"]),
            _bytes(entry["bytes"]),
            entry["known_after"],
            Reason(entry["reason"]),
            tuple(_message(message) for message in entry.get("before", [])),
        )
        for entry in _read("faults.json")
    ]


def envelope_vectors() -> list[EnvelopeVector]:
    return [
        EnvelopeVector(
            entry["name"],
            _bytes(entry["bytes"]),
            _envelope(entry),
            Refusal(entry["refused"]) if "refused" in entry else None,
            entry.get("closes", False),
            entry.get("read_only", False),
        )
        for entry in _read("envelopes.json")
    ]


def _envelope(entry: dict[str, Any]) -> AnyEnvelope | None:
    number = bytes(range(16))
    match entry:
        case {"hello": said}:
            invite = bytes.fromhex(said["invite"]) if "invite" in said else None
            return Hello(number, said["at"], tuple(said.get("caps", ())), said["agent"], invite, Gate(said["gate"]))
        case {"text": said}:
            reply = bytes.fromhex(said["reply"]) if "reply" in said else None
            return TextEnvelope(number, said["at"], _value(said["text"]), reply)
        case {"other": said}:
            return OtherEnvelope(number, said["at"], said["type"], said.get("text"))
    return None


def _read(name: str) -> list[dict[str, Any]]:
    vectors: list[dict[str, Any]] = json.loads((_FOLDER / name).read_text(encoding="utf-8"))["vectors"]
    return vectors


def _bytes(pieces: list[Any]) -> bytes:
    return b"".join(
        bytes.fromhex(piece) if isinstance(piece, str) else bytes.fromhex(piece["hex"]) * piece["times"]
        for piece in pieces
    )


def _message(entry: dict[str, dict[str, Any]]) -> Message:
    ((name, fields),) = entry.items()
    message: Message = getattr(uzel.wire, name)(**{field: _value(value) for field, value in fields.items()})
    return message


def _value(value: Any) -> Any:
    match value:
        case {"text": text}:
            return text * value["times"]
        case {"join": parts}:
            return "".join(map(_value, parts))
        case {"hex": text}:
            return bytes.fromhex(text) * value.get("times", 1)
        case {"address": [host, port]}:
            return Address(_value(host), port)
        case list():
            return tuple(_value(item) for item in value for _ in range(item.get("times", 1)))
    return value
