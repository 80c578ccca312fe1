//! Host names to addresses, by the system's resolver.
//!
//! getaddrinfo(3) blocks a thread and may ask the network. A thousand requests that come together
//! need their origin's address together: they share one look-up, and those of the next moment
//! take its answer. The moment is short, because the resolver doesn't tell how long an answer
//! holds. Nothing is kept of a failure.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::sync::watch;
use tokio::task::spawn_local;
use tokio::time::sleep;

use super::error::DialError;

/// How long an answer serves: no longer than a person takes to change a host and try again.
const FRESH: Duration = Duration::from_secs(1);

type Answer = Result<Rc<[SocketAddr]>, DialError>;

/// The look-ups of one runtime. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Names(Rc<RefCell<HashMap<String, watch::Receiver<Option<Answer>>>>>);

impl Names {
    /// The host's addresses, with `port`, in the order to try them (RFC 6724); never empty.
    ///
    /// Cancel safety: the look-up goes on for others. Must run in a `LocalRuntime` or `LocalSet`.
    pub(super) async fn look_up(
        &self,
        host: &str,
        port: u16,
    ) -> Result<Vec<SocketAddr>, DialError> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let known = self.0.borrow().get(host).cloned();
        let mut answer = known.unwrap_or_else(|| self.ask(host));
        let answer = match answer.wait_for(Option::is_some).await {
            Ok(answer) => answer.clone(),
            // The look-up's task was dropped, which only the runtime's end does.
            Err(_) => None,
        };
        let addresses = answer.unwrap_or_else(|| Err(no_such_host(host)))?;
        Ok(addresses.iter().map(|address| with_port(*address, port)).collect())
    }

    fn ask(&self, host: &str) -> watch::Receiver<Option<Answer>> {
        let (sender, receiver) = watch::channel(None);
        self.0.borrow_mut().insert(host.to_owned(), receiver.clone());
        let (names, host) = (self.clone(), host.to_owned());
        spawn_local(async move {
            let answer = resolve(&host).await;
            let found = answer.is_ok();
            sender.send_replace(Some(answer));
            if found {
                sleep(FRESH).await;
            }
            names.0.borrow_mut().remove(&host);
        });
        receiver
    }
}

fn with_port(mut address: SocketAddr, port: u16) -> SocketAddr {
    address.set_port(port);
    address
}

async fn resolve(host: &str) -> Answer {
    match lookup_host((host, 0)).await {
        Ok(found) => {
            let addresses: Rc<[SocketAddr]> = found.collect();
            if addresses.is_empty() { Err(no_such_host(host)) } else { Ok(addresses) }
        }
        Err(error) => Err(lookup_error(host, error)),
    }
}

fn no_such_host(host: &str) -> DialError {
    DialError::NoSuchHost { host: host.to_owned() }
}

/// std gives getaddrinfo(3)'s verdict as text only.
fn lookup_error(host: &str, error: io::Error) -> DialError {
    const NO_SUCH_HOST: [&str; 3] =
        ["Name or service not known", "nodename nor servname", "No address associated"];
    let text = error.to_string();
    if NO_SUCH_HOST.iter().any(|verdict| text.contains(verdict)) {
        no_such_host(host)
    } else {
        DialError::LookupFailed { host: host.to_owned(), cause: error.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::testing::run;
    use std::net::Ipv4Addr;

    #[test]
    fn addresses_need_no_look_up() {
        run(async {
            let names = Names::default();
            for (host, address) in [("127.0.0.1", "127.0.0.1:80"), ("::1", "[::1]:80")] {
                assert_eq!(names.look_up(host, 80).await.unwrap(), [address.parse().unwrap()]);
            }
            assert!(names.0.borrow().is_empty());
        });
    }

    #[test]
    fn those_who_ask_together_share_one_look_up_whatever_their_port() {
        run(async {
            let names = Names::default();
            let asking: Vec<_> = (1..=100)
                .map(|port| {
                    let names = names.clone();
                    spawn_local(async move { (port, names.look_up("localhost", port).await) })
                })
                .collect();
            for task in asking {
                let (port, addresses) = task.await.unwrap();
                let addresses = addresses.unwrap();
                assert!(addresses.contains(&(Ipv4Addr::LOCALHOST, port).into()), "{addresses:?}");
            }
            assert_eq!(names.0.borrow().len(), 1);
        });
    }

    #[test]
    fn an_answer_is_forgotten_after_its_moment() {
        run(async {
            let names = Names::default();
            names.look_up("localhost", 1).await.unwrap();
            tokio::time::pause();
            sleep(FRESH + Duration::from_millis(2)).await;
            assert!(names.0.borrow().is_empty());
        });
    }

    #[test]
    fn one_who_gives_up_does_not_stop_the_look_up_for_others() {
        run(async {
            let names = Names::default();
            let first = spawn_local({
                let names = names.clone();
                async move { names.look_up("localhost", 1).await }
            });
            tokio::task::yield_now().await;
            first.abort();
            assert!(names.look_up("localhost", 2).await.is_ok());
        });
    }

    #[test]
    fn a_host_that_does_not_exist_is_named_and_asked_for_again() {
        run(async {
            let names = Names::default();
            // A label of 64 letters can't exist, so no name server is asked (RFC 1035).
            let host = format!("{}.test", "x".repeat(64));
            let error = names.look_up(&host, 80).await.unwrap_err();
            assert!(error.to_string().contains(&host), "{error}");
            tokio::task::yield_now().await;
            assert!(names.0.borrow().is_empty());
        });
    }

    #[test]
    fn the_resolvers_verdicts_are_told_apart() {
        let verdict = |text: &str| lookup_error("api", io::Error::other(text.to_owned()));
        let unknown = "failed to lookup address information: Name or service not known";
        assert_eq!(verdict(unknown).to_string(), "no address is known for the host `api`");
        let failing = "failed to lookup address information: Temporary failure in name resolution";
        assert_eq!(
            verdict(failing).to_string(),
            format!("could not look up the host `api`: {failing}")
        );
    }
}
