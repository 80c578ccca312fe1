//! Python's grpcio, where it is installed, on both sides.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::support::*;

const SERVER: &str = r#"
import grpc, sys, concurrent.futures as futures
plain = lambda b: b
def say(request, context):
    context.send_initial_metadata((('x-first', 'a'), ('x-first', 'b'), ('x-raw-bin', b'\x00\xff')))
    if request == b'fail':
        context.set_trailing_metadata((('x-why', 'because'),))
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, 'not today \u00fc')
    context.set_trailing_metadata((('x-last', 'z'),))
    return b're: ' + request
def count(request, context):
    for n in range(int(request)):
        yield b'n%d' % n
def gather(requests, context):
    return b' '.join(requests)
def chat(requests, context):
    for request in requests:
        yield b're: ' + request
handlers = grpc.method_handlers_generic_handler('ouli.test.Raw', {
    'Say': grpc.unary_unary_rpc_method_handler(say, plain, plain),
    'Count': grpc.unary_stream_rpc_method_handler(count, plain, plain),
    'Gather': grpc.stream_unary_rpc_method_handler(gather, plain, plain),
    'Chat': grpc.stream_stream_rpc_method_handler(chat, plain, plain),
})
server = grpc.server(futures.ThreadPoolExecutor(8), compression=grpc.Compression.Gzip)
server.add_generic_rpc_handlers((handlers,))
print(server.add_insecure_port('127.0.0.1:0'), flush=True)
server.start()
server.wait_for_termination()
"#;

/// Prints all that a caller can see; the chat waits for each answer before it says more.
const CLIENT: &str = r#"
import grpc, queue, sys
plain = lambda b: b
target, ca = sys.argv[1], sys.argv[2]
if ca:
    credentials = grpc.ssl_channel_credentials(open(ca, 'rb').read())
    channel = grpc.secure_channel(target, credentials)
else:
    channel = grpc.insecure_channel(target)
path = '/ouli.test.Raw/'
def shown(metadata):
    return [(k, v) for k, v in metadata if k.startswith('x-')]
say = channel.unary_unary(path + 'Say', plain, plain)
answer, call = say.with_call(b'hello', timeout=20, metadata=(('x-own', '1'),))
print(answer, call.code(), shown(call.initial_metadata()), shown(call.trailing_metadata()))
try:
    say(b'fail', timeout=20)
except grpc.RpcError as e:
    print(e.code(), e.details(), shown(e.trailing_metadata()))
print(list(channel.unary_stream(path + 'Count', plain, plain)(b'5', timeout=20)))
large = b'x' * 3000000
gathered = channel.stream_unary(path + 'Gather', plain, plain)(iter([b'a', large]), timeout=20)
print(len(gathered), gathered[:3])
said = queue.Queue()
answers = channel.stream_stream(path + 'Chat', plain, plain)(iter(said.get, None), timeout=20)
for text in (b'one', b'two', b'three'):
    said.put(text)
    print(next(answers))
said.put(None)
print(list(answers), answers.code())
"#;

struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start(python: &str) -> Self {
        let mut command = Command::new(python);
        command.args(["-c", SERVER]).stdout(Stdio::piped()).stdin(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Server { child, port: line.trim().parse().unwrap() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
fn talk(python: &str, target: &str, authority: &str) -> String {
    let mut command = Command::new(python);
    command.args(["-c", CLIENT, target, authority]).stdin(Stdio::null());
    let output = command.env("GRPC_VERBOSITY", "ERROR").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_python_program_and_a_python_server() {
    let Some(python) = python_with("grpc", "grpcio") else { return };
    let server = Server::start(&python);
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], server.port));
    let endpoint = || Endpoint::at(Protocol::H2c, address);
    let setup = |command| {
        Ouli::command(command)
            .endpoint(&endpoint().named("plain"))
            .endpoint(&endpoint().named("tls").https())
    };
    let run = |ouli: &Ouli| {
        let authority = ouli.authority_path().display().to_string();
        let port = ouli.address_for("https").port();
        [
            talk(&python, &ouli.address_for("http").to_string(), ""),
            talk(&python, &format!("localhost:{port}"), &authority),
        ]
    };
    let direct = talk(&python, &address.to_string(), "");
    assert!(direct.contains("re: three"), "{direct}");
    let recorder = setup("record").start();
    let recorded = run(&recorder);
    recorder.terminate().expect_code(0);
    drop(server);
    assert_eq!(recorded, [direct.clone(), direct], "a program can't tell that Ouli is there");
    let replay = setup("replay --strict").recordings(&recorder.recordings()).start();
    assert_eq!(run(&replay), recorded);
    replay.terminate().expect_code(0);
}
