//! A source that is one file behind a URL, served over loopback.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::company;
use crate::project::{Project, answer, assert_says};

/// A file that is served, and the requests for it.
#[derive(Default)]
struct Served {
    bytes: Vec<u8>,
    version: u32,
    requests: Vec<String>,
}

/// Serves one file at `/data/accounts.parquet` on a free port until the test ends.
async fn serve(bytes: Vec<u8>) -> (u16, Arc<Mutex<Served>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("a bound port").port();
    let served = Arc::new(Mutex::new(Served { bytes, ..Served::default() }));
    let shared = Arc::clone(&served);
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(talk(connection, Arc::clone(&shared)));
        }
    });
    (port, served)
}

/// Answers the requests of one connection, as HTTP/1.1 has it, until the client hangs up.
async fn talk(mut connection: TcpStream, served: Arc<Mutex<Served>>) -> std::io::Result<()> {
    let (reader, mut writer) = connection.split();
    let mut reader = BufReader::new(reader);
    loop {
        let (mut request, mut range, mut length) = (String::new(), None, 0);
        if reader.read_line(&mut request).await? == 0 {
            return Ok(());
        }
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).await?;
            let Some((name, value)) = header.trim().split_once(": ") else { break };
            match name.to_lowercase().as_str() {
                "range" => range = Some(value.trim_start_matches("bytes=").to_owned()),
                "content-length" => length = value.parse().unwrap_or(0),
                _ => {}
            }
        }
        reader.read_exact(&mut vec![0; length]).await?;
        writer.write_all(&response(&request, range.as_deref(), &served)).await?;
    }
}

fn response(request: &str, range: Option<&str>, served: &Mutex<Served>) -> Vec<u8> {
    let mut served = served.lock().unwrap_or_else(PoisonError::into_inner);
    let mut words = request.split_whitespace();
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    served.requests.push(format!("{method} {path} {}", range.unwrap_or("whole")));
    if path != "/data/accounts.parquet" {
        return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec();
    }
    let size = served.bytes.len();
    let (first, last) = match range.and_then(|range| range.split_once('-')) {
        Some(("", count)) => (size - count.parse::<usize>().unwrap_or(size).min(size), size - 1),
        Some((first, "")) => (first.parse().unwrap_or(0), size - 1),
        Some((first, last)) => (first.parse().unwrap_or(0), last.parse().unwrap_or(size - 1).min(size - 1)),
        None => (0, size - 1),
    };
    let status = if range.is_some() { "206 Partial Content" } else { "200 OK" };
    let body = &served.bytes[first..=last];
    let mut response = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nContent-Range: bytes {first}-{last}/{size}\r\nAccept-Ranges: bytes\r\n\
        ETag: \"v{}\"\r\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n\r\n",
        body.len(),
        served.version
    )
    .into_bytes();
    if method != "HEAD" {
        response.extend_from_slice(body);
    }
    response
}

fn project(port: u16, file: &str) -> Project {
    let project = Project::new();
    let source = format!("[sources.web]\nconnector = \"raw\"\nlocation = \"http://127.0.0.1:{port}/data/{file}\"\n");
    project.text("topline.toml", &source);
    project
}

#[tokio::test]
async fn a_file_behind_a_url_is_a_table_of_its_name() {
    let (port, served) = serve(company::accounts().parquet()).await;
    let project = project(port, "accounts.parquet");
    let engine = project.open().await.expect("the project opens");
    let sql = "select name, segment, employee_count from web.accounts order by account_id";
    assert_eq!(
        answer(&engine, sql).await.expect("rows"),
        ["Acme | smb | 12", "Bolt | enterprise | 3000", "Cog |  | 7"]
    );
    {
        let mut served = served.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(served.requests.iter().all(|request| !request.ends_with("whole") || request.starts_with("HEAD ")));
        served.bytes = company::accounts().rows(0, 1).parquet();
        served.version += 1;
    }
    assert_eq!(answer(&engine, sql).await.expect("rows"), ["Acme | smb | 12"], "a new version is seen");
}

#[tokio::test]
async fn a_url_that_leads_nowhere_is_named_with_its_source() {
    let (port, _served) = serve(Vec::new()).await;
    let mut fault = project(port, "missing.parquet").fault().await;
    fault.message = fault.message.replace(&format!("127.0.0.1:{port}/data"), "HOST");
    assert_says(&fault, r#"Source: source "web": location "http://HOST/missing.parquet" does not exist"#);
}

#[tokio::test]
async fn a_url_whose_file_is_no_parquet_is_named() {
    let (port, _served) = serve(b"<html>please log in</html>".to_vec()).await;
    let fault = project(port, "accounts.parquet").fault().await;
    assert_says(
        &fault,
        "Source: web/accounts.parquet: not a Parquet file, or a truncated one (invalid Parquet file. Corrupt footer); hint: write the file again",
    );
}
