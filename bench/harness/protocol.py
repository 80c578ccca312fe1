"""What a server and its load speak: a version of HTTP, with TLS or without."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from .process import BenchError


@dataclass(frozen=True)
class Protocol:
    # As it stands in titles.
    name: str
    version: int
    tls: bool = False

    @property
    def scheme(self):
        return "https" if self.tls else "http"


HTTP1 = Protocol("HTTP/1.1", 1)
HTTP1_TLS = Protocol("HTTP/1.1 over TLS", 1, tls=True)
# With prior knowledge: no upgrade from HTTP/1.1.
H2C = Protocol("HTTP/2", 2)
H2_TLS = Protocol("HTTP/2 over TLS", 2, tls=True)

# Of every table with TLS.
SAME_CERTIFICATE = "all servers hold the same ECDSA P-256 certificate; the client chooses TLS 1.3's suite and group"


@dataclass(frozen=True)
class Certificate:
    """One for all servers of a run, and its key: ECDSA P-256, signed by itself, in PEM files."""

    file: Path
    key: Path
    # One after the other, as HAProxy wants them.
    both: Path

    @classmethod
    def make(cls, folder):
        made = cls(folder / "cert.pem", folder / "key.pem", folder / "both.pem")
        argv = [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
            "-nodes", "-keyout", made.key, "-out", made.file, "-days", "2", "-subj", "/CN=localhost",
            "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
        ]
        try:
            done = subprocess.run(argv, capture_output=True, text=True)
        except FileNotFoundError:
            raise BenchError("no openssl, which makes the certificate") from None
        if done.returncode != 0:
            raise BenchError(f"openssl made no certificate\n{done.stderr}")
        made.both.write_text(made.file.read_text() + made.key.read_text())
        return made
