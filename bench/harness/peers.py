"""How the peers are started.

They get the settings that a careful user would give them for this job (bench/config): one worker, no
access log, keep-alive without a limit of requests. Each runs with its own prefix in the bench's scratch
folder.
"""

import json
import os

from . import bodies
from .config import render
from .process import Process
from .protocol import H2C, HTTP1
from .servers import Server, find, find_wiremock, free_port

# A Java program answers its first requests far slower than its later ones.
WARM_UP_REQUESTS = 10_000


class Peers:
    """The part of `Setup` that starts everything but Ouli."""

    # -- nginx

    def nginx(self, site, cpus=None, protocol=HTTP1, **values):
        port, prefix = free_port(), self.folder("nginx")
        # A worker under another user couldn't enter the scratch folder.
        user = "user root;" if os.getuid() == 0 else ""
        (prefix / "nginx.conf").write_text(render("nginx.conf", prefix=prefix, user=user))
        (prefix / "site.conf").write_text(render(site, port=port, **values))
        argv = [find("nginx"), "-p", prefix, "-c", prefix / "nginx.conf", "-e", prefix / "error.log"]
        process = Process(argv, cpus or self.server_cpus, prefix / "stderr")
        return Server(process, port, prefix, protocol=protocol).listening()

    def nginx_fixed(self, cpus=None, protocol=HTTP1, item_size=256):
        """Gives the known body at `/`, one with the path in it at `/item/`, files at `/file/`."""
        return self.nginx(
            "nginx-fixed.conf", cpus, protocol, **self.nginx_front(protocol), files=self.files(),
            body=bodies.BODY.decode(), item_body=bodies.answer(bodies.NGINX_PATH, item_size).decode(),
        )

    def nginx_proxy(self, origin, protocol=HTTP1):
        front = self.nginx_front(protocol)
        return self.nginx("nginx-proxy.conf", protocol=protocol, origin=origin.port, **front)

    def nginx_websocket(self, origin):
        return self.nginx("nginx-websocket.conf", origin=origin.port)

    def nginx_front(self, protocol):
        """What nginx speaks to clients."""
        listen, tls = " ssl" * protocol.tls + " http2" * (protocol.version == 2), ""
        if protocol.tls:
            certificate = self.certificate()
            tls = render("nginx-tls.conf", file=certificate.file, key=certificate.key)
        return {"listen": listen, "tls": tls}

    # -- others that only forward

    def haproxy(self, origin, protocol=None):
        """Speaks what its origin speaks, on both sides, unless told otherwise."""
        protocol = protocol or origin.protocol
        port, prefix = free_port(), self.folder("haproxy")
        bind = " proto h2" if protocol == H2C else ""
        if protocol.tls:
            alpn = "h2" if protocol.version == 2 else "http/1.1"
            bind = f" ssl crt {self.certificate().both} alpn {alpn}"
        server = " proto h2" if origin.protocol == H2C else ""
        config = prefix / "haproxy.cfg"
        config.write_text(render("haproxy.cfg", port=port, origin=origin.port, bind=bind, server=server))
        process = Process([find("haproxy"), "-db", "-f", config], self.server_cpus, prefix / "stderr")
        return Server(process, port, prefix, protocol=protocol).kill().listening()

    # -- other programs that record and replay

    def mitmproxy_replay(self, flows, origin_port):
        options = "--server-replay", flows, "--set", "server_replay_reuse=true"
        return self.mitmproxy(origin_port, *options, "--set", "server_replay_extra=kill")

    def mitmproxy_record(self, origin):
        prefix = self.folder("mitmproxy")
        return self.mitmproxy(origin.port, "-w", prefix / "flows", prefix=prefix)

    def mitmproxy(self, origin_port, *options, prefix=None):
        port, prefix = free_port(), prefix or self.folder("mitmproxy")
        argv = [
            find("mitmdump"), "--quiet", "--mode", f"reverse:http://127.0.0.1:{origin_port}",
            "--listen-host", "127.0.0.1", "--listen-port", port, "--set", f"confdir={prefix}",
            "--set", "connection_strategy=lazy", "--set", "flow_detail=0", *options,
        ]
        process = Process(argv, self.server_cpus, prefix / "stderr")
        server = Server(process, port, prefix, is_slow=True).kill()
        return server.listening(60)

    def mitmproxy_flows(self):
        """One exchange as mitmproxy records it; and the port of its origin, which is gone again."""
        folder = self.folder("flows")
        origin = self.nginx_fixed(self.load_cpus)
        server = self.mitmproxy(origin.port, "-w", folder / "flows")
        try:
            server.exit_code, server.how_to_stop = 0, 15
            self.ask_once(server)
        finally:
            server.stop()
            origin.stop()
        return folder / "flows", origin.port

    def wiremock(self):
        port, prefix = free_port(), self.folder("wiremock")
        (prefix / "mappings").mkdir()
        mapping = render("wiremock-mapping.json", body=json.dumps(bodies.BODY.decode()))
        (prefix / "mappings/answer.json").write_text(mapping)
        argv = [
            # A compiler thread that ends takes its CPU time out of the count.
            find("java"), "-XX:-UseDynamicNumberOfCompilerThreads", "-jar", find_wiremock(),
            "--bind-address", "127.0.0.1", "--port", port,
            "--root-dir", prefix, "--no-request-journal", "--disable-banner",
        ]
        process = Process(argv, self.server_cpus, prefix / "stderr")
        server = Server(process, port, prefix, is_slow=True).kill().listening(60)
        server.warm_up_requests = WARM_UP_REQUESTS
        return server

    # -- the bench's own programs

    def hyper_fixed(self, protocol=HTTP1):
        return self.hyper(protocol, "fixed", "--body", self.body_file())

    def floor(self):
        return self.program("floor", "serve", "--body", self.body_file())

    def hyper_forward(self, origin, protocol=None):
        version = "--origin-http", origin.protocol.version
        return self.hyper(protocol or origin.protocol, "forward", "--origin", origin.addr, *version)

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
        scratch = scratch or self.folder(name)
        argv = [self.programs / name, *args, "--listen", "127.0.0.1:0"]
        process = Process(argv, cpus or self.server_cpus, scratch / "stderr")
        return Server(process, process.wait_ready()[0], scratch).kill()
