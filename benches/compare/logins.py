"""Logs users in through the identity API, many at once: one thread, non-blocking sockets, one request in flight on each."""

import http.client
import selectors
import socket
import ssl
from urllib.parse import urlsplit

from machine import Failed

CONNECTIONS = 64
BODY = '{{"user_id":"{user}","email":"{user}@example.com","privacy":{{"gdpr":0}}}}'
HEAD = ("POST /v1/identity HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n"
        "Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n")


def user_id(number):
    """The name of user `number`, counted from 1; the load generators name them the same way."""
    return f"user-{number}"


def status_of(port, path):
    """Status of a GET, or 0."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def login(origin, key, count, progress):
    """Logs in users 1 to `count`; calls `progress(done)` now and then. Fails at the first login that does."""
    numbers = iter(range(1, count + 1))
    selector = selectors.DefaultSelector()
    lines = [Line(origin, key) for _ in range(min(CONNECTIONS, count))]
    for line in lines:
        line.ask(next(numbers))
        selector.register(line.socket, selectors.EVENT_READ, line)
    done = 0
    while done < count:
        for event, _ in selector.select(timeout=30) or _nothing(done):
            if not event.data.answered():
                continue
            done += 1
            if done % 1000 == 0 or done == count:
                progress(done)
            number = next(numbers, None)
            if number is not None:
                event.data.ask(number)
    for line in lines:
        line.socket.close()


def _nothing(done):
    raise Failed(f"no login was answered for 30 s, after {done}")


class Line:
    """One kept connection."""

    def __init__(self, origin, key):
        where = urlsplit(origin)
        self.host, self.key = where.netloc, key
        self.socket = socket.create_connection((where.hostname, where.port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if where.scheme == "https":
            self.socket = unverified().wrap_socket(self.socket)
        self.buffer = b""

    def ask(self, number):
        """Sends the login of one user; it is far smaller than a socket's buffer."""
        body = BODY.format(user=user_id(number))
        self.socket.setblocking(True)
        self.socket.sendall((HEAD.format(host=self.host, key=self.key, length=len(body)) + body).encode())
        self.socket.setblocking(False)

    def answered(self):
        """Reads what there is; true when the whole answer has come."""
        try:
            while True:
                got = self.socket.recv(65536)
                if not got:
                    raise Failed("the gateway closed the connection of a login")
                self.buffer += got
                if self._whole():
                    return True
        except (BlockingIOError, ssl.SSLWantReadError):
            return False

    def _whole(self):
        head, gap, body = self.buffer.partition(b"\r\n\r\n")
        if not gap:
            return False
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        if len(body) < length:
            return False
        if not head.startswith(b"HTTP/1.1 200") or b'"success"' not in body:
            raise Failed(f"a login was answered {head.splitlines()[0].decode()} {body[:200].decode(errors='replace')}")
        self.buffer = b""
        return True


def unverified():
    """TLS without a look at the certificate, which is our own and new."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
