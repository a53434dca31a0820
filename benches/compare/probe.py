"""Before anything is measured: does each peer return the SSP's answer, and do the bytes arrive that should?"""

import http.client
import json
import socket

from bodies import HEADERS, PATH, USER_HEADER
from logins import unverified
from machine import Failed


def check(peer, cell, ssp):
    """Sends one request and compares the answer with the SSP's. Returns the bytes of the whole answer."""
    status, head, answer = ask(peer, cell)
    if status != 200:
        raise Failed(f"{cell.label}: answered {status} {answer[:200]!r}")
    wanted = [json.loads(text) for text in ssp.answers[:cell.setup.ssps]]
    if cell.peer == "nginx":
        wanted = wanted[:1]
    bids = sorted(bid["id"] for answer in wanted for seat in answer["seatbid"] for bid in seat["bid"])
    got = sorted(bid["id"] for seat in json.loads(answer).get("seatbid", []) for bid in seat["bid"])
    if cell.peer != "pbs" and got != bids or not got:
        raise Failed(f"{cell.label}: bids {got} instead of {bids}")
    if len(wanted) == 1 and cell.peer != "pbs" and answer != ssp.answers[0].encode():
        raise Failed(f"{cell.label}: the answer is not the SSP's, byte for byte")
    return head + len(answer)


def cipher(peer):
    """The cipher that a TLS client of OpenSSL's preferences gets, as wrk's; None without TLS."""
    if not peer.setup.tls:
        return None
    with socket.create_connection(("127.0.0.1", peer.port), timeout=10) as plain, unverified().wrap_socket(plain) as secure:
        return secure.cipher()[0]


def ask(peer, cell):
    """One request as the load generators send it; status, bytes of the head, body of the answer."""
    if peer.setup.tls:
        connection = http.client.HTTPSConnection("127.0.0.1", peer.port, timeout=10, context=unverified())
    else:
        connection = http.client.HTTPConnection("127.0.0.1", peer.port, timeout=10)
    connection.request("POST", PATH, peer.content(cell.load.body), {**HEADERS, USER_HEADER: "user-1"})
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    head = len(f"HTTP/1.1 {answer.status} {answer.reason}\r\n\r\n") + sum(
        len(f"{name}: {value}\r\n") for name, value in answer.getheaders())
    return answer.status, head, text
