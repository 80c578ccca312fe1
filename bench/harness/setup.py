"""Where everything is, and which CPU is whose."""

import http.client
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from . import bodies
from .ouli import OuliServers
from .peers import Peers
from .process import BenchError
from .protocol import Certificate


@dataclass
class Setup(Peers, OuliServers):
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

    def certificate(self):
        if not self.made:
            self.made = Certificate.make(self.folder("certificate"))
        return self.made

    # -- what requests and answers hold, as files

    def body_file(self):
        return self.kept("body", bodies.BODY)

    def item_body_file(self, size=256):
        return self.kept(f"item-body-{size}", bodies.answer(bodies.LOAD_PATH, size))

    def question_file(self):
        return self.kept("question", bodies.question())

    def events_file(self, count):
        return self.kept(f"events-{count}", bodies.events(count))

    def files(self):
        """The folder that the fixed nginx gives files from."""
        folder = self.scratch / "files"
        folder.mkdir(exist_ok=True)
        return folder

    def large_file(self, size):
        """An answer that nginx gives from a file, by its size: `/file/SIZE`."""
        self.files()
        return self.kept(f"files/{size}", bodies.answer("/item/default", size))

    def kept(self, name, content):
        path = self.scratch / name
        if not path.exists():
            path.write_bytes(content)
        return path

    def ask_once(self, server, path="/"):
        """One request whose answer must be the known body, without the load generator."""
        client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        client.request("GET", path)
        answer = client.getresponse()
        body = answer.read()
        client.close()
        if answer.status != 200 or body != bodies.BODY:
            raise BenchError(f"{server.process.argv[0]} answered {answer.status}: {body[:200]!r}")
