"""What a client tells its program: going online and offline, and calls that arrive."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic

from uzel.client.carried import Carried
from uzel.errors import UzelError
from uzel.names import NodeAddress, Uin


@dataclass(frozen=True, slots=True)
class WentOnline:
    """Logged in at this node as this user; without a `WentOffline` in between, it went back to an earlier node."""

    node: NodeAddress
    uin: Uin


@dataclass(frozen=True, slots=True)
class WentOffline:
    """Not logged in any more, or an attempt failed; the next one comes in `retry_in` seconds.

    `contested`: another program seems to use this number (section 8, "redial"). `hopeless`: waiting does not mend it,
    because every node shows another key than before, or the disk takes no pin.
    """

    reason: str
    retry_in: float
    contested: bool
    error: UzelError
    hopeless: bool = False


class ArrivedCall(Generic[Carried]):
    """Someone calls. `uin` is only claimed: who it is shows when `accept` has completed.

    Answer with `accept` or `refuse`; a call that is not answered within the node's ring time ends by itself.
    """

    def __init__(
        self,
        uin: Uin,
        accept: Callable[[], Awaitable[Carried]],
        refuse: Callable[[], None],
        is_ringing: Callable[[], bool],
    ) -> None:
        self.uin = uin
        self._accept = accept
        self._refuse = refuse
        self._is_ringing = is_ringing

    @property
    def is_ringing(self) -> bool:
        """It still waits for an answer: the caller has not given up, and nobody answered (`Client.call` does, too)."""
        return self._is_ringing()

    async def accept(self) -> Carried:
        """Accept, and complete the conversation's handshake.

        Raises `UnavailableError` when it does not ring any more, `NotTrustedError` when it is not who it claims to
        be, and any `NetworkError`.
        """
        return await self._accept()

    def refuse(self) -> None:
        """Say no; nothing when it does not ring any more."""
        self._refuse()
