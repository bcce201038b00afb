"""What a node, or a core, writes down: one JSON object a line, never content, never a plain UIN or address.

UINs and addresses appear only as a keyed hash, with a random key that is drawn anew every day: a plain hash of 32
bits could be undone. Other nodes are named by their fingerprints: they are servers, not people. Every `Reason` is
counted as well as logged (D6). Counterpart: whoever reads stderr.
"""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime

from uzel.errors import Reason

logger = logging.getLogger("uzel.node")
_KEY_SECONDS = 86_400


class NodeLog:
    """Logs events and counts reasons. `counters` is the live count."""

    def __init__(self, name: str = "uzel.node") -> None:
        self._logger = logging.getLogger(name)
        self.counters: Counter[Reason] = Counter()
        self._key = secrets.token_bytes(32)
        self._key_until = time.monotonic() + _KEY_SECONDS

    def event(
        self,
        event: str,
        reason: Reason | None = None,
        fields: Mapping[str, object] | None = None,
        *,
        level: int = logging.INFO,
    ) -> None:
        """Log `event` with its fields; count `reason`, if there is one."""
        if reason is not None:
            self.counters[reason] += 1
        if self._logger.isEnabledFor(level):
            self._logger.log(level, event, extra={"event": event, "reason": reason, "fields": fields or {}})

    def hidden(self, value: str | int) -> str:
        """The keyed hash of a UIN or an address: the same all day within this process, and nowhere else."""
        now = time.monotonic()
        if now >= self._key_until:
            self._key, self._key_until = secrets.token_bytes(32), now + _KEY_SECONDS
        return hashlib.blake2b(str(value).encode(), key=self._key, digest_size=6).hexdigest()


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (RFC 3339, UTC), level, event, reason, then the event's own fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": getattr(record, "event", record.getMessage()),
        }
        reason = getattr(record, "reason", None)
        if reason is not None:
            line["reason"] = str(reason)
        line.update(getattr(record, "fields", {}))
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def log_to_stderr(level: int = logging.INFO) -> None:
    """Send this process's log to stderr as JSON lines."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
