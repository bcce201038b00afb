"""The page: Uzel in a browser, served by the core itself, on the local interface and behind a guard of its own.

Files of the page are plain, come from here alone and may load nothing from elsewhere. A browser is let in once, by a
one-time address or a pairing code, and is a device from then on: it shows a cookie that no script can read and a second
secret that no other port gets. Counterparts: `uzel.faces.api`, which `uzel.app` puts behind this; `static`, the page.
"""

from uzel.faces.page_settings import PageSettings
from uzel.faces.web.server import PageServer
from uzel.faces.web.sessions import Sessions

__all__ = ["PageServer", "PageSettings", "Sessions"]
