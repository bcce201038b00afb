"""Staying online: one login, at the node that its user prefers among those that will have us.

Which node is tried next, and how soon, says `order`; this carries it out, tells the program, and asks for other nodes
when the client roams. A client that had to go to a later node goes back to an earlier one by itself, without a gap: the
new login stands before the old one is left, and the old one is closed once the calls that are set up through it have
come to something. Conversations do not move: they live on where they were begun (D16).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from uzel.client.events import WentOffline, WentOnline
from uzel.client.learned import LearnedNodes, LearnedPins
from uzel.client.login import Login, reason_of
from uzel.client.order import Choice, NodeOrder, Pace
from uzel.client.reaching import ANYWHERE
from uzel.client.reasons import Reasons
from uzel.client.settings import ClientSettings
from uzel.errors import NetworkError, NodeKeyChangedError, NotTrustedError, Reason, TimedOutError, UzelError
from uzel.identity import Identity, Pins
from uzel.names import NodeAddress, NodeReference
from uzel.session.machine import Event, Received
from uzel.session.redial import Redial
from uzel.tls import Side, make_context
from uzel.wire import NodeList

LEAVE_CHECK = 1.0
"""Seconds between looks whether a login that is being left is still needed."""


@dataclass(frozen=True, slots=True)
class LoginUser:
    """Who lives by the logins: what happens on one, whether one is needed, that one is gone, and what to tell."""

    on_events: Callable[[Login, list[Event]], None]
    is_busy: Callable[[Login], bool]
    lost: Callable[[Login], None]
    tell: Callable[[WentOnline | WentOffline], None]
    changed: Callable[[], None]


class Presence:
    """See the module's text. `login` is the one that stands, `failure` why the last attempt came to nothing."""

    def __init__(
        self,
        identity: Identity,
        pins: Pins,
        nodes: tuple[NodeReference, ...],
        settings: ClientSettings,
        counters: Reasons,
        user: LoginUser,
    ) -> None:
        self.login: Login | None = None
        self.failure: UzelError | None = None
        self._identity = identity
        self._pins = pins
        self._learned_pins = LearnedPins(pins)
        self._settings = settings
        self._counters = counters
        self._user = user
        self._learned = LearnedNodes([node.address for node in nodes], lambda n: int(random.random() * n))  # noqa: S311
        self._order = NodeOrder(nodes, self._learned.some)
        self._addresses = {node.address for node in nodes}
        self._distrusted: set[NodeAddress] = set()
        self._redial = Redial(settings.redial)
        self._context = make_context(
            private_key=identity.private_key, certificate=identity.certificate, side=Side.SERVER
        )
        self._retry_now = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        self._patience: float | None = None

    # -- What the client asks ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Go online, and stay; nowhere, when there are no nodes."""
        if not self._addresses:
            return
        self._task = asyncio.get_running_loop().create_task(self._stay_online())

    async def stop(self, within: float | None = None) -> None:
        """Go offline, for good; after so many seconds without saying goodbye."""
        self._patience = within
        tasks = {task for task in (self._task, *self._leaving) if task is not None}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for task in tasks:
            if not task.cancelled():
                task.result()

    def retry_now(self) -> None:
        """Do not wait for the next attempt."""
        self._retry_now.set()

    @property
    def hopeless(self) -> bool:
        """Waiting does not mend it: every node shows another key than before, or the disk takes no pin."""
        if isinstance(self.failure, NotTrustedError):
            return self._distrusted >= self._addresses and not len(self._learned)
        return self.failure is not None and not isinstance(self.failure, NetworkError)

    @property
    def has_other_nodes(self) -> bool:
        """There is more than one node to log in at."""
        return len(self._addresses) + len(self._learned) > 1

    # -- Inside -----------------------------------------------------------------------------------------------

    async def _stay_online(self) -> None:
        while True:
            choice = self._order.next()
            try:
                login = await self._log_in(choice)
            except UzelError as failed:
                error, pace = failed, self._order.failed()
            else:
                error, choice = await self._stay(login, choice)
                pace = self._order.lost(choice)
            self._redial.closed(self._now())
            await self._pause(error, pace)

    async def _log_in(self, choice: Choice) -> Login:
        address = choice.reference.address
        pins, ranges = self._pins, ANYWHERE
        if choice.learned:
            pins, ranges = self._learned_pins, self._learned.ranges_of(address)
        patience = self._settings.hurry if choice.hurry else None
        try:
            async with asyncio.timeout(patience):
                login = await Login.open(choice.reference, pins, self._settings, self._context, self._on_events, ranges)
        except TimeoutError:
            error: UzelError = TimedOutError(f"{address}: no login in {patience} s", reason=Reason.LOGIN_TIMEOUT)
            self._did_not_work(address, error)
            raise error from None
        except UzelError as error:
            self._did_not_work(address, error)
            raise
        self._learned.worked(address)
        self._distrusted.discard(address)
        return login

    def _did_not_work(self, address: NodeAddress, error: UzelError) -> None:
        self._counters.note(reason_of(error))
        self._learned.failed(address, for_good=isinstance(error, NodeKeyChangedError))
        self._distrusted.discard(address)
        if isinstance(error, NotTrustedError) and address in self._addresses:
            self._distrusted.add(address)

    async def _stay(self, login: Login, choice: Choice) -> tuple[UzelError, Choice]:
        """Stay while it lasts, going back to earlier nodes; returns why the last login ended, and where it stood."""
        self._stands(login)
        try:
            while True:
                if (error := await self._while_it_lasts(login)) is not None:
                    self._counters.note(reason_of(error))
                    return error, choice
                found = await self._go_back(login, choice)
                if found is not None:
                    self._leave(login)
                    login, choice = found
                    self._stands(login)
        finally:
            self.login = None
            self._user.lost(login)
            await login.close(self._patience)

    def _stands(self, login: Login) -> None:
        self._redial.online(self._now())
        self.login, self.failure = login, None
        self._user.tell(WentOnline(login.reference.address, self._identity.uin))
        self._user.changed()
        if self._settings.roaming:
            login.request_nodes()

    async def _while_it_lasts(self, login: Login) -> UzelError | None:
        """Why it ended; None when it is time to look at earlier nodes."""
        delay = self._settings.go_back * (0.8 + 0.4 * random.random())  # noqa: S311 - jitter, no secret
        await asyncio.wait([login.closed], timeout=delay)
        return login.closed.result() if login.closed.done() else None

    async def _go_back(self, login: Login, choice: Choice) -> tuple[Login, Choice] | None:
        """Log in at a node that is preferred to this one, if one will have us. The very same node is not asked."""
        for earlier in self._order.before(choice):
            if self._redial.contested or login.closed.done() or self._user.is_busy(login):
                return None
            with suppress(UzelError):
                if self._pins.node(earlier.reference.address) == login.fingerprint:
                    return None
                return await self._log_in(earlier), earlier
        return None

    def _leave(self, login: Login) -> None:
        async def leave() -> None:
            try:
                async with asyncio.timeout(self._settings.call):
                    while not login.closed.done() and self._user.is_busy(login):
                        await asyncio.wait([login.closed], timeout=LEAVE_CHECK)
            except TimeoutError:
                pass  # no call takes longer
            finally:
                self._user.lost(login)
                await login.close(self._patience)

        task = asyncio.get_running_loop().create_task(leave())
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    def _on_events(self, login: Login, events: list[Event]) -> None:
        if self._settings.roaming:
            for event in events:
                if isinstance(event, Received) and isinstance(event.message, NodeList):
                    self._learned.take(event.message.addresses, login.reference.address, login.range)
        self._user.on_events(login, events)

    async def _pause(self, error: UzelError, pace: Pace) -> None:
        """Wait before the next attempt."""
        delay = self._delay(pace)
        self.failure = error
        self._user.tell(WentOffline(str(error.reason), delay, self._redial.contested, error, self.hopeless))
        self._user.changed()
        self._retry_now.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._retry_now.wait(), delay)

    def _delay(self, pace: Pace) -> float:
        fraction = random.random()  # noqa: S311 - jitter, no secret
        if pace is Pace.LATER or self._redial.contested:
            return self._redial.delay(fraction)
        return self._redial.soon(fraction) if pace is Pace.SOON else 0.0

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
