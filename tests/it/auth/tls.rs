//! TLS: certificates of both sides, their renewal, and clients that speak something else.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::codegen::Service;
use tonic::codegen::http::Uri;

use super::*;

/// Who signs certificates.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key, in PEM.
struct Identity {
    certificate: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self { issuer: CertifiedIssuer::self_signed(params, key).expect("a root") }
    }

    fn identity(&self, name: &str) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &self.issuer).expect("it is signed").pem();
        Identity { certificate, key: key.serialize_pem() }
    }
}

impl Place {
    fn write_identity(&self, identity: &Identity) {
        for (name, text) in [("cert.pem", &identity.certificate), ("key.pem", &identity.key)] {
            std::fs::write(self.file(name), text).expect("it is written");
        }
    }

    async fn serve_tls(&self, authority: &Authority) -> Server {
        self.write_identity(&authority.identity("localhost"));
        Server::start(self.tls_variables(), NOW).await
    }

    fn tls_variables(&self) -> Vec<(String, String)> {
        let mut variables = self.variables();
        variables.push(variable("TOPLINE_TLS_CERTIFICATE", &self.file("cert.pem")));
        variables.push(variable("TOPLINE_TLS_KEY", &self.file("key.pem")));
        variables
    }
}

/// Makes connections over TLS for a client of gRPC.
#[derive(Clone)]
struct Connector {
    address: SocketAddr,
    config: Arc<ClientConfig>,
}

impl Connector {
    fn new(server: &Server, authority: &Authority, own: Option<&Identity>) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(authority.issuer.der().clone()).expect("a root");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring speaks them")
            .with_root_certificates(roots);
        let mut config = match own {
            None => builder.with_no_client_auth(),
            Some(own) => {
                let certificate = CertificateDer::from_pem_slice(own.certificate.as_bytes()).expect("a certificate");
                let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).expect("a key");
                builder.with_client_auth_cert(vec![certificate], key).expect("they belong together")
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Self { address: server.address, config: Arc::new(config) }
    }

    async fn connect(&self) -> io::Result<TlsStream<TcpStream>> {
        let name = "localhost".try_into().expect("a name");
        TlsConnector::from(Arc::clone(&self.config)).connect(name, TcpStream::connect(self.address).await?).await
    }

    async fn client(&self) -> Result<Client, tonic::transport::Error> {
        let endpoint = Endpoint::from_static("http://localhost");
        Ok(FlightSqlServiceClient::new(endpoint.connect_with_connector(self.clone()).await?))
    }

    /// Returns the certificate that the server shows now.
    async fn shown(&self) -> CertificateDer<'static> {
        let stream = self.connect().await.expect("a handshake");
        let shown = stream.get_ref().1.peer_certificates().expect("the server shows one");
        shown[0].clone().into_owned()
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _place: Uri) -> Self::Future {
        let own = self.clone();
        Box::pin(async move { Ok(TokioIo::new(own.connect().await?)) })
    }
}

