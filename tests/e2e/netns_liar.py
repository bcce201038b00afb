"""A node that lies, in a process of its own: `netns_liar.py HOST PORT NODE_HOST NODE_PORT VICTIM ADDRESS…`.

Written, like all raw nodes, from PROTOCOL.md alone. It dials the node and is met there in turn. Then it tells of the
addresses, unasked, and again whenever it is asked; of anybody who is looked for it says that they are at `VICTIM`
(HOST:PORT). Prints a line when it has told, and one when it was asked for somebody. Ends with its standard input.
"""

from __future__ import annotations

import json
import sys

from e2e.raw_federate import RawFederate
from e2e.raw_identity import node_identity
from e2e.raw_link import RawLink, address_bytes, node_list


def split(written: str) -> tuple[str, int]:
    host, _, port = written.rpartition(":")
    return host.strip("[]"), int(port)


def tell(event: str) -> None:
    print(json.dumps({"event": event}), flush=True)


def main(host: str, port: str, node_host: str, node_port: str, victim: str, *addresses: str) -> None:
    def lying(link: RawLink, code: int, tail: bytes) -> bool:
        if code == 0xA5:
            link.found_in_cache(int.from_bytes(tail, "little"), *split(victim))
            tell("asked")
        return False

    with RawFederate(node_identity(1), host, port=int(port)) as liar:
        liar.script = lying
        liar.known = tuple(address_bytes(*split(address)) for address in addresses)
        link = liar.dial((node_host, int(node_port)))
        liar.wait(lambda: liar.met > 0, "the announced port was not met")
        link.send(0xA4, node_list(*liar.known))
        link.sync()
        tell("told")
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
