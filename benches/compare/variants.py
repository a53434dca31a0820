"""What is compared with what: each variant is a list of cells that are driven in turn in every round."""

from dataclasses import dataclass, replace

from load import Load
from peers import Setup

MILLION = 1_000_000


@dataclass(frozen=True)
class Cell:
    """One line of the table: a peer as it is set up, and the load it gets. `versus` is the cell its ratios refer to."""

    label: str
    peer: str
    setup: Setup = Setup()
    load: Load = Load()
    versus: str = None
    scrape: bool = False


@dataclass(frozen=True)
class Variant:
    """`latency`: also driven at half of the slowest's throughput, to see latencies and what a request costs then."""

    name: str
    about: str
    cells: tuple
    latency: bool = False

    @property
    def body(self):
        """All cells of a variant get one body."""
        return self.cells[0].load.body

    @property
    def workers(self):
        """All have as many workers."""
        return self.cells[0].setup.workers


def plain(names, setup=Setup(), load=Load()):
    """The usual cells: each peer with the same set-up and load, against nginx."""
    return tuple(
        Cell(name, name, setup, load, versus="nginx" if name not in ("direct", "nginx") else None) for name in names
    )


def variants(pbs=False):
    """All of them, by name, in the order in which they run."""
    direct = ("direct",)
    peers = ("nginx", "haproxy", "gateway") + (("pbs",) if pbs else ())
    three = Setup(ssps=3)
    many = Load(connections=1024)
    found = [
        Variant("base", "1 SSP, 2.4 KB, 1,000 identities cached, 32 connections", plain(direct + peers), latency=True),
        Variant("ssp3", "3 SSPs; nginx sends two mirror copies, drops their answers and merges nothing", (
            Cell("nginx", "nginx"),
            Cell("nginx, 2 mirrors", "nginx", three, versus="nginx"),
            Cell("gateway", "gateway", versus="nginx"),
            Cell("gateway, 3 SSPs", "gateway", three, versus="gateway"),
        ) + ((Cell("pbs, 3 SSPs", "pbs", three, versus="nginx"),) if pbs else ()), latency=False),
        Variant("body-0.4k", "0.3 KB", plain(direct + peers, load=Load(body="0.4k")), latency=True),
        Variant("body-8k", "7.3 KB", plain(direct + peers, load=Load(body="8k")), latency=True),
        Variant("tls", "TLS 1.3 in, plain out", plain(("nginx", "haproxy", "gateway"), Setup(tls=True)), latency=False),
        Variant("workers2", "2 workers each", plain(peers, Setup(workers=2), Load(connections=64))),
        Variant("identities", "1,000 against 1,000,000 cached identities, all in use", (
            Cell("gateway, 1,000", "gateway"),
            Cell("gateway, 1,000,000", "gateway", Setup(identities=MILLION), Load(users=MILLION), "gateway, 1,000"),
        )),
        Variant("unknown", "all users known against 80 % unknown", (
            Cell("gateway, known", "gateway"),
            Cell("gateway, 80 % unknown", "gateway", load=Load(known=20), versus="gateway, known"),
        )),
        Variant("connections", "16 against 1,024 connections", tuple(
            Cell(f"{name}, {shown}", name, Setup(connections=1024), replace(many, connections=count),
                 versus=f"{name}, 16" if count > 16 else None)
            for name in peers for count, shown in ((16, "16"), (1024, "1,024"))
        )),
        Variant("scrape", "/metrics read once a second", (
            Cell("gateway", "gateway"),
            Cell("gateway, scraped", "gateway", versus="gateway", scrape=True),
        )),
    ]
    return {variant.name: variant for variant in found}
