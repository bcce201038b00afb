"""A whole node of the federation, written from PROTOCOL.md sections 2, 3 and 5 alone: nothing of uzel is imported.

It listens on a free pair of ports, accepts links and dials them, and can play the users whom it is said to have, at the
end of a relayed conversation. It answers CB, TLS and everything on its links as a test wants it to. Counterpart:
`raw_link`, each of its links.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable

from OpenSSL import SSL

from e2e.raw_client import TIMEOUT, Address, Closed, Conversation, Inbox, Message, Tcp, Unexpected, frame
from e2e.raw_identity import RawIdentity, node_identity
from e2e.raw_link import RawLink, Script
from e2e.raw_node import Listening


class RawFederate(Listening):
    """A whole node of the federation on a free pair of ports. Use it in a `with` block.

    `users` are those that it has: it says A8 when asked for them, and when it is asked for a call to one (AA) it has
    `talk` hold the conversation in a thread of its own. `answer`, `script` and `stall` make it something else.
    """

    def __init__(
        self,
        who: RawIdentity | None = None,
        host: str = "127.0.0.1",
        users: Iterable[RawIdentity] = (),
        talk: Callable[[Conversation], None] | None = None,
        port: int = 0,
    ) -> None:
        super().__init__(host, port)
        self.host = host
        self.identity = who or node_identity(0)
        self.users = {user.uin: user for user in users}
        self.talk = talk
        self.script: Script = self.hosting
        self.answer: Message = (0x01, b"OK")
        """What is said to CB; with a code of -1 just these bytes, and the end."""
        self.version = b""
        """When given, every other version in a CB is answered 02 with this one."""
        self.stall = ""
        """Where an accepted connection is left hanging: "hello" (no answer to CB) or "tls" (no client hello)."""
        self.tls_context: SSL.Context | None = None
        """Shown instead of the identity's own."""
        self.known: tuple[bytes, ...] = ()
        self.dialled_by = 0
        """How many connections came."""
        self.greeted: list[bytes] = []
        """The versions of the CBs that came."""
        self.met = 0
        """How many of them finished TLS."""
        self.accepted: list[RawLink] = []
        """Those that became links: a message came."""
        self.links: list[RawLink] = []
        """All that stood, dialled ones included."""
        self._came = threading.Condition()

    @property
    def port(self) -> int:
        return self.address[1]

    def dial(self, node: Address, *, announce: bool = True) -> RawLink:
        """Dial a node, from this one's own address; it announces its port."""
        link = RawLink.prepared(node, self.identity, self.host)
        link.script, link.known = self.script, self.known
        self.links.append(link)
        link.start()
        link.introduce(self.port if announce else None)
        return link

    def link(self, turn: int = 0) -> RawLink:
        """The first (0), second (1) … accepted link, once it is there."""
        self.wait(lambda: len(self.accepted) > turn, "no link came")
        return self.accepted[turn]

    def wait(self, holds: Callable[[], bool], what: str) -> None:
        """Wait until it holds of this node's own counts."""
        with self._came:
            assert self._came.wait_for(holds, TIMEOUT), what

    def close(self) -> None:
        for link in list(self.links):
            link.end()
        super().close()
        for link in self.links:
            link.close()

    # -- Accepting ----------------------------------------------------------------------------------------------

    def serve_control(self, tcp: Tcp) -> None:
        """Hello, TLS with this side as its client, then a link."""
        with self._came:
            self.dialled_by += 1
            self._came.notify_all()
        inbox = Inbox(tcp)
        code, version = inbox.message()
        if code != 0xCB:
            raise Unexpected(f"a node says CB first, not {code:02X}")
        with self._came:
            self.greeted.append(version)
            self._came.notify_all()
        if self.version and version != self.version:
            tcp.send(frame(0x02, self.version))
            return
        if self.stall == "hello":
            tcp.receive()
            return
        if self.answer[0] == -1:
            tcp.send(self.answer[1])
            tcp.end()
            tcp.receive()
            return
        tcp.send(frame(*self.answer))
        if self.answer != (0x01, b"OK"):
            tcp.receive()
            return
        if self.stall == "tls":
            tcp.receive()
            return
        link = RawLink(tcp, self.identity, dialled=False, tls_context=self.tls_context, script=self.script)
        link.handshake()
        link.known = self.known
        self._serve_link(link)

    def _serve_link(self, link: RawLink) -> None:
        with self._came:
            self.met += 1
            self.links.append(link)
            self._came.notify_all()

        def first(link: RawLink, code: int, tail: bytes) -> bool:
            link.script = self.script
            with self._came:
                self.accepted.append(link)
                self._came.notify_all()
            return self.script(link, code, tail)

        link.script = first
        link.read()
        with self._came:
            self._came.notify_all()
        if link.fault is not None:
            raise link.fault

    def serve_data(self, tcp: Tcp) -> None:
        """Nobody has a data connection here."""
        raise Unexpected("no client is here who could open a data connection")

    # -- As an honest node --------------------------------------------------------------------------------------

    def hosting(self, link: RawLink, code: int, tail: bytes) -> bool:
        """The script of a node with these users, who take every call."""
        if code == 0xA5 and int.from_bytes(tail, "little") in self.users:
            link.send(0xA8, tail)
            return True
        if code == 0xAA and self.talk is not None and (user := self.users.get(int.from_bytes(tail[4:], "little"))):
            conversation = link.conversation(user, int.from_bytes(tail[:4], "little"), caller=False)
            self.go(lambda: self._converse(conversation))
            link.send(0xAB, tail)
            return True
        return False

    def _converse(self, conversation: Conversation) -> None:
        assert self.talk is not None
        try:
            conversation.tls.handshake()
            self.talk(conversation)
        finally:
            with contextlib.suppress(Closed, OSError):
                conversation.data.close()
