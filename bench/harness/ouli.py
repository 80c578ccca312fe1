"""How Ouli is started: with nothing configured but what is named here."""

import shutil

from .config import render
from .preload import UNTAPED, compiled, preloaded
from .process import Process
from .protocol import H2C, HTTP1
from .servers import Server

CERTIFICATE = 'source_cert = "cert.pem"\nsource_key = "key.pem"'


class OuliServers:
    """The part of `Setup` that starts Ouli."""

    def ouli_serve(self, mode, origin_port, recordings, *options, scratch=None, seconds=30):
        """`ouli record|replay` for one endpoint."""
        scratch = scratch or self.folder(f"ouli-{mode}")
        argv = self.ouli_argv(mode, origin_port, recordings, *options)
        process = Process(argv, self.server_cpus, scratch / "stderr")
        return Server(process, process.wait_ready(seconds)[0], scratch)

    def ouli_argv(self, mode, origin_port, recordings, *options):
        return [
            self.ouli, mode, f"http://127.0.0.1:{origin_port}", "--listen", "127.0.0.1:0",
            "--recording-dir", recordings, *options,
        ]

    def ouli_replay(self, origin_port, recordings, protocol=HTTP1, options=()):
        """Replays over any protocol what was recorded over HTTP/1.1."""
        if not protocol.tls:
            # HTTP/2 with prior knowledge needs no setting.
            server = self.ouli_serve("replay", origin_port, recordings, *options)
            server.protocol = protocol
            return server
        endpoint = self.ouli_endpoint(origin_port, protocol, HTTP1)
        return self.ouli_configured("replay", endpoint, recordings, protocol, options=options)

    def ouli_record(self, origin, protocol=None):
        """Records what `origin` speaks, from clients that speak the same unless told otherwise, into a
        folder that goes with it; killed, since sealing isn't measured."""
        protocol = protocol or origin.protocol
        scratch = self.folder("ouli-record")
        recordings = scratch / "recordings"
        if protocol == origin.protocol == HTTP1:
            return self.ouli_serve("record", origin.port, recordings, scratch=scratch).kill()
        endpoint = self.ouli_endpoint(origin.port, protocol, origin.protocol)
        return self.ouli_configured("record", endpoint, recordings, protocol, scratch).kill()

    def ouli_endpoint(self, origin_port, protocol, origin_protocol):
        return render(
            "ouli.toml", origin=origin_port, source="https" if protocol.tls else "http",
            target="h2c" if origin_protocol == H2C else "http",
            # Relative to the file: the certificate stands beside it.
            certificate=CERTIFICATE if protocol.tls else "",
        )

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
        with preloaded(compiled(UNTAPED, scratch)):
            recordings = scratch / "recordings"
            return self.ouli_serve("record", origin.port, recordings, scratch=scratch).kill()
