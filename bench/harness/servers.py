"""The servers that are measured: how each is configured and started.

Peers get the settings that a careful user would give them for this job: one worker, no access log,
keep-alive without a limit of requests. Each runs with its own prefix in the bench's scratch folder.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

from .process import BenchError, Process
from .protocol import H2C, HTTP1, Certificate, Protocol

NGINX_MAIN = """\
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid {prefix}/nginx.pid;
error_log {prefix}/error.log;
{user}
events {{ worker_connections 16384; }}
http {{
    access_log off;
    keepalive_timeout 3600s;
    keepalive_requests 1000000000;
    client_body_temp_path {prefix}/body;
    proxy_temp_path {prefix}/proxy;
    fastcgi_temp_path {prefix}/fastcgi;
    uwsgi_temp_path {prefix}/uwsgi;
    scgi_temp_path {prefix}/scgi;
    {http}
}}
"""

NGINX_FIXED = """\
server {{
        listen 127.0.0.1:{port}{listen} backlog=4096;
        {tls}
        default_type application/json;
        location / {{ return 200 '{body}'; }}
        location /item/ {{ return 200 '{item_body}'; }}
    }}
"""

NGINX_PROXY = """\
upstream origin {{
        server 127.0.0.1:{origin};
        keepalive 4096;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
"""

# As nginx's own page on WebSocket has it, with the timeout of a conversation that may be silent.
NGINX_WEBSOCKET = """\
map $http_upgrade $connection_upgrade {{
        default upgrade;
        '' close;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://127.0.0.1:{origin};
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
            proxy_read_timeout 1h;
        }}
    }}
"""

NGINX_TLS = """\
ssl_certificate {file};
        ssl_certificate_key {key};
        ssl_protocols TLSv1.2 TLSv1.3;\
"""

HAPROXY = """\
global
    nbthread 1
    maxconn 8192
defaults
    mode http
    timeout connect 5s
    timeout client 1h
    timeout server 1h
    http-reuse always
frontend client
    bind 127.0.0.1:{port} backlog 4096{proto}
    default_backend origin
backend origin
    server origin 127.0.0.1:{origin}{proto}
"""

# Keys are relative to the file: the certificate stands beside it. The name is the one that
# `ouli record http://127.0.0.1:…` gives, so what that recorded is found.
OULI_ENDPOINT = """\
[[endpoints]]
name = "127.0.0.1"
source_type = "{source}"
source_port = 0
target_type = "{target}"
target_host = "127.0.0.1"
target_port = {origin}
"""

OULI_CERTIFICATE = """\
source_cert = "cert.pem"
source_key = "key.pem"
"""

# Takes the writes to tapes out of a program that isn't changed otherwise.
UNTAPED = Path(__file__).resolve().parent / "untaped.c"


@dataclass
class Server:
    """A running server."""

    process: Process
    port: int
    # Files that go with it.
    scratch: Path
    how_to_stop: int = signal.SIGTERM
    # What it must exit with when stopped that way; None for those that are killed.
    exit_code: int | None = 0
    # Recorded exchanges that it replays, where a case varies them.
    items: int = 0
    protocol: Protocol = HTTP1

    @property
    def addr(self):
        return f"127.0.0.1:{self.port}"

    def log_bytes(self):
        return os.path.getsize(self.process.log)

    def stop(self):
        code = self.process.stop(self.how_to_stop)
        tail = self.process.log_tail()
        shutil.rmtree(self.scratch, ignore_errors=True)
        if self.exit_code is not None and code != self.exit_code:
            raise BenchError(f"{self.process.describe()} ended with {code}\n{tail}")

    def kill(self):
        """Makes SIGKILL its end: for servers whose orderly end isn't measured, and takes long."""
        self.how_to_stop, self.exit_code = signal.SIGKILL, None
        return self


@dataclass
class Contender:
    """Something that can be started and compared."""

    name: str
    start: Callable[[], Server]
    # What it writes to its log per request, as configured; stated with the figures.
    logs: str = "no log"
    missing: str = ""


