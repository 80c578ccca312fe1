//! One runtime per core against one work-stealing runtime, everything else equal.
//!
//! The same connection loop (httparse for heads, bodies by length, the origin's connection driven
//! inside the request's own task) runs on both. What differs is what must: how a connection reaches
//! its thread, and whether the origin pool and the tape need a lock.
//!
//! - roads: `fixed` answers every request alike; `forward` passes it to an origin and appends the
//!   exchange to a file before the answer goes out, as a recorder does
//! - models: `per-core` is a current-thread `LocalRuntime` per thread, with its own listener
//!   (SO_REUSEPORT), pool and tape; `stealing` is tokio's multi-thread runtime with one of each

mod connection;
mod shared;

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use ouli_bench::args::{Args, fail};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use connection::{Road, serve};
use shared::{Local, Shared, Stealable};

fn main() {
    let args = Args::from_env();
    let road = match args.command.as_str() {
        "fixed" => Road::fixed(&args.need_file("body")),
        "forward" => Road::Forward { origin: args.need("origin") },
        other => fail(format!("unknown road {other}")),
    };
    // Lives as long as the program, and every task reads it.
    let road: &'static Road = Box::leak(Box::new(road));
    let threads: usize = args.need("threads");
    let tape: Option<String> = args.get("tape");
    let first = listen(args.need("listen"));
    let addr = first.local_addr().unwrap_or_else(|e| fail(e));
    let model: String = args.need("model");
    let ready = || {
        println!("listening http://{addr}");
        println!("ready");
    };
    match model.as_str() {
        "per-core" => {
            let mut listeners = vec![first];
            listeners.extend((1..threads).map(|_| listen(addr)));
            ready();
            per_core(listeners, road, tape.as_deref());
        }
        "stealing" => {
            ready();
            stealing(first, threads, road, tape.as_deref());
        }
        other => fail(format!("unknown model {other}")),
    }
}

fn listen(addr: SocketAddr) -> std::net::TcpListener {
    let bind = || -> std::io::Result<std::net::TcpListener> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&addr.into())?;
        socket.listen(4096)?;
        Ok(socket.into())
    };
    bind().unwrap_or_else(|e| fail(format!("{addr}: {e}")))
}

fn per_core(listeners: Vec<std::net::TcpListener>, road: &'static Road, tape: Option<&str>) {
    let threads: Vec<_> = listeners
        .into_iter()
        .enumerate()
        .map(|(index, listener)| {
            let tape = tape.map(|path| format!("{path}.{index}"));
            std::thread::spawn(move || {
                let mut builder = tokio::runtime::Builder::new_current_thread();
                let runtime = builder.enable_io().build_local(Default::default());
                let runtime = runtime.unwrap_or_else(|e| fail(e));
                runtime.block_on(async move {
                    let worker = Rc::new(Local::open(tape.as_deref()));
                    accept(listener, |stream| {
                        tokio::task::spawn_local(serve(stream, Rc::clone(&worker), road));
                    })
                    .await;
                });
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| drop(thread.join()));
}

fn stealing(
    listener: std::net::TcpListener,
    threads: usize,
    road: &'static Road,
    tape: Option<&str>,
) {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.enable_io().worker_threads(threads).build();
    let runtime = runtime.unwrap_or_else(|e| fail(e));
    let worker = Arc::new(Stealable::open(tape));
    // Accepting inside a task keeps it on the workers: `block_on`'s thread isn't one of them.
    let accepting = runtime.spawn(async move {
        accept(listener, |stream| {
            tokio::spawn(serve(stream, Arc::clone(&worker), road));
        })
        .await;
    });
    let _ = runtime.block_on(accepting);
}

async fn accept(listener: std::net::TcpListener, mut spawn: impl FnMut(tokio::net::TcpStream)) {
    let listener = TcpListener::from_std(listener).unwrap_or_else(|e| fail(e));
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            let _ = stream.set_nodelay(true);
            spawn(stream);
        }
    }
}
