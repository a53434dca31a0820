"""One variant: starts what it needs, drives all its cells in turn, round after round, and collects samples."""

import threading
import time
from dataclasses import dataclass, field

import measure
import probe
from bodies import request_id
from gateway import Gateway, Operator
from machine import Cores, Failed
from peers import Direct, Haproxy, Nginx
from prebid import Prebid
from ssp import Ssp

# Seconds that the load runs before and after what is measured.
RAMP, TAIL = 0.6, 0.2


@dataclass
class Sample:
    """One cell in one round. CPU in microseconds per request, latencies in microseconds."""

    requests: float
    cpu: float
    rate: float
    busy: float
    foreign: float
    errors: int
    reconnects: int
    p50: float = None
    p99: float = None
    p999: float = None
    late: float = None


@dataclass
class Row:
    """What came of one cell: a sample per round at saturation, and at half load where that was asked for; besides the peer's
    resident bytes, its CPU time without any load (ms per second), and the bytes of its answer with the head."""

    cell: object
    full: list = field(default_factory=list)
    half: list = field(default_factory=list)
    resident: int = 0
    idle: float = 0
    answer: int = 0
    cipher: str = None
    self_p99: float = None


@dataclass
class Result:
    """What came of one variant; `half_rate` in requests per second."""

    variant: object
    cores: str
    rows: list
    half_rate: float = None
    syscalls: dict = field(default_factory=dict)

    def row(self, label):
        """The row of a cell."""
        return next(row for row in self.rows if row.cell.label == label)


class Fleet:
    """The running servers of one variant."""

    def __init__(self, machine, variant, options):
        self.machine, self.variant, self.options = machine, variant, options
        self.cores = Cores(variant.workers)
        self.processes_before = list(machine.processes)
        self.peers, self.operator = {}, None

    def start(self):
        """Starts everything, and logs the users in."""
        most = max(cell.setup.ssps for cell in self.variant.cells)
        self.ssp = Ssp(self.machine, self.cores.ssp, most, request_id(self.variant.body))
        for cell in self.variant.cells:
            if (cell.peer, cell.setup) not in self.peers:
                self.peers[cell.peer, cell.setup] = self._start(cell.peer, cell.setup)
        self.load = self.options.generator(self.machine, self.cores, self.options.gateway)

    def _start(self, name, setup):
        machine, cores = self.machine, self.cores.proxy
        certificate = self.options.certificate(machine) if setup.tls else None
        if name == "direct":
            return Direct(self.ssp, setup)
        if name == "gateway":
            self.operator = self.operator or Operator(machine, self.cores.load, self.options.gateway)
            gateway = Gateway(machine, cores, self.ssp, setup, self.options.gateway, self.operator, certificate)
            gateway.login(self.options.progress(f"{self.variant.name}: logins", setup.identities))
            return gateway
        if name == "pbs":
            return Prebid(machine, cores, self.ssp, setup, self.options.pbs)
        return {"nginx": Nginx, "haproxy": Haproxy}[name](machine, cores, self.ssp, setup, certificate)

    def of(self, cell):
        """The peer that serves a cell."""
        return self.peers[cell.peer, cell.setup]

    def stop(self):
        """Ends the servers of this variant."""
        for process in list(self.machine.processes):
            if process not in self.processes_before:
                self.machine.end(process)


def run(machine, variant, options):
    """Drives a variant and returns its result."""
    fleet = Fleet(machine, variant, options)
    try:
        fleet.start()
        result = Result(variant, fleet.cores.describe(), [Row(cell) for cell in variant.cells])
        for row in result.rows:
            row.cipher = probe.cipher(fleet.of(row.cell))
            row.answer = probe.check(fleet.of(row.cell), row.cell, fleet.ssp)
        for row, idle in zip(result.rows, at_rest([fleet.of(row.cell) for row in result.rows])):
            row.idle = idle
        for row in in_turn(result.rows, options, f"{variant.name}: saturation"):
            row.full.append(drive(fleet, row.cell, options.seconds))
        if variant.latency:
            half_load(fleet, result, options)
        for row in result.rows:
            row.resident = measure.resident_bytes(fleet.of(row.cell).process.pid)
        options.extra(fleet, result)
        return result
    finally:
        fleet.stop()


def at_rest(peers, patience=10):
    """CPU time in ms per second without load, once what the logins left to be done is done."""
    while True:
        before, begin = [measure.cpu_seconds(peer.process.pid) for peer in peers], time.monotonic()
        time.sleep(1)
        used = [measure.cpu_seconds(peer.process.pid) - cpu for peer, cpu in zip(peers, before)]
        patience -= 1
        if patience <= 0 or max(used) < 0.005:
            return [1000 * each / (time.monotonic() - begin) for each in used]


