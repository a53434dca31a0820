"""The table for people."""

from rounds import median

COLUMNS = ("", "CPU µs/req", "ratio (min–max)", "at half load", "ratio (min–max)", "requests/s", "added p50 / p99 / p99.9 µs",
           "memory MB", "errors")


def values(row, kind, name):
    """One figure of a row in every round."""
    return [getattr(sample, name) for sample in getattr(row, kind)]


def ratios(result, row, kind, name="cpu"):
    """A row's figure divided by that of the row it is compared with, round by round."""
    if row.cell.versus is None:
        return []
    other = result.row(row.cell.versus)
    return [mine / theirs for mine, theirs in zip(values(row, kind, name), values(other, kind, name))]


def added(result, row, name):
    """A latency percentile beyond the direct one at the same rate, paired by round, in µs."""
    direct = next((each for each in result.rows if each.cell.peer == "direct"), None)
    if direct is None or row is direct:
        return []
    pairs = zip(values(row, "half", name), values(direct, "half", name))
    return [mine - theirs for mine, theirs in pairs if mine is not None and theirs is not None]


def spread(found):
    """Median with smallest and largest."""
    return f"{median(found):.2f} ({min(found):.2f}–{max(found):.2f})" if found else ""


def show(result):
    """The lines of one variant."""
    lines = [[], list(COLUMNS)]
    for row in result.rows:
        direct = row.cell.peer == "direct"
        full, half = values(row, "full", "cpu"), values(row, "half", "cpu")
        latencies = [added(result, row, name) for name in ("p50", "p99", "p999")]
        rate = median(values(row, "full", "rate"))
        saturated = direct or median(values(row, "full", "busy")) > 0.95
        lines.append([
            row.cell.label,
            "" if direct else f"{median(full):.1f}",
            spread(ratios(result, row, "full")),
            f"{median(half):.1f}" if half and not direct else "",
            spread(ratios(result, row, "half")),
            f"{rate:,.0f}" if saturated else f"≥ {rate:,.0f}",
            " / ".join(f"{median(each):,.0f}" for each in latencies) if all(latencies) else "",
            "" if direct else f"{row.resident / 1e6:.1f}",
            str(sum(values(row, "full", "errors")) + sum(sample.errors for sample in row.half)),
        ])
    body = aligned(lines[1:])
    head = f"== {result.variant.name}: {result.variant.about}"
    return "\n".join([head, *body, *notes(result)])


def notes(result):
    """What one has to know to believe the figures."""
    found = [f"{result.cores}; {len(result.rows[0].full)} rounds"]
    if result.half_rate:
        found[0] += f"; half load is {result.half_rate:,.0f} requests/s"
    direct = next((row for row in result.rows if row.cell.peer == "direct" and row.half), None)
    if direct:
        shown = " / ".join(f"{median(values(direct, 'half', name)):,.0f}" for name in ("p50", "p99", "p999"))
        found.append(f"direct at half load: p50 / p99 / p99.9 {shown} µs")
    for row in result.rows:
        if row.self_p99 is not None:
            found.append(f"{row.cell.label}: self_duration p99 {row.self_p99:,.0f} µs at half load")
        reconnects = sum(sample.reconnects for sample in row.full + row.half)
        requests = sum(sample.requests for sample in row.full + row.half)
        if reconnects > requests / 100:
            found.append(f"{row.cell.label}: {reconnects:,} new connections to the SSP in {requests:,.0f} requests")
    found.append("answers of " + ", ".join(f"{row.cell.label} {row.answer}" for row in result.rows) + " bytes")
    if result.rows[-1].cipher:
        found.append("ciphers: " + ", ".join(f"{row.cell.label} {row.cipher}" for row in result.rows))
    found.append("CPU without load, ms a second: " + ", ".join(
        f"{row.cell.label} {row.idle:.1f}" for row in result.rows if row.cell.peer != "direct"))
    busy = {row.cell.label: median(values(row, "full", "busy")) for row in result.rows if row.cell.peer != "direct"}
    slack = ", ".join(f"{label} {share:.0%}" for label, share in busy.items() if share <= 0.95)
    if slack:
        found.append(f"not saturated, so that throughput is a lower bound: proxy's core busy with {slack}")
    foreign = max(sample.foreign for row in result.rows if row.cell.peer != "direct" for sample in row.full + row.half)
    if foreign > 0.05:
        found.append(f"other programs took up to {foreign:.0%} of the proxy's core: trust CPU ratios, not latencies")
    for label, counted in result.syscalls.items():
        calls = ", ".join(f"{name} {per:.2f}" for name, per in counted["calls"].items())
        found.append(f"{label}: {counted['socket']:.2f} socket reads and writes a request ({calls})")
    return ["   " + line for line in found]


def aligned(lines):
    """Columns as wide as their widest cell; empty columns vanish."""
    kept = [index for index in range(len(lines[0])) if index == 0 or any(line[index] for line in lines[1:])]
    widths = [max(len(line[index]) for line in lines) for index in kept]
    return ["  ".join(line[index].ljust(width) if index == 0 else line[index].rjust(width)
                      for index, width in zip(kept, widths)).rstrip() for line in lines]
