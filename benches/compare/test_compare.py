"""The arithmetic of the comparison, on made-up figures: python3 -m unittest discover benches/compare"""

import json
import unittest
from types import SimpleNamespace

import judge
import measure
import prebid
import ssp
import syscalls
import table
from bodies import FILES, fixture, on_the_wire
from rounds import Result, Row, Sample, median, undone
from variants import variants

TRACE = """\
7 epoll_wait(5<anon_inode:[eventpoll]>, [...], 512, 59999) = 1
7 recvfrom(10<TCP:[127.0.0.1:80->127.0.0.1:4000]>, ""..., 1024, 0, NULL, NULL) = 1024
7 recvfrom(10<TCP:[127.0.0.1:80->127.0.0.1:4000]>, ""..., 1574, 0, NULL, NULL) = 1574
7 writev(12<TCP:[127.0.0.1:5000->127.0.0.1:90]>, [...], 3) = 2587
7 write(4<anon_inode:[eventfd]>, "", 8) = 8
7 recvfrom(12<TCP:[127.0.0.1:5000->127.0.0.1:90]>, ""..., 4096, 0, NULL, NULL) = 369
7 recvfrom(12<TCP:[127.0.0.1:5000->127.0.0.1:90]>, 0x1, 4096, 0, NULL, NULL) = -1 EAGAIN (Resource temporarily unavailable)
7 writev(10<TCP:[127.0.0.1:80->127.0.0.1:4000]>, [...], 2) = 369
"""


def rows(cells, full, half=None):
    """A result whose rows have the CPU figures of `full` and the p99 of `half`, round by round."""
    made = []
    for label, peer, versus in cells:
        cell = SimpleNamespace(label=label, peer=peer, versus=versus, load=SimpleNamespace(connections=32))
        row = Row(cell, [sample(cpu=value) for value in full.get(label, [])])
        row.half = [sample(p99=value) for value in (half or {}).get(label, [])]
        made.append(row)
    return Result(SimpleNamespace(name="base", about=""), "", made)


def sample(cpu=1.0, p99=None):
    """One sample."""
    return Sample(requests=1000, cpu=cpu, rate=1000, busy=1, foreign=0, errors=0, reconnects=0, p50=p99, p99=p99, p999=p99)


class Syscalls(unittest.TestCase):
    """Counting in a trace."""

    def test_only_tcp_counts_and_a_request_is_read_then_write(self):
        found = syscalls.per_request((TRACE * 200).splitlines(), 80)
        self.assertEqual(found["requests"], 200)
        self.assertEqual(found["socket"], 6)
        self.assertEqual(found["calls"], {"epoll_wait": 1, "recvfrom": 4, "writev": 2, "write": 1})

    def test_too_few_requests_are_no_measurement(self):
        with self.assertRaises(syscalls.Failed):
            syscalls.per_request(TRACE.splitlines(), 80)


class Measure(unittest.TestCase):
    """Reading metrics."""

    BEFORE = 'd_bucket{le="0.001"} 10\nd_bucket{le="0.002"} 10\nd_bucket{le="+Inf"} 10\n'
    AFTER = 'd_bucket{le="0.001"} 20\nd_bucket{le="0.002"} 110\nd_bucket{le="+Inf"} 110\nc{a="x",b="y"} 3\nc{a="x",b="z"} 4\n'

    def test_quantiles_are_of_what_came_in_between(self):
        before, after = measure.Metrics(self.BEFORE), measure.Metrics(self.AFTER)
        self.assertAlmostEqual(measure.quantile_between(before, after, "d", 0.55), 0.0015)
        self.assertAlmostEqual(measure.quantile_between(before, after, "d", 0.05), 0.0005)
        self.assertIsNone(measure.quantile_between(after, after, "d", 0.5))

    def test_totals_go_by_labels(self):
        metrics = measure.Metrics(self.AFTER)
        self.assertEqual((metrics.total("c"), metrics.total("c", b="z"), metrics.total("c", a="q")), (7, 4, 0))

    def test_a_request_without_token_or_bid_is_an_error(self):
        def scrape(bids, injected):
            return measure.Metrics(f'uid2gw_requests_total{{outcome="bid"}} {bids}\nuid2gw_requests_total{{outcome="nobid"}} 2\n'
                                   f'uid2gw_requests_total{{outcome="cancelled"}} 1\n'
                                   f'uid2gw_identity_total{{result="injected"}} {injected}\n'
                                   f'uid2gw_identity_total{{result="absent"}} 5\n')
        known = SimpleNamespace(load=SimpleNamespace(known=100))
        some = SimpleNamespace(load=SimpleNamespace(known=20))
        self.assertEqual(undone(measure.Metrics(""), scrape(100, 98), known), 2 + 5)
        self.assertEqual(undone(scrape(100, 98), scrape(300, 298), known), 0)
        self.assertEqual(undone(scrape(0, 0), scrape(200, 200), some), 200)