async fn log_in(connector: &Connector) -> String {
    let mut client = connector.client().await.expect("it connects");
    client.handshake("ann", PASSWORD).await.expect("the password is right");
    who(&mut client).await.expect("she is let in")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_over_tls_is_as_any_other() {
    let (place, authority) = (Place::new(), Authority::new());
    let server = place.serve_tls(&authority).await;
    let connector = Connector::new(&server, &authority, None);
    assert_eq!(log_in(&connector).await, "ann");
    let stranger = Connector::new(&server, &Authority::new(), None);
    assert!(stranger.client().await.is_err(), "the client knows another root");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_show_a_certificate_where_they_must() {
    let (place, authority) = (Place::new(), Authority::new());
    std::fs::write(place.file("ca.pem"), authority.issuer.pem()).expect("it is written");
    place.write_identity(&authority.identity("localhost"));
    let mut variables = place.tls_variables();
    variables.push(variable("TOPLINE_TLS_CLIENT_CA", &place.file("ca.pem")));
    let server = Server::start(variables, NOW).await;
    let known = authority.identity("laptop");
    assert_eq!(log_in(&Connector::new(&server, &authority, Some(&known))).await, "ann");
    let foreign = Authority::new().identity("laptop");
    for own in [None, Some(&foreign)] {
        // TLS 1.3 lets a client speak before it knows that it is refused, so a call must fail, not the handshake.
        let mut client = match Connector::new(&server, &authority, own).client().await {
            Ok(client) => client,
            Err(_) => continue,
        };
        assert!(client.handshake("ann", PASSWORD).await.is_err(), "it is refused");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_shown_and_a_bad_one_is_not() {
    let (place, authority) = (Place::new(), Authority::new());
    place.write_identity(&authority.identity("localhost"));
    let variables = [place.tls_variables(), vec![variable("TOPLINE_AUDIT_PATH", &place.file("audit.log"))]].concat();
    let server = Server::start(variables, NOW).await;
    let connector = Connector::new(&server, &authority, None);
    let before = connector.shown().await;
    let next = authority.identity("localhost");
    let renewed = CertificateDer::from_pem_slice(next.certificate.as_bytes()).expect("a certificate");
    // As a renewal does: first the one file, then the other, and in between they do not belong together.
    std::fs::write(place.file("cert.pem"), &next.certificate).expect("it is written");
    assert_eq!(connector.shown().await, before);
    std::fs::write(place.file("key.pem"), &next.key).expect("it is written");
    assert_eq!(connector.shown().await, renewed);
    for broken in ["", "no certificate", &next.key] {
        std::fs::write(place.file("cert.pem"), broken).expect("it is written");
        assert_eq!(connector.shown().await, renewed, "{broken}");
    }
    assert_eq!(log_in(&connector).await, "ann");
    server.stop().await;
    let told = std::fs::read_to_string(place.file("audit.log")).expect("the log");
    let of = |outcome: &str| {
        let is_it =
            |line: &&str| line.contains("\"reloaded\"") && line.contains("\"certificates\"") && line.contains(outcome);
        told.lines().filter(is_it).count()
    };
    assert_eq!((of("changed "), of("\"outcome\":\"refused: ")), (1, 4), "{told}");
    assert!(!told.contains("PRIVATE"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_tls_is_closed_and_keeps_nobody_waiting() {
    let (place, authority) = (Place::new(), Authority::new());
    let server = place.serve_tls(&authority).await;
    let mut silent = Vec::new();
    for _ in 0..300 {
        // More than there may be handshakes at once.
        silent.push(TcpStream::connect(server.address).await.expect("it listens"));
    }
    for bytes in
        [b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n".as_slice(), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[0xff; 4096]]
    {
        let mut stream = TcpStream::connect(server.address).await.expect("it listens");
        stream.write_all(bytes).await.expect("it is sent");
        let mut answer = Vec::new();
        // Closed or reset, as what was sent has been read or not.
        let _ = stream.read_to_end(&mut answer).await;
        assert!(answer.len() < 16, "an alert at most: {answer:?}");
    }
    assert_eq!(log_in(&Connector::new(&server, &authority, None)).await, "ann");
    let mut refused = Connector::new(&server, &authority, None);
    Arc::get_mut(&mut refused.config).expect("nobody else has it").alpn_protocols = vec![b"http/1.1".to_vec()];
    assert!(refused.connect().await.is_err(), "another protocol inside");
    drop(silent);
    server.stop().await;
}

#[tokio::test]
async fn files_that_do_not_fit_are_named_at_the_start() {
    let (place, authority) = (Place::new(), Authority::new());
    let (one, other) = (authority.identity("localhost"), authority.identity("localhost"));
    place.write_identity(&Identity { certificate: one.certificate, key: other.key });
    let config = Config::sample(&Environment::from_variables(place.tls_variables())).expect("a configuration");
    let engine = Engine::open(config).await.expect("the sample opens");
    let bind = async || flight::bind("127.0.0.1:0".parse().expect("an address"), &engine).await;
    let error = bind().await.expect_err("they do not belong together");
    assert!(error.message().contains("cert.pem") && error.message().contains("key.pem"), "{error}");
    std::fs::write(place.file("cert.pem"), "nothing").expect("it is written");
    let error = bind().await.expect_err("no certificate");
    assert!(error.message().ends_with("cert.pem\" cannot be read: there is no certificate in it"), "{error}");
}
