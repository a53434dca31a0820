"""Our gateway, doing its full job, with the sandbox operator behind it and users logged in."""

import base64
import hashlib
import os
import time

import logins
from bodies import KEY
from machine import Failed
from measure import Metrics
from peers import Peer

# Public test credentials that the sandbox operator knows.
OPERATOR_KEY = "UID2-C-L-124-H8VwqX.l2G4TCuUWYAqdqkeG/UqtFoPEoXirKn4kHWxc="
OPERATOR_SECRET = "NcMgi6Y8C80SlxvV7pYlfcvEIo+2b0508tYQ3pKK8HM="

# Nothing is switched off: API key, privacy verdict, DII guard (default "strip"), tmax rewrite, metrics.
CONFIG = """\
[server]
listen = "127.0.0.1:{port}"
workers = {workers}
max_connections = 16000
keep_alive_s = 3600
require_key = true
drain_seconds = 0
{tls}
[admin]
listen = "127.0.0.1:{admin}"
[operator]
urls = ["http://127.0.0.1:{operator}"]
max_concurrency = 64
[identity]
cache_entries = {entries}
[store]
kind = "memory"
encryption_key = "{store_key}"
[log]
level = "warn"
[[publisher]]
id = "acme"
api_keys = ["sha256:{key}"]
match = {{ publisher_ids = ["8953"] }}
operator_key = "{operator_key}"
operator_secret = "{operator_secret}"
ssps = [{ssps}]
"""
SSP = """\
[[ssp]]
id = "ssp{number}"
url = "{url}"
timeout_ms = 1000
max_connections = 4096
"""


class Operator:
    """The sandbox operator, from the same binary."""

    def __init__(self, machine, cores, binary):
        self.port = machine.port()
        command = [binary, "sandbox", "operator", "--listen", f"127.0.0.1:{self.port}"]
        self.process = machine.start("operator", command, cores, self.port)


class Gateway(Peer):
    """The gateway; `login` makes `setup.identities` users known to it."""

    name = "gateway"

    def __init__(self, machine, cores, ssp, setup, binary, operator, certificate=None):
        port, self.admin = machine.port(), machine.port()
        tls = f'[server.tls]\ncert = "{certificate.chain}"\nkey = "{certificate.key}"' if setup.tls else ""
        names = ", ".join(f'"ssp{number}"' for number in range(setup.ssps))
        text = CONFIG.format(
            port=port, admin=self.admin, workers=setup.workers, tls=tls, operator=operator.port,
            entries=max(1_000_000, 2 * setup.identities), store_key=base64.b64encode(os.urandom(32)).decode(),
            key=hashlib.sha256(KEY.encode()).hexdigest(), operator_key=OPERATOR_KEY, operator_secret=OPERATOR_SECRET,
            ssps=names,
        ) + "".join(SSP.format(number=number, url=ssp.url(number)) for number in range(setup.ssps))
        config = machine.write(f"gateway-{port}.toml", text)
        process = machine.start(f"gateway-{port}", [binary, "serve", "--config", config], cores, self.admin)
        super().__init__(port, process, setup, certificate)
        self.wait_ready()

    def wait_ready(self, seconds=20):
        """Readiness comes after the listeners."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if logins.status_of(self.admin, "/readyz") == 200:
                return
            time.sleep(0.05)
        raise Failed(f"gateway: not ready after {seconds} s")

    def login(self, progress):
        """Logs the users in through the identity API; they are in store and cache then."""
        logins.login(self.origin, KEY, self.setup.identities, progress)

    def metrics(self):
        """What it counted so far."""
        return Metrics.scrape(self.admin)
