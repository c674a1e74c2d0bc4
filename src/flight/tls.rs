//! TLS in front of the server: certificates that may change while it runs, and handshakes that cannot keep others waiting.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::{Stream, StreamExt};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tonic::transport::server::{Connected, TcpConnectInfo, TcpIncoming};

use crate::audit::AuditLog;
use crate::auth::watched::{Reload, Watched};
use crate::config::TlsConfig;
use crate::error::{Error, ErrorKind, Result};

/// How long a handshake may take: over the slowest network it is done in two.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Handshakes at the same time, some 40 KiB each. One more ends the oldest: an honest client's is long done by then.
const HANDSHAKES_MAX: usize = 256;

/// How long the server waits before it takes another connection when the system gives it none, as when it has too many
/// files open.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The protocol that clients ask for: HTTP/2, which is all that gRPC speaks.
const ALPN: &[u8] = b"h2";

/// The certificates of the server, as fresh as their files.
#[derive(Debug)]
pub(super) struct Certificates {
    config: Watched<ServerConfig>,
}

impl Certificates {
    /// Reads the files; when they were read again, the log says so.
    ///
    /// # Errors
    /// `Config` where one cannot be read, is none of its kind, or certificate and key do not belong together.
    pub(super) fn open(config: &TlsConfig, audit: Arc<AuditLog>) -> Result<Self> {
        let config = config.clone();
        let files = [Some(&config.certificate), Some(&config.key), config.client_ca.as_ref()];
        let files: Vec<PathBuf> = files.into_iter().flatten().cloned().collect();
        let watched = Watched::open(files, move || server_config(&config))?;
        let told = move |reload: &Reload<'_, ServerConfig>| {
            let names = reload.changed.iter().map(|file| format!("\"{}\"", file.display()));
            let names = names.collect::<Vec<_>>().join(", ");
            audit.record_reload(
                "certificates",
                &match reload.outcome {
                    Ok(_) => format!("changed {names}"),
                    Err(error) => format!("refused: {}", error.message()),
                },
            );
        };
        Ok(Self { config: watched.telling(told) })
    }

    fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.config.current())
    }
}

fn server_config(config: &TlsConfig) -> Result<ServerConfig> {
    // Named, because several are linked in and none is everyone's.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let unfit = |cause: rustls::Error| {
        let (certificate, key) = (config.certificate.display(), config.key.display());
        Error::new(
            ErrorKind::Config,
            format!("certificate \"{certificate}\" and key \"{key}\" cannot be used: {cause}"),
        )
        .with_hint("name a certificate with those between it and the root, and the key that belongs to it")
        .with_source(cause)
    };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(unfit)?;
    let builder = match &config.client_ca {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let mut roots = RootCertStore::empty();
            for root in certificates(file)? {
                roots.add(root).map_err(|cause| unreadable("client_ca", file, &cause))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|cause| unreadable("client_ca", file, &cause))?)
        }
    };
    let key = PrivateKeyDer::from_pem_file(&config.key).map_err(|cause| unreadable("key", &config.key, &cause))?;
    let mut server = builder.with_single_cert(certificates(&config.certificate)?, key).map_err(unfit)?;
    server.alpn_protocols = vec![ALPN.to_vec()];
    Ok(server)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = read.map_err(|cause| unreadable("certificate", file, &cause))?;
    if found.is_empty() {
        return Err(unreadable("certificate", file, &"there is no certificate in it"));
    }
    Ok(found)
}

fn unreadable(what: &str, file: &Path, cause: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::Config, format!("[tls] {what} \"{}\" cannot be read: {cause}", file.display()))
        .with_hint("name a PEM file that this user may read")
}

/// Returns the connections whose handshake is done, in the order of their ends.
pub(super) fn incoming(tcp: TcpIncoming, certificates: Certificates) -> impl Stream<Item = io::Result<Connection>> {
    let state = Handshakes { tcp, certificates, running: JoinSet::new(), handles: VecDeque::new() };
    futures::stream::unfold(state, |mut state| async move {
        let next = state.next().await?;
        Some((Ok(next), state))
    })
}

struct Handshakes {
    tcp: TcpIncoming,
    certificates: Certificates,
    running: JoinSet<Option<Connection>>,
    handles: VecDeque<AbortHandle>,
}

impl Handshakes {
    async fn next(&mut self) -> Option<Connection> {
        loop {
            tokio::select! {
                accepted = self.tcp.next() => match accepted? {
                    Ok(stream) => self.begin(stream),
                    Err(cause) => {
                        tracing::debug!(%cause, "a connection was not taken");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(done) = self.running.join_next() => {
                    if let Ok(Some(connection)) = done {
                        return Some(connection);
                    }
                }
            }
        }
    }

    fn begin(&mut self, stream: TcpStream) {
        self.handles.retain(|handle| !handle.is_finished());
        if self.handles.len() >= HANDSHAKES_MAX {
            self.handles.pop_front().inspect(AbortHandle::abort);
        }
        let acceptor = self.certificates.acceptor();
        self.handles.push_back(self.running.spawn(async move {
            match timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => Some(Connection(stream)),
                Ok(Err(cause)) => {
                    tracing::debug!(%cause, "a TLS handshake failed");
                    None
                }
                Err(_) => None,
            }
        }));
    }
}

/// A connection over TLS.
#[derive(Debug)]
pub(super) struct Connection(TlsStream<TcpStream>);

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.0.get_ref().0.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, into)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