@dataclass
class Setup:
    """Where everything is, and which CPU is whose."""

    scratch: Path
    programs: Path
    ouli: Path | None
    server_cpus: set
    load_cpus: set
    count: int = field(default=0)
    made: Certificate | None = field(default=None)

    def folder(self, name):
        self.count += 1
        path = self.scratch / f"{self.count:04}-{name}"
        path.mkdir(parents=True)
        return path

    def remove(self, folder):
        shutil.rmtree(folder, ignore_errors=True)

    # -- peers

    def nginx(self, http, cpus, protocol=HTTP1):
        binary = find("nginx")
        port = free_port()
        prefix = self.folder("nginx")
        # A worker under another user couldn't enter the scratch folder.
        user = "user root;" if os.getuid() == 0 else ""
        config = prefix / "nginx.conf"
        listen, tls = " ssl" * protocol.tls + " http2" * (protocol.version == 2), ""
        if protocol.tls:
            certificate = self.certificate()
            tls = NGINX_TLS.format(file=certificate.file, key=certificate.key)
        http = http.format(
            port=port, listen=listen, tls=tls,
            body=BODY.decode(), item_body=ITEM_BODY_NGINX.decode(),
        )
        config.write_text(NGINX_MAIN.format(prefix=prefix, user=user, http=http))
        argv = [binary, "-p", prefix, "-c", config, "-e", prefix / "error.log"]
        process = Process(argv, cpus, prefix / "stderr")
        return self._listening(Server(process, port, prefix, protocol=protocol))

    def nginx_fixed(self, cpus=None, protocol=HTTP1):
        return self.nginx(NGINX_FIXED, cpus or self.server_cpus, protocol)

    def nginx_proxy(self, origin):
        return self.nginx(NGINX_PROXY.replace("{origin}", str(origin.port)), self.server_cpus)

    def nginx_websocket(self, origin):
        return self.nginx(NGINX_WEBSOCKET.replace("{origin}", str(origin.port)), self.server_cpus)

    def haproxy(self, origin):
        """Speaks what its origin speaks, on both sides."""
        port = free_port()
        prefix = self.folder("haproxy")
        config = prefix / "haproxy.cfg"
        proto = " proto h2" if origin.protocol == H2C else ""
        config.write_text(HAPROXY.format(port=port, origin=origin.port, proto=proto))
        argv = [find("haproxy"), "-db", "-f", config]
        process = Process(argv, self.server_cpus, prefix / "stderr")
        return self._listening(Server(process, port, prefix, protocol=origin.protocol).kill())

    def hyper_fixed(self, protocol=HTTP1):
        return self.hyper(protocol, "fixed", "--body", self.body_file())

    def hyper_forward(self, origin):
        return self.hyper(origin.protocol, "forward", "--origin", origin.addr)

    def hyper(self, protocol, *args):
        options = ["--http", protocol.version]
        if protocol.tls:
            options += ["--certificate", self.certificate().file, "--key", self.certificate().key]
        server = self.program("hyper_peer", *args, *options)
        server.protocol = protocol
        return server

    def origin_streaming(self):
        return self.program("origin", "serve", cpus=self.load_cpus)

    def origin_echo(self, cpus=None):
        return self.program("origin", "echo", cpus=cpus or self.load_cpus)

    def program(self, name, *args, cpus=None, scratch=None):
        """One of the bench's own programs."""
        cpus = cpus or self.server_cpus
        scratch = scratch or self.folder(name)
        argv = [self.programs / name, *args, "--listen", "127.0.0.1:0"]
        process = Process(argv, cpus, scratch / "stderr")
        return Server(process, process.wait_ready()[0], scratch).kill()

    # -- Ouli

    def ouli_serve(self, mode, origin_port, recordings, *options, scratch=None):
        """`ouli record|replay` for one endpoint, with nothing configured but what is named here."""
        scratch = scratch or self.folder(f"ouli-{mode}")
        argv = self.ouli_argv(mode, origin_port, recordings, *options)
        process = Process(argv, self.server_cpus, scratch / "stderr")
        return Server(process, process.wait_ready()[0], scratch)

    def ouli_argv(self, mode, origin_port, recordings, *options):
        return [
            self.ouli, mode, f"http://127.0.0.1:{origin_port}", "--listen", "127.0.0.1:0",
            "--recording-dir", recordings, *options,
        ]

    def ouli_replay(self, origin_port, recordings, protocol=HTTP1):
        """Replays over any protocol what was recorded over HTTP/1.1."""
        if not protocol.tls:
            # HTTP/2 with prior knowledge needs no setting.
            server = self.ouli_serve("replay", origin_port, recordings)
            server.protocol = protocol
            return server
        endpoint = OULI_ENDPOINT.format(source="https", target="http", origin=origin_port)
        return self.ouli_configured("replay", endpoint + OULI_CERTIFICATE, recordings, protocol)

    def ouli_record(self, origin):
        """Records what `origin` speaks, from clients that speak the same, into a folder that goes
        with it; killed, since sealing isn't measured."""
        scratch = self.folder("ouli-record")
        recordings = scratch / "recordings"
        if origin.protocol == HTTP1:
            return self.ouli_serve("record", origin.port, recordings, scratch=scratch).kill()
        endpoint = OULI_ENDPOINT.format(source="http", target="h2c", origin=origin.port)
        return self.ouli_configured("record", endpoint, recordings, origin.protocol, scratch).kill()

    def ouli_configured(self, mode, endpoint, recordings, protocol, scratch=None, options=()):
        """Ouli with one endpoint, as its file describes it."""
        scratch = scratch or self.folder(f"ouli-{mode}")
        config = scratch / "ouli.toml"
        config.write_text(endpoint)
        if protocol.tls:
            shutil.copy(self.certificate().file, scratch)
            shutil.copy(self.certificate().key, scratch)
        argv = [self.ouli, mode, "--config", config, "--recording-dir", recordings, *options]
        process = Process(argv, self.server_cpus, scratch / "stderr")
        return Server(process, process.wait_ready()[0], scratch, protocol=protocol)

    def ouli_untaped(self, origin):
        """As `ouli_record`, but that no write to a tape reaches the kernel."""
        scratch = self.folder("ouli-untaped")
        library = scratch / "untaped.so"
        argv = ["cc", "-O2", "-shared", "-fPIC", "-o", library, UNTAPED]
        done = subprocess.run(argv, capture_output=True, text=True)
        if done.returncode != 0:
            raise BenchError(f"{UNTAPED} doesn't compile\n{done.stderr}")
        ouli = self.ouli_argv("record", origin.port, scratch / "recordings")
        preloaded = ["env", f"LD_PRELOAD={library}", *ouli]
        process = Process(preloaded, self.server_cpus, scratch / "stderr")
        return Server(process, process.wait_ready()[0], scratch).kill()

    # -- shared files

    def certificate(self):
        if not self.made:
            self.made = Certificate.make(self.folder("certificate"))
        return self.made

    def body_file(self):
        return self._once("body", BODY)

    def item_body_file(self):
        return self._once("item-body", ITEM_BODY_LOAD)

    def _once(self, name, content):
        path = self.scratch / name
        path.write_bytes(content)
        return path

    def _listening(self, server):
        until = time.monotonic() + 10
        while time.monotonic() < until:
            server.process.check_alive()
            try:
                socket.create_connection(("127.0.0.1", server.port), 1).close()
                return server
            except OSError:
                time.sleep(0.01)
        raise BenchError(f"{server.process.describe()} doesn't listen\n{server.process.log_tail()}")


