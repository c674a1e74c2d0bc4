//! The port: which addresses are served to whom, and what letting clients in takes.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;

use super::guard::Door;
use super::tls::Certificates;
use crate::auth::seal::Seal;
use crate::auth::{Authenticator, ServerKey};
use crate::config::SecurityConfig;
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};

/// A port that is taken, with all that letting clients in takes: certificates, users and keys have been read.
#[derive(Debug)]
pub struct Listener {
    pub(super) tcp: TcpListener,
    pub(super) certificates: Option<Certificates>,
    pub(super) door: Door,
    pub(super) seal: Seal,
}

impl Listener {
    /// Returns the address, with the port that was free where any was asked for.
    ///
    /// # Errors
    /// Those of the system.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

/// Returns a listener on an address; port 0 takes any free one. Other addresses than those of this machine alone need
/// logins, and TLS or the explicit word that there is none.
///
/// # Errors
/// `Config` where the address may not be served this way, where the port is in use or may not be taken, and where
/// certificates, users or keys cannot be read.
pub async fn bind(address: SocketAddr, engine: &Engine) -> Result<Listener> {
    let config = engine.config();
    let security = &config.security;
    check_reach(address, security)?;
    let (of_tls, of_users) = (engine.audit(), engine.audit());
    let certificates = security.tls.as_ref().map(|tls| Certificates::open(tls, of_tls)).transpose()?;
    let key = ServerKey::of_config(config)?;
    let door = if security.is_login_required() {
        let told = move |outcome: &str| of_users.record_reload("users", outcome);
        Door::Guarded(Arc::new(Authenticator::open(security, &key, engine.clock(), told)?))
    } else {
        Door::Open
    };
    let tcp = TcpListener::bind(address).await.map_err(|cause| not_taken(address, cause))?;
    Ok(Listener { tcp, certificates, door, seal: Seal::new(&key) })
}

fn check_reach(address: SocketAddr, security: &SecurityConfig) -> Result<()> {
    if address.ip().is_loopback() {
        return Ok(());
    }
    let refuse = |why: &str, hint: &str| {
        let message = format!("address \"{address}\" can be reached from other machines, and {why}");
        Err(Error::new(ErrorKind::Config, message).with_hint(hint))
    };
    // A certificate that a client must show is a login of its own.
    let is_certificate_asked = security.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
    if !security.is_login_required() && !is_certificate_asked {
        return refuse(
            "the server has no authentication",
            "name a file of users with [auth] users and make it with topline user add; or listen on 127.0.0.1, and let \
             others in through a tunnel or a proxy that authenticates",
        );
    }
    if security.tls.is_some() {
        return Ok(());
    }
    if !security.is_plaintext_allowed {
        return refuse(
            "passwords would cross the network in plain text",
            "name certificate and key in [tls]; where a proxy or the network itself encrypts, set [tls] allow_plaintext \
             = true",
        );
    }
    tracing::warn!(%address, "served without TLS: passwords and rows can be read on the way");
    Ok(())
}

fn not_taken(address: SocketAddr, cause: io::Error) -> Error {
    let error = match cause.kind() {
        io::ErrorKind::AddrInUse => {
            Error::new(ErrorKind::Config, format!("address \"{address}\" is in use by another program"))
                .with_hint("stop that program, or choose another port with [flight] listen")
        }
        io::ErrorKind::PermissionDenied => {
            Error::new(ErrorKind::Config, format!("address \"{address}\" may not be listened on by this user"))
                .with_hint("choose a port above 1023 with [flight] listen")
        }
        _ => Error::new(ErrorKind::Config, format!("address \"{address}\" cannot be listened on: {cause}"))
            .with_hint("choose another with [flight] listen"),
    };
    error.with_source(cause)
}
