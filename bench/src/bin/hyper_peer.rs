//! hyper as a peer, on one thread: `fixed` answers every request with one body, `forward` sends it
//! to an origin through hyper-util's pooled client, as a program built on them would. `--http 2` makes
//! both of its sides HTTP/2, `--origin-http 1` but the origin's; `--certificate` and `--key` put rustls
//! before them.

use std::convert::Infallible;
use std::path::PathBuf;

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Uri, Version};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use ouli_bench::args::{Args, fail};
use ouli_bench::tls;

type Body = Either<Full<Bytes>, Incoming>;

#[derive(Clone)]
enum Road {
    Fixed(Bytes),
    Forward { client: Box<Client<HttpConnector, Incoming>>, http2: bool, origin: String },
}

fn main() {
    let args = Args::from_env();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap_or_else(|e| fail(e)).block_on(serve(&args));
}

async fn serve(args: &Args) {
    let road = match args.command.as_str() {
        "fixed" => Road::Fixed(args.need_file("body").into()),
        "forward" => {
            let http2 = args.get::<u8>("origin-http").map_or(http2(args), |version| version == 2);
            Road::Forward { client: client(http2).into(), http2, origin: args.need("origin") }
        }
        other => fail(format!("unknown command {other}")),
    };
    let listener = TcpListener::bind(args.need::<String>("listen")).await;
    let listener = listener.unwrap_or_else(|e| fail(e));
    println!("listening http://{}", listener.local_addr().unwrap_or_else(|e| fail(e)));
    println!("ready");
    let (acceptor, http2) = (acceptor(args), http2(args));
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let (acceptor, road) = (acceptor.clone(), road.clone());
        tokio::spawn(async move {
            let Some(acceptor) = acceptor else { return connection(stream, road, http2).await };
            if let Ok(stream) = acceptor.accept(stream).await {
                connection(stream, road, http2).await;
            }
        });
    }
}

/// A connection's end is its client's to judge.
async fn connection<S>(stream: S, road: Road, http2: bool)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let service = service_fn(move |request| answer(road.clone(), request));
    let stream = TokioIo::new(stream);
    if http2 {
        let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        let _ = builder.timer(TokioTimer::new()).serve_connection(stream, service).await;
    } else {
        let mut builder = hyper::server::conn::http1::Builder::new();
        let _ = builder.timer(TokioTimer::new()).serve_connection(stream, service).await;
    }
}

fn http2(args: &Args) -> bool {
    args.get::<u8>("http") == Some(2)
}

fn acceptor(args: &Args) -> Option<TlsAcceptor> {
    let certificate: PathBuf = args.get("certificate")?;
    let protocol = if http2(args) { "h2" } else { "http/1.1" };
    Some(tls::server(&certificate, &args.need::<PathBuf>("key"), protocol).into())
}

fn client(http2: bool) -> Client<HttpConnector, Incoming> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    Client::builder(TokioExecutor::new()).http2_only(http2).build(connector)
}

async fn answer(road: Road, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let (client, version, origin) = match road {
        Road::Fixed(body) => {
            let mut response = Response::new(Either::Left(Full::new(body)));
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(CONTENT_TYPE, json);
            return Ok(response);
        }
        Road::Forward { client, http2, origin } => {
            (client, if http2 { Version::HTTP_2 } else { Version::HTTP_11 }, origin)
        }
    };
    match forward(&client, version, &origin, request).await {
        Some(response) => Ok(response.map(Either::Right)),
        None => {
            let mut response = Response::new(Either::Left(Full::default()));
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            Ok(response)
        }
    }
}

async fn forward(
    client: &Client<HttpConnector, Incoming>,
    version: Version,
    origin: &str,
    mut request: Request<Incoming>,
) -> Option<Response<Incoming>> {
    let target = request.uri().path_and_query()?.as_str();
    *request.uri_mut() = format!("http://{origin}{target}").parse::<Uri>().ok()?;
    *request.version_mut() = version;
    request.headers_mut().remove(HOST);
    request.headers_mut().remove(CONNECTION);
    let mut response = client.request(request).await.ok()?;
    // What answers the client is of the client's version, and named by its own connection.
    *response.version_mut() = Version::default();
    response.headers_mut().remove(CONNECTION);
    Some(response)
}
