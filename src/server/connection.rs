//! An accepted connection, from its first byte to the version of HTTP that it speaks.

use std::rc::Rc;

use tokio::task::spawn_local;

use crate::http::context::Here;
use crate::http1;
use crate::http2::{self, Speaks};
use crate::net::conn::{Conn, Woken};
use crate::net::deadline::Deadline;
use crate::net::tls::Protocol;

/// Serves the connection until either side ends it, HTTP/2 in another task.
pub(super) async fn serve(conn: Conn, here: Rc<Here>) {
    match &here.tls {
        None => by_first_bytes(conn, here).await,
        Some(acceptor) => {
            let Some(conn) = acceptor.accept(conn).await else { return };
            match conn.stream.protocol() {
                Some(Protocol::Http2) => h2(conn, Vec::new(), here),
                _ => by_first_bytes(conn, here).await,
            }
        }
    }
}

/// Serves HTTP/2 where its preface comes first: who asks for it without TLS, and who has agreed
/// on nothing.
async fn by_first_bytes(mut conn: Conn, here: Rc<Here>) {
    let mut deadline = Deadline::new();
    deadline.set_after(here.limits().first_byte_timeout);
    // Peers that close or stay silent, also when the drain starts, get no answer.
    let Woken::Bytes(mut first) = conn.idle(&here.worker.arenas, &mut deadline).await else {
        return conn.close();
    };
    loop {
        match http2::sniff(&first.read) {
            Speaks::Http2 => {
                let ahead = std::mem::take(&mut first.read);
                drop(first);
                return h2(conn, ahead, here);
            }
            Speaks::Other => return http1::server::serve(conn, here, first, deadline).await,
            Speaks::Unclear => {}
        }
        if !conn.more(&mut first.read, &mut deadline).await {
            return;
        }
    }
}

/// In a task of its own: the memory of this one, which is large enough for HTTP/1.1, is free then.
fn h2(conn: Conn, ahead: Vec<u8>, here: Rc<Here>) {
    spawn_local(http2::server::serve(conn, ahead, here));
}
