//! Who an origin is: where, and under which terms of TLS.

use std::sync::Arc;

use crate::config::{Scheme, Target, TargetTls};
use crate::net::tls::{Connector, Protocol};

/// An origin, shared by all runtimes. Two endpoints have one in common only where both target and
/// TLS settings are equal, so that no request goes out on a connection made under other terms.
#[derive(Debug)]
pub struct Origin {
    pub target: Target,
    /// None for one that speaks no TLS.
    pub tls: Option<Arc<Connector>>,
    /// The same, offering HTTP/1.1 alone.
    tls_http1: Option<Arc<Connector>>,
    /// Its number in the program: what connections are kept under.
    number: usize,
    settings: TargetTls,
}

impl Origin {
    /// `number` is this origin's own, counted from 0 without gaps.
    pub fn new(number: usize, target: Target, settings: TargetTls) -> Self {
        let connector = || Connector::new(&target, settings.clone());
        let speaks_tls = target.scheme == Scheme::Https;
        let tls = speaks_tls.then(|| Arc::new(connector()));
        let tls_http1 = speaks_tls.then(|| Arc::new(connector().offering(&[Protocol::Http1])));
        Origin { target, tls, tls_http1, number, settings }
    }

    pub fn number(&self) -> usize {
        self.number
    }

    /// TLS for a connection that is to speak this; none where the origin speaks no TLS.
    pub(super) fn tls_for(&self, speak: Speak) -> Option<&Arc<Connector>> {
        match speak {
            Speak::Any => self.tls.as_ref(),
            Speak::Http1 => self.tls_http1.as_ref(),
        }
    }

    /// Whether its connections are good for what `target` and `settings` ask for.
    fn is(&self, target: &Target, settings: &TargetTls) -> bool {
        self.target == *target && (self.tls.is_none() || self.settings == *settings)
    }
}

/// What a new connection is to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speak {
    /// What the origin chooses.
    Any,
    Http1,
}

/// All origins of the program.
#[derive(Debug, Default)]
pub struct Origins(Vec<Arc<Origin>>);

impl Origins {
    /// The origin with these terms: the same for who asks again.
    pub fn get(&mut self, target: &Target, settings: &TargetTls) -> Arc<Origin> {
        let known = self.0.iter().find(|origin| origin.is(target, settings));
        if let Some(origin) = known {
            return origin.clone();
        }
        let origin = Arc::new(Origin::new(self.0.len(), target.clone(), settings.clone()));
        self.0.push(origin.clone());
        origin
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::server_name;

    #[test]
    fn origins_are_told_apart_by_target_and_by_terms_of_tls() {
        let target = |scheme, host: &str| Target { scheme, host: host.into(), port: 443 };
        let plain = TargetTls::default();
        let lax = TargetTls { danger_accept_invalid: true, ..TargetTls::default() };
        let named = TargetTls { server_name: server_name("b"), ..TargetTls::default() };
        let mut origins = Origins::default();
        let https = target(Scheme::Https, "a");
        let first = origins.get(&https, &plain);
        assert!(Arc::ptr_eq(&first, &origins.get(&https, &plain)));
        let others = [
            origins.get(&https, &lax),
            origins.get(&https, &named),
            origins.get(&target(Scheme::Https, "b"), &plain),
            origins.get(&target(Scheme::Http, "a"), &plain),
            origins.get(&target(Scheme::H2c, "a"), &plain),
        ];
        let numbers: Vec<usize> = others.iter().map(|origin| origin.number()).collect();
        assert_eq!((first.number(), numbers), (0, vec![1, 2, 3, 4, 5]));
    }
}
