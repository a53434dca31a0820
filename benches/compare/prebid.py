"""Prebid Server (Go), when a binary is given: an auction with one bidder per SSP, each bidder's requests going to our SSP."""

import json
import os

from bodies import fixture
from machine import Missing
from peers import Peer

# A bidder whose adapter sends the request on as it is. Further SSPs are aliases of it, as real requests have them.
BIDDER = "epom"
CONFIG = """\
host: 127.0.0.1
port: {port}
admin: {{ enabled: false }}
gdpr: {{ default_value: "0", enabled: false }}
auction_timeouts_ms: {{ default: 1000, max: 5000 }}
http_client: {{ max_idle_connections: 4096, max_idle_connections_per_host: 4096, idle_connection_timeout_seconds: 3600 }}
currency_converter: {{ fetch_interval_seconds: 0 }}
category_mapping: {{ filesystem: {{ enabled: false }} }}
adapters: {{ {bidder}: {{ endpoint: "{url}", disabled: false }} }}
"""


class Prebid(Peer):
    """`binary` stands in its checkout, whose `static` folder it needs."""

    name = "pbs"

    def __init__(self, machine, cores, ssp, setup, binary):
        static = os.path.join(os.path.dirname(binary), "static")
        if not os.path.isdir(os.path.join(static, "bidder-info")):
            raise Missing(f"{static}/bidder-info: Prebid Server needs the static folder of its checkout beside it")
        port = machine.port()
        folder = machine.path(f"pbs-{port}")
        os.makedirs(folder)
        lean(static, os.path.join(folder, "static"))
        machine.write(f"pbs-{port}/pbs.yaml", CONFIG.format(port=port, bidder=BIDDER, url=ssp.url()))
        process = machine.start(f"pbs-{port}", [binary], cores, port, cwd=folder,
                                env=dict(os.environ, GOMAXPROCS=str(setup.workers)))
        super().__init__(port, process, setup)

    def content(self, name):
        """The fixture, with our bidders in the place of its own."""
        request = json.loads(fixture(name), object_hook=typed)
        names = [BIDDER] + [f"{BIDDER}{number + 1}" for number in range(1, self.setup.ssps)]
        for imp in request["imp"]:
            imp.setdefault("ext", {})["prebid"] = {"bidder": {bidder: {} for bidder in names}}
        if names[1:]:
            prebid = request.setdefault("ext", {}).setdefault("prebid", {})
            prebid["aliases"] = {alias: BIDDER for alias in names[1:]}
        return json.dumps(request, separators=(",", ":"), ensure_ascii=False).encode()


def typed(member):
    """Segments' values as text: some senders write numbers, which Prebid Server refuses and the fixtures keep."""
    if isinstance(member.get("value"), (int, float)):
        member["value"] = str(member["value"])
    return member


def lean(source, target):
    """The static folder with every other bidder switched off: they only cost start-up time and memory here."""
    os.makedirs(os.path.join(target, "bidder-info"))
    for name in os.listdir(source):
        if name != "bidder-info":
            os.symlink(os.path.join(source, name), os.path.join(target, name))
    for name in os.listdir(os.path.join(source, "bidder-info")):
        with open(os.path.join(source, "bidder-info", name)) as file:
            lines = [line for line in file.read().splitlines() if not line.startswith("disabled:")]
        off = "false" if name == f"{BIDDER}.yaml" else "true"
        with open(os.path.join(target, "bidder-info", name), "w") as file:
            file.write("\n".join(lines + [f"disabled: {off}", ""]))
