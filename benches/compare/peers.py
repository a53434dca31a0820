"""The proxies we compare with, each tuned as its own documentation advises for this job. README.md has the sources."""

import os
from dataclasses import dataclass

from bodies import fixture
from machine import find
from ssp import MIRROR_PATH, temp_paths, user_line

NGINX = """\
daemon off; worker_processes {workers}; pid {folder}/nginx.pid; error_log {folder}/nginx.err; {user}
worker_rlimit_nofile 8192;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  keepalive_requests 1000000000; keepalive_timeout 3600s;
  client_body_buffer_size 64k;
{temp}
{upstreams}
  proxy_http_version 1.1; proxy_set_header Connection "";
  server {{
    listen 127.0.0.1:{port}{ssl} backlog=8192;
{certificate}
    location / {{ proxy_pass http://ssp0;{mirrors} }}
{mirror_locations}
  }}
}}
"""

HAPROXY = """\
global
  nbthread {workers}
  maxconn 4000
  tune.pool-low-fd-ratio 80
  tune.pool-high-fd-ratio 90
defaults
  mode http
  timeout connect 2s
  timeout client 3600s
  timeout server 60s
  timeout http-keep-alive 3600s
  http-reuse always
  no log
frontend in
  bind 127.0.0.1:{port} backlog 8192{ssl}
  default_backend ssp
backend ssp
  server ssp0 127.0.0.1:{upstream}
"""


@dataclass(frozen=True)
class Setup:
    """How a proxy is started. `identities` concerns the gateway alone."""

    ssps: int = 1
    workers: int = 1
    tls: bool = False
    connections: int = 32
    identities: int = 1000


class Peer:
    """A running target of the load: where it listens, and which process is measured."""

    name = ""

    def __init__(self, port, process, setup, certificate=None):
        self.port = port
        self.process = process
        self.setup = setup
        self.certificate = certificate

    @property
    def origin(self):
        """Scheme, host and port."""
        return f"{'https' if self.setup.tls else 'http'}://127.0.0.1:{self.port}"

    def content(self, name):
        """The bid request by its short name; the same bytes for all but Prebid Server, which needs its own bidders in it."""
        return fixture(name)


class Direct(Peer):
    """No proxy: what load generator and SSP cost by themselves."""

    name = "direct"

    def __init__(self, ssp, setup):
        super().__init__(ssp.ports[0], ssp.process, setup)


class Nginx(Peer):
    """nginx's `proxy_pass`.

    Several SSPs: `mirror` sends copies to the others and drops their answers; it merges nothing. It keeps the connections
    of copies only when their answers are empty, so they are.
    """

    name = "nginx"

    def __init__(self, machine, cores, ssp, setup, certificate=None):
        port = machine.port()
        folder = machine.path(f"nginx-{port}")
        os.makedirs(folder)
        keepalive = max(256, setup.connections)
        upstreams = "\n".join(
            f"  upstream ssp{number} {{ server 127.0.0.1:{ssp.ports[number]}; keepalive {keepalive};"
            " keepalive_requests 1000000000; }" for number in range(setup.ssps)
        )
        others = range(1, setup.ssps)
        text = NGINX.format(
            workers=setup.workers, folder=folder, user=user_line(), temp=temp_paths(folder), upstreams=upstreams,
            port=port, ssl=" ssl" if setup.tls else "",
            certificate=f"    ssl_certificate {certificate.chain}; ssl_certificate_key {certificate.key};\n"
                        "    ssl_protocols TLSv1.3;" if setup.tls else "",
            mirrors="".join(f" mirror /m{number};" for number in others),
            mirror_locations="\n".join(
                f"    location = /m{number} {{ internal; proxy_pass http://ssp{number}{MIRROR_PATH}; }}"
                for number in others),
        )
        config = machine.write(f"nginx-{port}/nginx.conf", text)
        command = [find("nginx"), "-c", config, "-e", f"{folder}/nginx.err"]
        super().__init__(port, machine.start(f"nginx-{port}", command, cores, port), setup, certificate)


class Haproxy(Peer):
    """HAProxy in HTTP mode. It sends a request to one server only, so it has no part in the comparison of several SSPs."""

    name = "haproxy"

    def __init__(self, machine, cores, ssp, setup, certificate=None):
        port = machine.port()
        ssl = f" ssl crt {certificate.both} ssl-min-ver TLSv1.3" if setup.tls else ""
        text = HAPROXY.format(workers=setup.workers, port=port, upstream=ssp.ports[0], ssl=ssl)
        config = machine.write(f"haproxy-{port}.cfg", text)
        command = [find("haproxy"), "-db", "-f", config]
        super().__init__(port, machine.start(f"haproxy-{port}", command, cores, port), setup, certificate)