def half_load(fleet, result, options):
    """All at one rate: half of what the slowest took at saturation. Prebid Server would pull that to next to nothing: it
    stays out."""
    taking_part = [row for row in result.rows if row.cell.peer != "pbs"]
    proxies = [row for row in taking_part if row.cell.peer != "direct"]
    result.half_rate = min(median([sample.rate for sample in row.full]) for row in proxies) / 2
    gateways = [row for row in proxies if row.cell.peer == "gateway"]
    before = [fleet.of(row.cell).metrics() for row in gateways]
    for row in in_turn(taking_part, options, f"{result.variant.name}: half load"):
        row.half.append(drive(fleet, row.cell, options.seconds, result.half_rate))
    for row, earlier in zip(gateways, before):
        p99 = measure.quantile_between(earlier, fleet.of(row.cell).metrics(), "uid2gw_self_duration_seconds", 0.99)
        row.self_p99 = p99 and p99 * 1e6


def in_turn(rows, options, what):
    """Every row in every round; each round begins with another one, so that nobody is always first or last."""
    progress = options.progress(what, options.rounds * len(rows))
    done = 0
    for number in range(options.rounds):
        start = number % len(rows)
        for row in rows[start:] + rows[:start]:
            yield row
            done += 1
            progress(done)


def drive(fleet, cell, seconds, rate=None):
    """One run of the load against one peer. What counts happens in a window that begins when all connections are there."""
    peer = fleet.of(cell)
    gateway = cell.peer == "gateway"
    fleet.ssp.settle()
    before, forwarded = peer.metrics() if gateway else None, fleet.ssp.counts()[0]
    with fleet.load.start(peer, cell.load, RAMP + seconds + TAIL, rate) as running, scraped(peer if cell.scrape else None):
        fleet.ssp.wait_for(forwarded)
        time.sleep(RAMP)
        begin, clock = Snapshot(fleet.ssp, peer), measure.CoreClock(fleet.cores.proxy)
        time.sleep(seconds)
        end, busy = Snapshot(fleet.ssp, peer), clock.share()
        outcome = running.finish()
    fleet.ssp.settle()
    requests = (end.legs - begin.legs) / cell.setup.ssps
    if requests <= 0:
        raise Failed(f"{cell.label}: nothing arrived at the SSP")
    arrived = (fleet.ssp.counts()[0] - forwarded) / cell.setup.ssps
    lost = round(outcome.requests - arrived) - 2 * cell.load.connections
    errors = outcome.errors + max(0, lost)
    if gateway:
        errors += undone(before, peer.metrics(), cell)
    elapsed, cpu = end.time - begin.time, end.cpu - begin.cpu
    own = cpu / elapsed / len(fleet.cores.proxy)
    return Sample(requests, cpu / requests * 1e6, requests / elapsed, own, max(0.0, busy - own), errors,
                  end.connections - begin.connections, outcome.p50, outcome.p99, outcome.p999, outcome.late)


class Snapshot:
    """CPU time of a peer and the SSP's counters at one moment: the counters take a moment to read, so CPU is read before
    and after."""

    def __init__(self, ssp, peer):
        cpu, begin = measure.cpu_seconds(peer.process.pid), time.monotonic()
        self.legs, self.connections = ssp.counts()
        self.cpu = (cpu + measure.cpu_seconds(peer.process.pid)) / 2
        self.time = (begin + time.monotonic()) / 2


def undone(before, after, cell):
    """Requests for which the gateway did not do its whole job: a bid, and the token where the user is known."""
    def grown(name, **labels):
        return after.total(name, **labels) - before.total(name, **labels)
    asked = grown("uid2gw_requests_total") - grown("uid2gw_requests_total", outcome="cancelled")
    without_bid = asked - grown("uid2gw_requests_total", outcome="bid")
    everyone = grown("uid2gw_identity_total")
    injected = grown("uid2gw_identity_total", result="injected")
    if cell.load.known == 100:
        return int(without_bid + everyone - injected)
    expected = everyone * cell.load.known / 100
    # Far beyond chance: the mix is not the one that was asked for.
    return int(without_bid) + (0 if abs(injected - expected) < 0.1 * everyone else int(everyone))


class scraped:
    """Reads the metrics once a second meanwhile."""

    def __init__(self, peer):
        self.peer, self.over = peer, threading.Event()

    def __enter__(self):
        if self.peer:
            self.thread = threading.Thread(target=self._read)
            self.thread.start()

    def _read(self):
        while not self.over.wait(1):
            self.peer.metrics()

    def __exit__(self, *_):
        self.over.set()
        if self.peer:
            self.thread.join()


def median(values):
    """The middle value, or the mean of the two in the middle."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