class Tables(unittest.TestCase):
    """Ratios and limits."""

    CELLS = (("direct", "direct", None), ("nginx", "nginx", None), ("gateway", "gateway", "nginx"))

    def test_ratios_are_paired_by_round(self):
        result = rows(self.CELLS, {"nginx": [10, 20, 10], "gateway": [11, 22, 13]})
        found = table.ratios(result, result.row("gateway"), "full")
        self.assertEqual([round(each, 2) for each in found], [1.1, 1.1, 1.3])
        line = judge.ratio({"base": result}, "base", "gateway", "CPU", 1.2)
        self.assertTrue(line.kept)
        self.assertEqual((round(line.value, 2), round(line.low, 2), round(line.high, 2)), (1.1, 1.1, 1.3))
        self.assertFalse(judge.ratio({"base": result}, "base", "gateway", "CPU", 1.05).kept)

    def test_latency_is_what_was_added(self):
        result = rows(self.CELLS, {}, {"direct": [100, 100, 100], "nginx": [200, 300, 100], "gateway": [220, 400, 150]})
        line = judge.added_p99({"base": result})
        self.assertAlmostEqual(line.value, 1.35)
        lost = rows(self.CELLS, {}, {"direct": [100, 100, 100], "nginx": [90, 80, 150], "gateway": [220, 400, 150]})
        self.assertIsNone(judge.added_p99({"base": lost}).value)
        self.assertFalse(judge.added_p99({"base": lost}).kept)

    def test_a_further_leg_is_half_of_what_two_cost(self):
        result = rows((("gateway", "gateway", "nginx"), ("nginx", "nginx", None), ("gateway, 3 SSPs", "gateway", "gateway")),
                      {"gateway": [20, 20], "gateway, 3 SSPs": [50, 46]})
        self.assertAlmostEqual(judge.further_leg({"ssp3": result}).value, 0.7)

    def test_what_did_not_run_is_not_kept(self):
        self.assertTrue(all(line.value is None and not line.kept and line.why for line in judge.lines({}, [])))

    def test_medians(self):
        self.assertEqual((median([3, 1, 2]), median([4, 1, 2, 3])), (2, 2.5))


class Inputs(unittest.TestCase):
    """What is sent and answered."""

    def test_requests_are_whole(self):
        for name in FILES:
            before, after = on_the_wire(fixture(name))
            head, body = (before + b"user-1" + after).split(b"\r\n\r\n", 1)
            self.assertEqual(body, fixture(name))
            self.assertIn(b"\r\nContent-Length: %d\r\n" % len(body), head)
            self.assertTrue(head.endswith(b"\r\nX-Publisher-User-Id: user-1"))

    def test_answers_fit_the_requests(self):
        for name in FILES:
            request = json.loads(fixture(name))
            answer = json.loads(ssp.answer(request["id"], 2))
            self.assertEqual(answer["id"], request["id"])
            self.assertIn(answer["seatbid"][0]["bid"][0]["impid"], [imp["id"] for imp in request["imp"]])

    def test_prebid_gets_its_own_bidders(self):
        setup = SimpleNamespace(ssps=3)
        request = json.loads(prebid.Prebid.content(SimpleNamespace(setup=setup), "2k"))
        self.assertEqual(list(request["imp"][0]["ext"]["prebid"]["bidder"]), ["epom", "epom2", "epom3"])
        self.assertEqual(request["ext"]["prebid"]["aliases"], {"epom2": "epom", "epom3": "epom"})

    def test_what_a_cell_is_compared_with_is_there(self):
        for variant in list(variants().values()) + list(variants(pbs=True).values()):
            labels = [cell.label for cell in variant.cells]
            self.assertEqual(len(labels), len(set(labels)), variant.name)
            self.assertTrue(all(cell.versus in (None, *labels) for cell in variant.cells), variant.name)
            self.assertEqual(len({cell.load.body for cell in variant.cells}), 1, variant.name)


if __name__ == "__main__":
    unittest.main()
