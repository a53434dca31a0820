"""Load generators: the same bytes and headers to every target. `Wrk` is Debian's wrk, `Replay` our own."""

import json
import math
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, replace

from bodies import HERE, on_the_wire
from machine import Failed, Missing, listed


@dataclass(frozen=True)
class Load:
    """What is sent: which body, over how many connections, by how many users, how many of them known (percent)."""

    body: str = "2k"
    connections: int = 32
    users: int = 1000
    known: int = 100


@dataclass
class Outcome:
    """What the load generator saw. Latencies in microseconds, None where it does not know them."""

    requests: int
    seconds: float
    errors: int
    p50: float = None
    p99: float = None
    p999: float = None
    late: float = None

    @property
    def rate(self):
        """Answers per second."""
        return self.requests / self.seconds


class Wrk:
    """Closed loop: each connection sends again when it has its answer, at once or after a pause.

    With a rate it pauses so long that the rate comes about (exponential pauses, several connections). That is near an open
    loop while answers are quick, and not one: latency counts from when a request was sent.
    """

    name = "wrk"
    kind = "closed loop; at half load with pauses, which is near an open loop and not one"

    def __init__(self, machine, cores):
        if shutil.which("wrk") is None:
            raise Missing("wrk is not installed (apt-get install wrk)")
        self.machine, self.cores = machine, cores

    def command(self, target, load, seconds, rate=None):
        """The command line, also for the checks that trace a proxy under load."""
        connections, pause = load.connections, 0
        if rate:
            # Twice as many connections as one millisecond of requests, so that pauses of whole milliseconds will do.
            connections = max(load.connections, int(rate / 500))
            pause = connections / rate * 1e6
        before, after = on_the_wire(target.content(load.body))
        files = [self.machine.write(f"{target.port}.before", before), self.machine.write(f"{target.port}.after", after)]
        threads = min(len(self.cores.load), connections)
        return ["taskset", "-c", listed(self.cores.load), "wrk", f"-t{threads}", f"-c{connections}",
                f"-d{math.ceil(seconds)}s", "--timeout", "10s", "-s", os.path.join(HERE, "wrk.lua"), target.origin + "/",
                "--", *files, str(load.users), str(load.known), str(round(pause))]

    def start(self, target, load, seconds, rate=None):
        """Begins to drive one target; `finish` of what is returned waits for the end."""
        return Running(self.command(target, load, seconds, rate), self.read)

    @staticmethod
    def read(text):
        """The outcome that wrk.lua prints."""
        match = re.search(r"^RESULT (.*)$", text, re.M)
        if not match:
            raise Failed(f"wrk printed no result:\n{text}")
        return Outcome(**json.loads(match[1]))


class Running:
    """A load generator at work."""

    def __init__(self, command, read):
        self.command, self.read = command, read
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def finish(self):
        """Waits and returns what it saw."""
        out, err = self.process.communicate()
        if self.process.returncode:
            raise Failed(f"{' '.join(self.command)}\nended with {self.process.returncode}\n{out}{err}")
        return self.read(out)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


def capture(command):
    """Runs a command to its end and returns what it printed."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise Failed(f"{' '.join(command)}\nended with {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def choose(name, gateway):
    """The class of load generator that was asked for."""
    return Wrk
