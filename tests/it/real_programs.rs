//! Programs that other people wrote, on both sides: they run once while Ouli records, and again,
//! with the origin stopped, to the same results.

use std::process::{Child, Command, Output, Stdio};

use crate::support::*;

/// Python's own HTTP server, on a folder with some files.
struct PythonServer {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl PythonServer {
    fn start() -> Self {
        let folder = tempfile::TempDir::new().unwrap();
        std::fs::write(folder.path().join("data.json"), "{\"answer\": [1, 2, 42]}\n").unwrap();
        std::fs::write(folder.path().join("large.bin"), vec![0xa7; 300_000]).unwrap();
        std::fs::create_dir(folder.path().join("sub")).unwrap();
        let script = "import http.server, functools, sys\n\
            h = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[1])\n\
            s = http.server.ThreadingHTTPServer(('127.0.0.1', 0), h)\n\
            print(s.server_port, flush=True)\n\
            s.serve_forever()\n";
        let mut child = Command::new("python3")
            .args(["-c", script])
            .arg(folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = std::io::BufReader::new(child.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
        PythonServer { child, port: line.trim().parse().unwrap(), _folder: folder }
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for PythonServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the same program while recording and, the origin gone, while replaying.
#[track_caller]
fn same_results(program: impl Fn(&str) -> Output) {
    let origin = PythonServer::start();
    let run = |ouli: &Ouli| {
        let output = program(&format!("http://{}", ouli.address()));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(!output.stdout.is_empty());
        output.stdout
    };
    let recorder = Ouli::command("record").origin(origin.url()).start();
    let recorded = run(&recorder);
    recorder.terminate().expect_code(0);
    drop(origin);
    let replay = Ouli::replay(recorder.recordings()).option("--strict").start();
    let replayed = run(&replay);
    replay.terminate().expect_code(0);
    assert_eq!(
        replayed.escape_ascii().to_string(),
        recorded.escape_ascii().to_string(),
        "what the program printed"
    );
}

#[test]
fn curl_against_pythons_server() {
    if !has_tool("curl") || !has_tool("python3") {
        return;
    }
    same_results(|base| {
        let urls = ["/data.json", "/large.bin", "/missing", "/sub", "/data.json"];
        let urls = urls.map(|path| format!("{base}{path}"));
        // With heads; a redirect to `/sub/` is followed by curl, not by Ouli.
        let arguments = ["--silent", "--show-error", "--location", "--max-time", "20"];
        let mut command = Command::new("curl");
        command.args(arguments).args(["--write-out", "%{http_code} %{size_download}\n"]);
        command.args(urls).output().unwrap()
    });
}

#[test]
fn a_python_program_against_pythons_server() {
    if !has_tool("python3") {
        return;
    }
    let script = "import json, sys, urllib.request, urllib.error\n\
        base = sys.argv[1]\n\
        for n in range(3):\n\
        \x20   with urllib.request.urlopen(base + '/data.json', timeout=20) as r:\n\
        \x20       print(r.status, sorted(r.headers.items()), json.load(r)['answer'][n])\n\
        try:\n\
        \x20   urllib.request.urlopen(base + '/missing', timeout=20)\n\
        except urllib.error.HTTPError as e:\n\
        \x20   print(e.code, len(e.read()))\n\
        request = urllib.request.Request(base + '/data.json', method='HEAD')\n\
        with urllib.request.urlopen(request, timeout=20) as r:\n\
        \x20   print(r.status, r.headers['content-length'], r.read())\n";
    same_results(|base| Command::new("python3").args(["-c", script, base]).output().unwrap());
}
