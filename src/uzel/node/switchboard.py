"""The node's decisions: who is online, who calls whom, where users are, what links carry.

One pure object: events in (the methods that take `now`), effects out (`take_effects`, see `effects`). It knows
connections only by number. The asyncio shell (`service.py`) runs it over sockets; tests/sim runs whole federations of
it over nothing. It is put together from `calls`, `links` and `finder`; what may be said is the table `policy.POLICY`.
Rules of sections 4 and 5. Counterparts: every client's `session.control.ClientControl`, and the other nodes.
"""

from __future__ import annotations

from collections.abc import Callable

from uzel.errors import Reason
from uzel.names import Fingerprint, NodeAddress, NodeReference, range_of
from uzel.node.calls import Calls
from uzel.node.context import Context
from uzel.node.effects import Close, Effect, Send
from uzel.node.finder import Candidate, Finder
from uzel.node.limits import RateLimiter
from uzel.node.link import Link
from uzel.node.links import Links
from uzel.node.policy import RateName, rule_for
from uzel.node.registry import ConnectionId, LocalClient, Registry
from uzel.node.settings import SwitchboardSettings
from uzel.node.status import DialStatus, Direction, LinkStatus, NodeStatus
from uzel.session.link_queue import Pair
from uzel.session.machine import TokenSource
from uzel.wire import (
    Accept,
    Call,
    CallReady,
    CallRequest,
    Channel,
    DataHello,
    FoundHere,
    FoundInCache,
    Message,
    NoConversation,
    NodeList,
    NodeListRequest,
    Ping,
    Pong,
    Refuse,
    RelayedData,
    Search,
)


