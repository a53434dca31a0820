"""What the operating system and the gateway say: CPU time, memory, counters, histograms."""

import os
import re
import time
import urllib.request

from machine import Missing


def tree(pid):
    """A process and its descendants (nginx's workers are children of its master)."""
    found, todo = [], [pid]
    while todo:
        pid = todo.pop()
        found.append(pid)
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/children") as file:
                    todo.extend(int(child) for child in file.read().split())
        except FileNotFoundError:
            if os.path.exists(f"/proc/{pid}"):
                raise Missing("this kernel does not tell a process's children (CONFIG_PROC_CHILDREN)") from None
    return found


def cpu_seconds(pid):
    """User and system time of a process with its workers and all their threads, in seconds.

    The first figure of schedstat is the scheduler's own account in nanoseconds; the ticks in /proc/PID/stat are far
    coarser, and on many kernels sampled. A thread that ended in between is lost; no server here ends threads under load.
    """
    total = 0
    for each in tree(pid):
        try:
            for task in os.listdir(f"/proc/{each}/task"):
                with open(f"/proc/{each}/task/{task}/schedstat") as file:
                    total += int(file.read().split()[0])
        except FileNotFoundError:
            pass
    return total / 1e9


def resident_bytes(pid):
    """Resident memory of a process with its workers; pages that they share count once (PSS, else RSS)."""
    total = 0
    for each in tree(pid):
        try:
            total += _kilobytes(f"/proc/{each}/smaps_rollup", "Pss:") * 1024
        except OSError:
            total += _kilobytes(f"/proc/{each}/status", "VmRSS:") * 1024
    return total


def _kilobytes(path, name):
    with open(path) as file:
        for line in file:
            if line.startswith(name):
                return int(line.split()[1])
    return 0


class CoreClock:
    """Busy time of some cores, all processes together, to see who else was there."""

    def __init__(self, cores):
        self.cores = {f"cpu{core}" for core in cores}
        self.start = self._busy()
        self.began = time.monotonic()

    def _busy(self):
        ticks = 0
        with open("/proc/stat") as file:
            for line in file:
                name, *values = line.split()
                if name in self.cores:
                    user, nice, system, _idle, _iowait, irq, softirq, steal = (int(value) for value in values[:8])
                    ticks += user + nice + system + irq + softirq + steal
        return ticks / os.sysconf("SC_CLK_TCK")

    def share(self):
        """Share of the time since the start that the cores were busy, 0 to 1."""
        elapsed = (time.monotonic() - self.began) * len(self.cores)
        return (self._busy() - self.start) / elapsed if elapsed else 0.0


class Metrics:
    """One scrape of a gateway's `/metrics`."""

    LINE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")

    def __init__(self, text):
        self.samples = []
        for line in text.splitlines():
            match = self.LINE.match(line)
            if match:
                labels = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[2] or ""))
                self.samples.append((match[1], labels, float(match[3])))

    @classmethod
    def scrape(cls, admin_port):
        """Asks for them."""
        with urllib.request.urlopen(f"http://127.0.0.1:{admin_port}/metrics", timeout=10) as answer:
            return cls(answer.read().decode())

    def total(self, name, **labels):
        """Sum of the samples of a family that carry these labels."""
        return sum(
            value for sample, has, value in self.samples
            if sample == name and all(has.get(key) == wanted for key, wanted in labels.items())
        )

    def buckets(self, name):
        """Cumulative buckets of a histogram without labels: (upper bound, count)."""
        found = [(float(has["le"]), value) for sample, has, value in self.samples if sample == name + "_bucket"]
        return sorted(found)


def quantile_between(before, after, name, share):
    """A quantile of what a histogram took in between two scrapes, in its unit, linear within the bucket.

    Returns None without observations, and infinity when it lies beyond the last bucket.
    """
    earlier = dict(before.buckets(name))
    counts = [(bound, value - earlier.get(bound, 0)) for bound, value in after.buckets(name)]
    if not counts or counts[-1][1] <= 0:
        return None
    rank = share * counts[-1][1]
    low, below = 0.0, 0.0
    for bound, count in counts:
        if count >= rank:
            if bound == float("inf"):
                return bound
            return low + (bound - low) * (rank - below) / (count - below) if count > below else bound
        low, below = bound, count
    return None
