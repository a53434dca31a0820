"""How much load our replay can offer: it must never be the narrow place of a measurement."""

import time

from judge import Line
from machine import Cores
from peers import Direct, Setup
from bodies import request_id
from load import Load
from rounds import RAMP, TAIL, Snapshot, median
from ssp import Ssp


def line(machine, options, base):
    """Replay alone on a core, against the SSP alone on another, beside what one core does as a gateway in `base`."""
    found = Line("load that replay offers from one core, × what the gateway takes on one core", 1.5, at_least=True)
    if options.generator.name != "replay" or base is None:
        found.why = "replay is not the load generator, or variant base did not run"
        return found
    cores = Cores()
    cores.load = cores.load[:1]
    ssp = Ssp(machine, cores.proxy, 1, request_id("2k"))
    direct = Direct(ssp, Setup())
    generator = options.generator(machine, cores, options.gateway)
    capacity = 1e6 / median([sample.cpu for sample in base.row("gateway").full])
    shares = [offered(generator, ssp, direct, options.seconds) / capacity for _ in range(options.rounds)]
    machine.end(ssp.process)
    found.value, found.low, found.high = median(shares), min(shares), max(shares)
    return found


def offered(generator, ssp, direct, seconds):
    """Requests per second that arrive."""
    before = ssp.counts()[0]
    with generator.start(direct, Load(), RAMP + seconds + TAIL) as running:
        ssp.wait_for(before)
        time.sleep(RAMP)
        begin = Snapshot(ssp, direct)
        time.sleep(seconds)
        end = Snapshot(ssp, direct)
        running.finish()
    ssp.settle()
    return (end.legs - begin.legs) / (end.time - begin.time)
