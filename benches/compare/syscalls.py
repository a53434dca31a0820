"""System calls per request in the steady state, counted with strace on the proxy alone."""

import collections
import os
import re
import signal
import subprocess
import time

import measure
from machine import Failed, Missing, find

CALL = re.compile(r"^\d+ +(\w+)\((?:(\d+)<(.*?)>[,)])?")
RESULT = re.compile(r"= (-?\d+)(?: |$)")
READS = {"read", "readv", "recv", "recvfrom", "recvmsg"}
WRITES = {"write", "writev", "send", "sendto", "sendmsg"}
CONNECTIONS = 8


def count(machine, load_generator, peer, load, seconds=1.0):
    """Traces a peer under load; returns calls per request by name, and `socket` for reads and writes on TCP sockets."""
    trace = machine.path(f"strace-{peer.port}.txt")
    command = [find("strace"), "-f", "-yy", "-s0", "-o", trace]
    for pid in measure.tree(peer.process.pid):
        command += ["-p", str(pid)]
    driver = subprocess.Popen(load_generator.command(peer, load, seconds + 3), stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    try:
        time.sleep(1)
        tracer = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        time.sleep(seconds)
        tracer.send_signal(signal.SIGINT)
        said = tracer.communicate(timeout=20)[1].decode(errors="replace")
    finally:
        driver.kill()
        driver.wait()
    if not os.path.exists(trace) or os.path.getsize(trace) == 0:
        raise Missing(f"strace could not trace {peer.name} (ptrace is for root, or kernel.yama.ptrace_scope = 0): {said}")
    with open(trace, errors="replace") as file:
        return per_request(file, peer.port)


def per_request(lines, port):
    """Calls per request out of a trace. A request is a change from reading to writing on a caller's connection."""
    calls, sockets, requests = collections.Counter(), 0, 0
    last = {}
    for line in lines:
        match = CALL.match(line)
        if not match:
            continue
        name, number, kind = match.groups()
        calls[name] += 1
        if name not in READS | WRITES or not (kind or "").startswith("TCP"):
            continue
        sockets += 1
        result = RESULT.search(line)
        if f":{port}->" not in kind or not result or int(result[1]) <= 0:
            continue
        reading = name in READS
        requests += last.get(number) is True and not reading
        last[number] = reading
    if requests < 100:
        raise Failed(f"only {requests} requests seen by strace")
    found = {name: total / requests for name, total in calls.most_common() if total / requests >= 0.01}
    return {"requests": requests, "socket": sockets / requests, "calls": found}
