//! Flight SQL: the engine as BI tools and drivers reach it, over gRPC. Reads only.
//!
//! [`bind`] takes the port, [`serve`] answers until it is told to stop. `service` and `calls` have the protocol, `query`
//! the way from a statement to a stream, `handle` what tickets and prepared statements carry, `metadata` the catalog as
//! clients list it, `session` the options of a client, `messages` how rows are cut into messages. Everything that a
//! client needs between two calls travels with the client, so any instance answers, and a restart loses nothing.
//! Knows no view by name. Start at [`serve`].

mod actions;
mod calls;
mod columns;
mod handle;
mod keys;
mod messages;
mod metadata;
mod query;
mod running;
mod service;
mod session;
mod sql_info;
mod status;
mod tables;
mod types;
mod workers;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arrow_flight::flight_service_server::FlightServiceServer;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use running::Running;
use service::Service;

/// The largest message that is taken in: a batch of parameters, or a handle that carries one.
const MESSAGE_BYTES_IN_MAX: usize = 64 << 20;

/// The largest set of headers that is taken in: JDBC sends every unknown URL parameter as a header, and proxies add
/// cookies and tokens of theirs.
const HEADER_BYTES_MAX: u32 = 64 << 10;

/// How often an idle connection is asked whether its client is still there; load balancers cut after minutes.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);

/// How long a client may take to answer that; a laptop on a poor network answers within seconds.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// How long running streams may go on after the signal to stop: less than the 30 seconds after which service managers
/// kill.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(20);

/// How long connections may take to close once their streams were cut.
const CLOSE_GRACE: Duration = Duration::from_secs(2);

/// Returns a listener on an address of this machine alone; port 0 takes any free one.
///
/// # Errors
/// `Config` where the address can be reached from elsewhere, where the port is in use, or where it may not be taken.
pub async fn bind(address: SocketAddr) -> Result<TcpListener> {
    refuse_other_machines(address)?;
    TcpListener::bind(address).await.map_err(|cause| {
        let error = match cause.kind() {
            std::io::ErrorKind::AddrInUse => {
                Error::new(ErrorKind::Config, format!("address \"{address}\" is in use by another program"))
                    .with_hint("stop that program, or choose another port with [server] listen")
            }
            std::io::ErrorKind::PermissionDenied => {
                Error::new(ErrorKind::Config, format!("address \"{address}\" may not be listened on by this user"))
                    .with_hint("choose a port above 1023 with [server] listen")
            }
            _ => Error::new(ErrorKind::Config, format!("address \"{address}\" cannot be listened on: {cause}"))
                .with_hint("choose another with [server] listen"),
        };
        error.with_source(cause)
    })
}

fn refuse_other_machines(address: SocketAddr) -> Result<()> {
    if address.ip().is_loopback() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Config,
        format!("address \"{address}\" can be reached from other machines, and the server has no authentication"),
    )
    .with_hint("listen on 127.0.0.1, and let others in through a tunnel or a proxy that authenticates"))
}

/// Answers clients until `shutdown` ends, then lets running streams finish for some seconds.
///
/// The listener takes connections from the moment it is bound, so a client may connect before this is called.
///
/// ```no_run
/// # async fn example() -> topline::Result<()> {
/// use topline::config::{Config, Environment};
/// use topline::engine::Engine;
///
/// let engine = Engine::open(Config::load(None, &Environment::of_process())?).await?;
/// let listener = topline::flight::bind(engine.config().listen).await?;
/// topline::flight::serve(engine, listener, async { drop(tokio::signal::ctrl_c().await) }).await
/// # }
/// ```
///
/// # Errors
/// `Config` where the listener can be reached from other machines, `Internal` where it breaks.
pub async fn serve(engine: Engine, listener: TcpListener, shutdown: impl Future<Output = ()> + Send) -> Result<()> {
    serve_within(engine, listener, shutdown, SHUTDOWN_GRACE).await
}

async fn serve_within(
    engine: Engine,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send,
    grace: Duration,
) -> Result<()> {
    let broken = |cause: std::io::Error| {
        Error::new(ErrorKind::Internal, "the listener of the server has no address").with_source(cause)
    };
    refuse_other_machines(listener.local_addr().map_err(broken)?)?;
    let running = Arc::new(Running::new());
    let service = FlightServiceServer::new(Service::new(engine, Arc::clone(&running))?)
        .max_decoding_message_size(MESSAGE_BYTES_IN_MAX);
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true)).with_keepalive(Some(KEEPALIVE_INTERVAL));
    let (stop, stopped) = oneshot::channel::<()>();
    let mut server = std::pin::pin!(
        Server::builder()
            .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
            .http2_max_header_list_size(HEADER_BYTES_MAX)
            .add_service(service)
            .serve_with_incoming_shutdown(incoming, async { drop(stopped.await) })
    );
    let ended = tokio::select! {
        ended = &mut server => Some(ended),
        () = shutdown => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            drop(stop);
            match timeout(grace, &mut server).await {
                Ok(ended) => ended,
                Err(_) => {
                    running.stop();
                    timeout(CLOSE_GRACE, &mut server).await.unwrap_or(Ok(()))
                }
            }
        }
    };
    ended.map_err(|cause| Error::new(ErrorKind::Internal, "the server broke off").with_source(cause))
}

#[cfg(test)]
mod tests {
    use arrow_flight::sql::client::FlightSqlServiceClient;
    use futures::TryStreamExt;
    use tonic::transport::Endpoint;

    use super::*;
    use crate::config::{Config, Environment};

    /// More rows than any client waits for.
    const ENDLESS: &str = "with d(v) as (values (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)) \
        select a.v from d as a cross join d as b cross join d as c cross join d as e cross join d as f \
        cross join d as g cross join d as h cross join d as i cross join d as j";

    #[tokio::test(flavor = "multi_thread")]
    async fn a_stream_that_outlasts_the_grace_is_cut_with_an_error() {
        let engine =
            Engine::open(Config::sample(&Environment::default()).expect("the sample")).await.expect("it opens");
        let listener = bind("127.0.0.1:0".parse().expect("an address")).await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(serve_within(engine, listener, async { drop(stopped.await) }, Duration::ZERO));
        let channel = Endpoint::from_shared(url).expect("a URL").connect().await.expect("it listens");
        let mut client = FlightSqlServiceClient::new(channel);
        let info = client.execute(ENDLESS.to_owned(), None).await.expect("it plans");
        let ticket = info.endpoint[0].ticket.clone().expect("a ticket");
        let mut stream = client.do_get(ticket).await.expect("it starts");
        assert!(stream.try_next().await.expect("a first batch").is_some());
        drop(stop);
        let ended: std::result::Result<Vec<_>, _> = stream.try_collect().await;
        assert!(ended.expect_err("it is cut").to_string().contains("because the server stops"));
        server.await.expect("no panic").expect("a clean end");
    }
}