class Switchboard:
    """See the module's text. Not thread-safe; times must not go backwards.

    `own` is this node's fingerprint; `tokens` gives two random bytes, `chance` a random number from 0 up to 1.
    """

    def __init__(
        self,
        settings: SwitchboardSettings,
        own: Fingerprint,
        *,
        tokens: TokenSource,
        chance: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._context = Context(settings, own, tokens, chance)
        self._registry = Registry()
        self._links = Links(self._context, self)
        self._finder = Finder(self._context, self._links, self, self._is_here)
        self._calls = Calls(self._context, self._registry, self._links, self._finder)
        self._tidy_at = 0.0
        self._login_rate: RateLimiter[int] = RateLimiter(settings.logins)
        self._rates: dict[RateName, RateLimiter[int | Fingerprint]] = {
            RateName.CALLS: RateLimiter(settings.calls),
            RateName.LINK_CALLS: RateLimiter(settings.link_calls),
            RateName.LINK_SEARCHES: RateLimiter(settings.search.searches_of_link),
            RateName.LISTS: RateLimiter(settings.links.lists),
        }

    # -- What the shell may ask -------------------------------------------------------------------------------

    def take_effects(self) -> list[Effect]:
        """Everything to do since the last time, in order."""
        effects, self._context.effects = self._context.effects, []
        return effects

    def deadline(self) -> float | None:
        """When `on_timeout` wants to be called."""
        first, second = self._calls.deadline(), self._context.timers.next()
        if first is None or second is None:
            return first if second is None else second
        return min(first, second)

    def counts(self) -> dict[str, int]:
        """How much of everything there is now; with nobody connected all is zero but for timers."""
        links = self._links.all()
        return {
            "clients": len(self._registry),
            **self._calls.counts(),
            "links": len(links),
            "dials": len(self._links.dialler),
            "fences": sum(len(link.fences) for link in links),
            "flows": sum(link.queue.flows for link in links),
            "queued": sum(len(link.queue) for link in links),
            "searches": len(self._finder),
            "locations": len(self._finder.locations),
            "known_nodes": len(self._links.known),
            "timers": len(self._context.timers),
        }

    @property
    def stats(self) -> dict[str, int]:
        """What was counted since the start, for the operator and for measuring."""
        return {**self._context.stats, "cache_size": len(self._finder.locations)}

    def links(self, now: float) -> list[LinkStatus]:
        """Every link, for the operator."""
        return [self._link_status(link, now) for link in self._links.all()]

    def dialling(self, now: float) -> list[DialStatus]:
        """The configured nodes that have no link yet, and the dials under way."""
        return [
            DialStatus(
                address=known.address,
                retry_in=None if self._links.dialler.is_dialling(known) else max(0.0, known.retry_at - now),
                last_error=known.last_error,
            )
            for known in self._links.dialler.missing()
        ]

    def nodes(self) -> list[NodeStatus]:
        """Every known node address, for the operator."""
        return [
            NodeStatus(
                address=known.address,
                fingerprint=known.fingerprint or known.pinned,
                configured=known.configured,
                proven=known.proven,
                last_answered=known.answered,
                failures=known.failures,
                last_error=known.last_error,
            )
            for known in self._links.known
        ]

    # -- Events: clients --------------------------------------------------------------------------------------

    def client_online(self, connection: ConnectionId, uin: int, network: str, now: float) -> bool:
        """A client has proven who it is. False when its logins are too many: the connection is to be closed."""
        if not self._login_rate.take(uin, now):
            self._context.do(Close(connection, Reason.LOGIN_RATE))
            return False
        older = self._registry.user(uin)
        if older is not None:
            self._leave(older, now)
            self._context.do(Close(older.connection, Reason.REPLACED))
        self._registry.add(LocalClient(uin, connection, network))
        self._context.note("client_online", caller=uin)
        self._calls.came_online(uin, now)
        self._finder.client_online(uin, now)
        return True

    def client_offline(self, connection: ConnectionId, now: float) -> None:
        """A control connection ended: its calls in set-up end, its conversations live on (D16)."""
        client = self._registry.connection(connection)
        if client is not None:
            self._leave(client, now)
            self._context.note("client_offline", caller=client.uin)

    def client_message(self, connection: ConnectionId, message: Message, now: float) -> None:
        """A message other than a pong came on a control connection."""
        client = self._registry.connection(connection)
        if client is None:
            return
        within = self._within_rate(Channel.CONTROL_TO_NODE, message, client.uin, now)
        match message:
            case Call(callee=callee):
                self._calls.call(client, callee, within, now)
            case Accept(caller=caller):
                self._calls.accept(client, caller, now)
            case Refuse(caller=caller):
                self._calls.refuse(client, caller, now)
            case Ping(token=token):
                self._context.do(Send(connection, Pong(token)))
            case NodeListRequest():
                known, at_most = self._links.known, self._settings.links.told_to_client
                client_range = range_of(client.network.partition("/")[0])
                told = known.tell(at_most, client_range, None) if within else ()
                self._context.do(Send(connection, NodeList(told)))
            case _:
                raise AssertionError(f"no handler for {message}")

    def data_hello(self, connection: ConnectionId, hello: DataHello, network: str, now: float) -> None:
        """A data connection said 20 from this network. It is held, joined, bridged or closed by an effect."""
        self._calls.data(connection, hello.caller, hello.callee, network, now)

    def data_lost(self, connection: ConnectionId, now: float) -> None:
        """A held data connection ended before it was joined or bridged."""
        self._calls.data_lost(connection, now)

    def data_received(self, connection: ConnectionId, data: bytes, now: float) -> None:  # noqa: ARG002 - an event
        """A bridged data connection brought bytes, at most 65,524 at a time."""
        self._calls.streams.received(connection, data)

    def data_ended(self, connection: ConnectionId, reason: Reason | None, now: float) -> None:
        """A bridged data connection ended; nothing more comes from it."""
        self._calls.data_ended(connection, reason, now)

    def data_backlog(self, connection: ConnectionId, unsent: int, now: float) -> None:
        """So many bytes for a bridged data connection are kept, because the client does not take them."""
        self._calls.streams.backlog(connection, unsent, now)

    def relay_ended(self, number: int, now: float) -> None:
        """The relay of this conversation has ended by itself."""
        self._calls.relay_ended(number, now)

    # -- Events: links ----------------------------------------------------------------------------------------

    def listening(self, port: int) -> None:
        """Our control port, which A2 announces. Say it first."""
        self._links.listening(port)

    def configure(self, reference: NodeReference, pinned: Fingerprint | None, now: float) -> None:
        """A node that the operator names; `pinned` is the key that it showed there before (section 7)."""
        self._links.dialler.configure(reference, pinned, now)

    def remember(self, address: NodeAddress, node: Fingerprint, answered: float, now: float) -> None:
        """A node that is known from before the start; it answered there last in Unix seconds."""
        self._links.dialler.restore(address, node, answered, now)
        self._finder.ring_may_have_changed(now)

    def link_accepted(self, connection: ConnectionId, host: str, node: Fingerprint, now: float) -> None:
        """A connection that said CB, from this IP address, has finished TLS."""
        self._links.accepted(connection, host, node, now)

    def link_dialled(self, connection: ConnectionId, dial: int, host: str, node: Fingerprint, now: float) -> None:
        """A dial, which went to this IP address, has finished TLS."""
        self._links.dialler.dialled(connection, dial, host, node, now)
        self._finder.ring_may_have_changed(now)

    def dial_failed(self, dial: int, reason: Reason, now: float) -> None:
        """A dial came to nothing."""
        self._links.dialler.dial_failed(dial, reason, now)
        self._finder.ring_may_have_changed(now)

    def link_heard(self, connection: ConnectionId, now: float) -> None:
        """Some bytes came; say it before the messages in them."""
        self._links.heard(connection, now)

    def link_message(self, connection: ConnectionId, message: Message, now: float) -> None:
        """A message of a link, in its order."""
        link = self._links.get(connection)
        if link is not None:
            within = self._within_rate(Channel.LINK, message, link.node, now)
            self._links.message(link, message, within, now)

    def link_output(self, connection: ConnectionId, now: float) -> Message | None:
        """The next message to put on the wire, or None: `LinkOutput` will tell when there is one."""
        return self._links.output(connection, now)

    def link_closed(self, connection: ConnectionId, reason: Reason | None, now: float) -> None:
        """The connection of a link is gone."""
        self._links.closed(connection, reason, now)

    # -- Events: time -----------------------------------------------------------------------------------------

    def drain(self, now: float) -> None:
        """The node is stopping: no new calls or links, calls in set-up end, conversations go on for now."""
        self._calls.drain(now)
        self._finder.drain()
        self._links.drain(now)

    def on_timeout(self, now: float) -> None:
        """Do what is due."""
        self._calls.on_timeout(now)
        for key in self._context.timers.take_due(now):
            match key:
                case ("links", *_):
                    self._links.due(key, now)
                case ("dialler", *_):
                    self._links.dialler.due(key, now)
                case ("finder", *_):
                    self._finder.due(key, now)
                case ("calls", "better", int() as number):
                    self._calls.better_due(number, now)
                case ("calls", "deferred", int() as connection, int() as caller, int() as callee):
                    if (link := self._links.get(connection)) is not None:
                        self._calls.deferred_due(link, caller, callee, now)
        if now >= self._tidy_at:
            self._tidy_at = now + 1.0
            self._tidy(now)

    def _tidy(self, now: float) -> None:
        """Give back the memory of what has passed."""
        self._login_rate.forget_full(now)
        for rate in self._rates.values():
            rate.forget_full(now)
        self._links.forget_full(now)
        self._finder.forget_full(now)

    # -- What links, finder and calls say to one another ------------------------------------------------------

    def link_up(self, link: Link, now: float) -> None:
        """Hints go along; nothing else waits for it but who asked for it."""
        self._finder.link_up(link, now)

    def link_down(self, link: Link, now: float) -> None:
        """What it carried ends here too, or goes on elsewhere."""
        self._finder.link_down(link, now)
        self._calls.link_down(link, now)

    def link_says(self, link: Link, message: Message, within_rate: bool, now: float) -> None:
        """A message about users."""
        match message:
            case RelayedData(sender=sender, recipient=recipient, data=data):
                self._calls.relayed(link, sender, recipient, data, now)
            case Search(uin=uin):
                if within_rate:
                    self._finder.asked(link, uin, now)
                else:
                    self._context.note("search_ignored", Reason.SEARCH_RATE, callee=uin, node=link.node)
            case FoundHere(uin=uin):
                self._finder.found_here(link, uin, now)
            case FoundInCache():
                self._finder.found_in_cache(link, message, now)
            case CallRequest(caller=caller, callee=callee):
                self._calls.request(link, caller, callee, within_rate, now)
            case CallReady(caller=caller, callee=callee):
                self._calls.answered(link, caller, callee, now)
            case NoConversation(caller=caller, callee=callee):
                self._calls.no_conversation(link, caller, callee, now)
            case _:
                raise AssertionError(f"no handler for {message}")
        self._links.check_queue(link, now)

    def fence_down(self, link: Link, pair: Pair, now: float) -> None:
        """What was held back may go."""
        self._calls.fence_down(link, pair, now)

    def data_sent(self, link: Link, pair: Pair, now: float) -> None:  # noqa: ARG002 - as the others
        """There is room in this pair's flow."""
        self._calls.data_sent(link, pair)

    def found(self, call: int, candidate: Candidate, now: float) -> None:
        """Somebody answered a search."""
        self._calls.found(call, candidate, now)

    def search_over(self, call: int, asked: frozenset[Fingerprint], now: float) -> None:
        """A search has ended."""
        self._calls.search_over(call, asked, now)

    # -- Inside -----------------------------------------------------------------------------------------------

    def _is_here(self, uin: int) -> bool:
        return self._registry.user(uin) is not None

    def _leave(self, client: LocalClient, now: float) -> None:
        self._registry.remove(client)
        self._finder.client_offline(client.uin)
        self._calls.left(client, now)

    def _within_rate(self, channel: Channel, message: Message, who: int | Fingerprint, now: float) -> bool:
        rule = rule_for(channel, type(message))
        assert rule is not None, "the framer lets no other message through"
        return rule.rate is None or self._rates[rule.rate].take(who, now)

    def _link_status(self, link: Link, now: float) -> LinkStatus:
        known = self._links.known.get(link.address) if link.address is not None else None
        return LinkStatus(
            connection=link.id,
            fingerprint=link.node,
            address=link.address,
            direction=Direction.DIALLED if link.dialled else Direction.ACCEPTED,
            state="up" if link.complete else "opening",
            kept=link.kept,
            round_trip=link.round_trip,
            conversations=self._calls.carried_by(link),
            idle=now - link.heard_at,
            last_error=known.last_error if known is not None else None,
        )
