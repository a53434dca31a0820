"""The fixed-answer SSP: nginx that reads a bid request whole and returns one bid, the cheapest answer there is.

It also counts: the requests it served are the requests that a proxy forwarded, whatever the load generator says, and the
connections it accepted tell whether a proxy kept its connections.
"""

import http.client
import json
import os
import time

from bodies import PATH
from machine import Failed, find

MIRROR_PATH = "/mirror"
BID = {"id": "b1", "impid": "1", "price": 1.25, "adm": '<a href="https://ads.example/c">x</a>', "crid": "c1",
       "adomain": ["ads.example"]}

# `return` discards a body as it comes and may answer before it is there; with room for head and body in the first buffer
# both are read with one call, and the answer goes out after the last byte. Nothing may ever touch the disk.
CONFIG = """\
daemon off; worker_processes 1; pid {folder}/ssp.pid; error_log {folder}/ssp.err; {user}
worker_rlimit_nofile 8192;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  keepalive_requests 1000000000; keepalive_timeout 3600s;
  client_header_buffer_size 32k; client_body_buffer_size 64k;
{temp}
{servers}
  server {{ listen 127.0.0.1:{status}; location / {{ stub_status; }} }}
}}
"""
SERVER = """\
  server {{
    listen 127.0.0.1:{port} backlog=8192;
    location / {{ default_type application/json; return 200 '{answer}'; }}
    location = {mirror} {{ return 200 ''; }}
  }}
"""


def temp_paths(folder):
    """nginx makes these folders at the start, and would need root for the built-in ones."""
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    return "\n".join(f"  {kind}_temp_path {folder}/{kind};" for kind in kinds)


def user_line():
    """Started by root, nginx gives its workers to `nobody`, who may not enter a private temporary folder."""
    return "user root;" if os.geteuid() == 0 else ""


class Ssp:
    """`count` SSPs in one process with one worker, a port each."""

    def __init__(self, machine, cores, count, request_id):
        self.asked = 0
        self.ports = [machine.port() for _ in range(count)]
        self.status_port = machine.port()
        self.answers = [answer(request_id, number) for number in range(count)]
        servers = "".join(
            SERVER.format(port=port, mirror=MIRROR_PATH, answer=text.replace("\\", "\\\\").replace("'", "\\'"))
            for port, text in zip(self.ports, self.answers)
        )
        folder = machine.path("ssp")
        os.makedirs(folder, exist_ok=True)
        config = machine.write("ssp/nginx.conf", CONFIG.format(
            folder=folder, user=user_line(), temp=temp_paths(folder), servers=servers, status=self.status_port))
        self.process = machine.start("ssp", [find("nginx"), "-c", config, "-e", f"{folder}/ssp.err"], cores,
                                     self.status_port)

    def url(self, number=0):
        """Where a proxy sends its requests."""
        return f"http://127.0.0.1:{self.ports[number]}{PATH}"

    def counts(self):
        """Requests served and connections accepted so far, without this question's own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.status_port, timeout=10)
        connection.request("GET", "/")
        text = connection.getresponse().read().decode()
        connection.close()
        self.asked += 1
        accepted, _handled, requests = (int(word) for word in text.splitlines()[2].split())
        return requests - self.asked, accepted - self.asked

    def wait_for(self, count, seconds=30):
        """Returns when more than `count` requests were served: a load generator may have to read its corpus first."""
        end = time.monotonic() + seconds
        while self.counts()[0] <= count:
            if time.monotonic() > end:
                raise Failed(f"no request arrived within {seconds} s")
            time.sleep(0.02)

    def settle(self, seconds=5):
        """Returns when nothing arrives any more: the last requests of a load are still under way when it has ended."""
        end, last = time.monotonic() + seconds, None
        while time.monotonic() < end:
            seen = self.counts()[0]
            if seen == last:
                return
            last = seen
            time.sleep(0.05)


def answer(request_id, number):
    """The bid response of one SSP; ids differ between SSPs, as they do in life, so that merging has its usual work."""
    bid = dict(BID, id=f"b{number + 1}")
    return json.dumps({"id": request_id, "seatbid": [{"bid": [bid], "seat": f"s{number + 1}"}], "cur": "USD"},
                      separators=(",", ":"))
