"""What a buyer does with the official SDK: fetch the keys and decrypt tokens from bid requests.

    bidstream.py BASE_URL API_KEY CLIENT_SECRET DOMAIN TOKEN...

Prints one JSON list with an entry for each token, in order.
"""

import json
import socket
import sys

from uid2_client import BidstreamClient


def shown(decrypted):
    # The flag for client-side generation is left out: the SDK reads it from the wrong bit.
    return {
        "status": decrypted.status.name,
        "uid": decrypted.uid,
        "site_id": decrypted.site_id,
        "scope": decrypted.identity_scope.name if decrypted.identity_scope is not None else None,
        "identity_type": decrypted.identity_type.name if decrypted.identity_type is not None else None,
        "version": decrypted.advertising_token_version.name if decrypted.advertising_token_version else None,
        "established_ms": round(decrypted.established.timestamp() * 1000) if decrypted.established else None,
        "expires_ms": round(decrypted.expiry.timestamp() * 1000) if decrypted.expiry else None,
    }


def main(base_url, key, secret, domain, *tokens):
    client = BidstreamClient(base_url, key, secret)
    keys = client.refresh()
    if not keys.success:
        sys.exit(f"the keys could not be fetched: {keys.reason}")
    entries = []
    for token in tokens:
        try:
            entries.append(shown(client.decrypt_token_into_raw_uid(token, domain)))
        except Exception as error:  # the SDK raises bare exceptions
            entries.append({"status": f"{type(error).__name__}: {error}"})
    json.dump(entries, sys.stdout)


if __name__ == "__main__":
    # The SDK sets no timeout; a peer that hangs must fail, not wait.
    socket.setdefaulttimeout(20)
    main(*sys.argv[1:])
