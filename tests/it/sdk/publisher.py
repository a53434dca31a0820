"""What a publisher's server does with the official SDK: generate, refresh, opt-outs.

    publisher.py BASE_URL API_KEY CLIENT_SECRET EMAIL

Prints one JSON document. Each answer is {"status": ...}, with "identity" when there is one, or {"error": ...}.
"""

import json
import socket
import sys
import urllib.error

from uid2_client import TokenGenerateInput, Uid2PublisherClient
from uid2_client.identity_tokens import IdentityTokens


def told(call):
    """The answer of one call, or what it raised."""
    try:
        answer = call()
    except urllib.error.HTTPError as error:
        return None, {"error": f"HTTP {error.code}: {error.read().decode(errors='replace')}"}
    except Exception as error:  # the SDK raises bare exceptions
        return None, {"error": f"{type(error).__name__}: {error}"}
    identity = answer.get_identity()
    shown = {"status": answer.status}
    if identity is not None:
        shown["identity"] = json.loads(identity.get_json_string())
    return identity, shown


def main(base_url, key, secret, email):
    client = Uid2PublisherClient(base_url, key, secret)

    def generate(wanted):
        return told(lambda: client.generate_token(wanted))

    def refresh(identity):
        if identity is None:
            return None, {"error": "nothing to refresh"}
        return told(lambda: client.refresh_token(identity))

    report = {}
    identity, report["generate"] = generate(TokenGenerateInput.from_email(email))
    # A session store in between: the identity must survive being written down.
    if identity is not None:
        identity = IdentityTokens.from_json_string(identity.get_json_string())
    refreshed, report["refresh"] = refresh(identity)
    _, report["refresh_again"] = refresh(refreshed)
    _, report["unhashed"] = generate(TokenGenerateInput.from_email(email.upper()).do_not_hash())
    _, report["phone"] = generate(TokenGenerateInput.from_phone("+12345678901"))
    _, report["optout"] = generate(TokenGenerateInput.from_email("optout@example.com"))
    leaving, report["before_optout"] = generate(TokenGenerateInput.from_email("refresh-optout@example.com"))
    _, report["refresh_optout"] = refresh(leaving)
    stranger = Uid2PublisherClient(base_url, key + "x", secret)
    _, report["wrong_key"] = told(lambda: stranger.generate_token(TokenGenerateInput.from_email(email)))
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    # The SDK sets no timeout; a peer that hangs must fail, not wait.
    socket.setdefaulttimeout(20)
    main(*sys.argv[1:])
