"""Load generators: the same bytes and headers to every target. `Wrk` is Debian's wrk, `Replay` our own."""

import json
import math
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, replace

from bodies import HEADERS, HERE, PATH, on_the_wire
from machine import Failed, Missing, listed

# Seconds at the begin of a load that replay does not count.
WARM_UP = 0.5


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

    def __init__(self, machine, cores, _binary=None):
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


class Replay:
    """Our own `replay`: open loop, latency from the intended send time.

    At saturation the rate lies far beyond what any target takes, so that every connection has the next request waiting;
    what could not be sent then is no error.
    """

    name = "replay"
    kind = "open loop; at saturation all connections always have a request waiting"
    overload = 200_000
    # Users of whom each has a line of the corpus; more than these are thinned out evenly.
    lines = 100_000

    def __init__(self, machine, cores, binary):
        self.machine, self.cores, self.binary = machine, cores, binary
        self.corpora = {}

    def command(self, target, load, seconds, rate=None):
        """The command line."""
        threads = min(len(self.cores.load), load.connections)
        command = ["taskset", "-c", listed(self.cores.load), self.binary, "replay", "--json", "--threads", str(threads),
                   "--target", target.origin + PATH, "--corpus", self.corpus(target, load),
                   "--rate", f"{rate or self.overload:.0f}", "--warmup", f"{WARM_UP}", "--duration", f"{seconds - WARM_UP:.1f}",
                   "--connections", str(load.connections), "--timeout-ms", "1000"]
        if target.setup.tls:
            command += ["--ca", target.certificate.authority]
        for name, value in HEADERS.items():
            if name not in ("Host", "Content-Type"):
                command += ["--header", f"{name}={value}"]
        return command

    def corpus(self, target, load):
        """One line per user, in the mix of known and unknown."""
        key = (target.content(load.body), load.users, load.known)
        if key not in self.corpora:
            count = min(load.users, self.lines)
            known = [f"user-{1 + number * load.users // count}" for number in range(count)]
            strangers = [f"stranger-{number}" for number in range(round(count * (100 - load.known) / load.known))]
            body = key[0].decode().strip()
            lines = "".join(f'{{"uid2gw_replay":1,"user":"{user}","body":{body}}}\n' for user in known + strangers)
            self.corpora[key] = self.machine.write(f"corpus-{len(self.corpora)}.ndjson", lines)
        return self.corpora[key]

    def start(self, target, load, seconds, rate=None):
        """Begins to drive one target; `finish` of what is returned waits for the end."""
        return Running(self.command(target, load, seconds, rate), lambda text: self.read(text, rate))

    @staticmethod
    def read(text, rate=None):
        """The outcome out of replay's JSON."""
        found = json.loads(text)
        latency, lateness = found["latency_ms"] or {}, found["lateness_ms"] or {}
        failed = found["requests"]["failed"] - (0 if rate else found["faults"].get("unsent", 0))
        percentiles = [1000 * latency[name] if name in latency else None for name in ("p50", "p99", "p99.9")]
        late = 1000 * lateness["p99"] if "p99" in lateness else None
        return Outcome(found["requests"]["answered"], found["elapsed_s"], failed, *percentiles, late)


def choose(name, gateway):
    """The class of the load generator that was asked for."""
    if name == "wrk":
        return Wrk
    able = subprocess.run([gateway, "replay", "--help"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    if able.returncode == 0:
        return Replay
    if name == "auto":
        return Wrk
    raise Missing(f"{gateway} has no replay")
