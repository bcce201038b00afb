"""The local interface: everything of the core over HTTP, for pages, terminals, the command line and bots (docs/api.md).

Served on a Unix socket in the profile's folder, and on a loopback port when asked, there behind a bearer token. What it
takes and gives are models of its own (`asked`, `shown`), so that the core's records may change and the interface stay.
Counterparts: `uzel.core.messenger`, whose face this is; `uzel.local.core_client`, which asks here.
"""

from uzel.faces.api.app import make_app
from uzel.faces.api.kinds import time
from uzel.faces.api.server import ApiServer

__all__ = ["ApiServer", "make_app", "time"]
