"""The bid requests that are sent: fixtures of this repository, byte for byte, and the head that goes before them."""

import json
import os

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
KEY = "compare-key-0001"
PATH = "/openrtb2/auction"
FILES = {"0.4k": "web-banner-tiny.json", "2k": "web-banner-2k.json", "8k": "web-multi-imp-8k.json"}
# The same for all targets, the name of the user aside, which comes last.
HEADERS = {"Host": "gateway.example", "Content-Type": "application/json", "Authorization": f"Bearer {KEY}",
           "x-openrtb-version": "2.6"}
USER_HEADER = "X-Publisher-User-Id"


def fixture(name):
    """A body by its short name."""
    with open(os.path.join(ROOT, "fixtures/openrtb", FILES[name]), "rb") as file:
        return file.read()


def request_id(name):
    """The id of a request, which an SSP has to answer with."""
    return json.loads(fixture(name))["id"]


def on_the_wire(content):
    """One request as it is sent: all up to the user's name, and all after it."""
    lines = [f"POST {PATH} HTTP/1.1", *(f"{name}: {value}" for name, value in HEADERS.items()),
             f"Content-Length: {len(content)}", f"{USER_HEADER}: "]
    return "\r\n".join(lines).encode(), b"\r\n\r\n" + content
