"""The machine: which cores serve what, free ports, a temporary folder, and processes that end with us.

Every process started here is ended by its process id when the `Machine` is left, however that happens: a normal end, an
exception, Ctrl-C or SIGTERM. Should this program itself be killed, the kernel ends them (PR_SET_PDEATHSIG).
"""

import contextlib
import ctypes
import os
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time

PR_SET_PDEATHSIG = 1
SYSTEM_FOLDERS = "/usr/local/sbin:/usr/sbin:/sbin"


class Missing(Exception):
    """A program that is needed is not here."""


class Failed(Exception):
    """A program did not do what it was started for."""


def find(program):
    """Path of a program; Debian keeps servers in /usr/sbin, which is not on everyone's PATH."""
    path = shutil.which(program) or shutil.which(program, path=SYSTEM_FOLDERS)
    if path is None:
        raise Missing(f"{program} is not installed (apt-get install {program})")
    return path


def version(program, flag):
    """First line that a program prints about its version."""
    done = subprocess.run([find(program), flag], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.stdout.splitlines()[0].strip() if done.stdout else "unknown"


class Cores:
    """Which cores the proxy, the SSP and the load generator run on.

    The proxy is alone on its cores, where there are enough: with two cores, SSP and load share the second; with one
    worker per core of a two-core machine all share both, and latencies mean little. Hyperthreads of one core are
    never given to different parts.
    """

    def __init__(self, workers=1):
        cores = physical_cores()
        self.count = len(cores)
        self.proxy = cores[:workers]
        rest = cores[workers:]
        self.alone = bool(rest)
        self.ssp = rest[:1] or cores
        self.load = rest[1:5] or rest or cores

    def describe(self):
        """For the output."""
        shared = "" if self.alone else " (shared: latencies and throughput mean little)"
        return f"proxy on core {listed(self.proxy)}, SSP on {listed(self.ssp)}, load on {listed(self.load)}{shared}"


def physical_cores():
    """One hyperthread of each core that this process may use."""
    seen, cores = set(), []
    for cpu in sorted(os.sched_getaffinity(0)):
        try:
            with open(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list") as file:
                siblings = file.read().strip()
        except OSError:
            siblings = str(cpu)
        if siblings not in seen:
            seen.add(siblings)
            cores.append(cpu)
    return cores


def listed(cores):
    """Cores as taskset and people write them."""
    return ",".join(str(core) for core in cores)


class Machine:
    """A temporary folder and the processes started in it. A context manager."""

    def __init__(self, keep=False):
        self.keep = keep
        self.folder = tempfile.mkdtemp(prefix="uid2gw-compare-")
        self.processes = []
        self.ports = set()

    def __enter__(self):
        raise_open_files()
        signal.signal(signal.SIGTERM, _interrupted)
        signal.signal(signal.SIGHUP, _interrupted)
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            stop(process)
        if self.keep:
            print(f"kept: {self.folder}")
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, name):
        """A path in the temporary folder."""
        return os.path.join(self.folder, name)

    def write(self, name, text):
        """Writes a file into the temporary folder and returns its path."""
        path = self.path(name)
        with open(path, "wb" if isinstance(text, bytes) else "w") as file:
            file.write(text)
        return path

    def port(self):
        """A free port, not handed out before. Somebody else may take it first; then the server says so and we end."""
        while True:
            with contextlib.closing(socket.socket()) as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            if port not in self.ports:
                self.ports.add(port)
                return port

    def start(self, name, command, cores, port, **options):
        """Starts a server on some cores and waits until `port` takes connections."""
        log = self.path(f"{name}.log")
        with open(log, "ab") as out:
            process = subprocess.Popen(
                ["taskset", "-c", listed(cores), *command],
                stdout=out, stderr=out, stdin=subprocess.DEVNULL, preexec_fn=_end_with_parent, **options,
            )
        self.processes.append(process)
        try:
            until_listening(process, port)
        except Failed as fault:
            with open(log, errors="replace") as file:
                head = file.read()[:1000]
            raise Failed(f"{name}: {fault}\n{head}") from None
        return process

    def end(self, process):
        """Stops one process before the others."""
        if process in self.processes:
            self.processes.remove(process)
            stop(process)


def _interrupted(*_):
    raise SystemExit(1)


def _end_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def stop(process):
    """SIGTERM, and SIGKILL when that does not help. nginx's workers end with their master."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def until_listening(process, port, seconds=20):
    """Returns when a TCP connection succeeds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            raise Failed(f"ended at once with exit code {process.returncode}")
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        time.sleep(0.02)
    raise Failed(f"does not listen on port {port} after {seconds} s")


def raise_open_files():
    """A thousand connections on both sides need more than the usual 1,024 descriptors."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
