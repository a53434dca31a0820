"""The limits that the gateway promises to keep, each as one line: what was measured, the limit, kept or missed."""

from dataclasses import asdict, dataclass

import table
from rounds import median

# Both ends of a trace cut through requests; a promise about counts is kept within half a per cent.
COUNT_SLACK = 1.005


@dataclass
class Line:
    """One judged line. Without a value it could not be measured, and `why` says so."""

    what: str
    limit: float
    value: float = None
    low: float = None
    high: float = None
    at_least: bool = False
    slack: float = 1.0
    why: str = ""

    @property
    def kept(self):
        """Whether the limit holds."""
        if self.value is None:
            return False
        return self.value >= self.limit if self.at_least else self.value <= self.limit * self.slack

    def document(self):
        """For JSON."""
        return dict(asdict(self), kept=self.kept)

    def show(self):
        """For people."""
        if self.value is None:
            return f"   not measured  {self.what}: {self.why}"
        spread = f" ({self.low:.2f}–{self.high:.2f})" if self.low is not None else ""
        sign = "≥" if self.at_least else "≤"
        return f"   {'kept  ' if self.kept else 'MISSED'}  {self.what}: {self.value:.2f}{spread} {sign} {self.limit:g}"


def lines(results, extra):
    """All lines, from the results by name of variant and from other checks."""
    found = [
        ratio(results, "base", "gateway", "CPU per request, 1 SSP, 2.4 KB, identity cached, × nginx", 1.20),
        calls(results, "base", "gateway", "socket reads and writes per request, 1 SSP", 4),
        calls(results, "ssp3", "gateway, 3 SSPs", "socket reads and writes per request, 3 SSPs", 8),
        further_leg(results),
        added_p99(results),
        ratio(results, "identities", "gateway, 1,000,000", "CPU with 1,000,000 identities, × 1,000", 1.15),
        ratio(results, "connections", "gateway, 1,024", "CPU with 1,024 connections, × 16", 1.25),
        ratio(results, "unknown", "gateway, 80 % unknown", "CPU with 80 % unknown users, × known", 1.05),
    ]
    return found + extra


def over(line, found):
    """Fills a line from one value per round."""
    if found:
        line.value, line.low, line.high = median(found), min(found), max(found)
    return line


def ratio(results, variant, label, what, limit):
    """CPU per request against the cell's own reference, at saturation."""
    line = Line(what, limit, why=f"variant {variant} did not run")
    result = results.get(variant)
    return over(line, table.ratios(result, result.row(label), "full")) if result else line


def calls(results, variant, label, what, limit):
    """Socket calls per request."""
    line = Line(what, limit, slack=COUNT_SLACK, why=f"variant {variant} did not run, or strace is missing")
    result = results.get(variant)
    counted = result.syscalls.get(label) if result else None
    if counted:
        line.value = counted["socket"]
    return line


def further_leg(results):
    """What one more SSP costs, as a share of a request with one SSP, paired by round."""
    line = Line("CPU of one more SSP leg, × a request with one SSP", 0.75, why="variant ssp3 did not run")
    result = results.get("ssp3")
    if not result:
        return line
    return over(line, [(ratio - 1) / 2 for ratio in table.ratios(result, result.row("gateway, 3 SSPs"), "full")])


def added_p99(results):
    """Latency added over direct, the gateway's against nginx's in the same round."""
    line = Line("added latency p99 at half load, × nginx", 1.25, why="variant base did not run")
    result = results.get("base")
    if not result or not result.row("gateway").half:
        return line
    ours, theirs = (table.added(result, result.row(name), "p99") for name in ("gateway", "nginx"))
    pairs = [mine / other for mine, other in zip(ours, theirs) if other > 0 and mine > 0]
    line.why = "added latency is lost in the noise of this machine"
    return over(line, pairs) if 2 * len(pairs) > len(ours) else line