def find(name):
    """The path of a peer's program, or None."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


def version(name):
    if name == "h2load":
        done = subprocess.run([find(name), "--version"], capture_output=True, text=True)
        return done.stdout.strip()
    if name == "wrk":
        text = subprocess.run([find(name), "-v"], capture_output=True, text=True).stdout
        return " ".join(text.split()[:2])
    done = subprocess.run([find(name), "-v"], capture_output=True, text=True)
    first = (done.stdout + done.stderr).splitlines()[0]
    return first.removeprefix("nginx version: ").split(" - ")[0]


def free_port():
    """A port that was free a moment ago; the peers can't choose one themselves."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _json_body(uri):
    """A JSON answer; with a real path of 13 characters in place of `uri` it has 256 bytes."""
    head = '{"uri":"%s","model":"m-1","choices":[{"index":0,"message":"' % uri
    tail = '"}],"usage":{"in":12,"out":34}}'
    fill = 256 - len(head) - len(tail) + len(uri) - 13
    text = ("lorem ipsum dolor sit amet " * 10)[:fill]
    return (head + text + tail).encode()


BODY = _json_body("/item/default")
# The same body with its request's path in it: it proves which recording was replayed.
ITEM_BODY_NGINX = _json_body("$uri")
ITEM_BODY_LOAD = _json_body("@PATH@")
assert len(BODY) == 256
