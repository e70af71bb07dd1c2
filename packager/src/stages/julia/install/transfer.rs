//! One file over HTTP (or from disk), in chunks, without ever blocking the main thread for long.
//!
//! A separate thread talks to the server, so Ctrl-C works while a server is silent. Redirects are followed here and not by the
//! HTTP client: a redirect from an encrypted address to an unencrypted one is refused. Redirects to other hosts are allowed,
//! because the size and hash of an archive are checked.

use std::fmt;
use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use fs_err::File;
use ureq::http::{HeaderMap, StatusCode};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use url::Url;

use jnumpy_base::env_vars;
use jnumpy_base::interrupt::{self, Interrupted};
use jnumpy_base::text::printable;

const BEAT: Duration = Duration::from_millis(50);
const CHUNK: usize = 1 << 18;
const QUEUE: usize = 4;
const MAX_REDIRECTS: usize = 10;
/// How long a server may be silent, in seconds, unless `JNUMPY_HTTP_TIMEOUT` says otherwise.
const PATIENCE: u64 = 30;
/// A server that delivers fewer bytes per second counts as silent.
const MINIMUM_RATE: f64 = 1000.0;

/// Why a file did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The server answered, and not with the file.
    #[error("the server answered {status}")]
    Status {
        /// As `404 Not Found`.
        status: StatusCode,
    },
    /// There is no connection.
    #[error("{0}")]
    Connection(String),
    /// The server delivered nothing, or almost nothing.
    #[error("the server sent less than {MINIMUM_RATE} bytes a second for {seconds} s")]
    Stalled {
        /// How long it was waited for.
        seconds: u64,
    },
    /// The connection ended before the file did.
    #[error("the connection ended after {received} of {expected} bytes")]
    Cut {
        /// Bytes at hand.
        received: u64,
        /// Bytes that there should be.
        expected: u64,
    },
    /// More arrives than there should be.
    #[error("the server sent more than {limit} bytes")]
    TooLarge {
        /// What there should be at most.
        limit: u64,
    },
    /// The answer to a request for the rest of a file is another part of it.
    #[error("the server sent a different part of the file than requested: `{0}`")]
    Range(String),
    /// From an encrypted address to one that is not, or from a server to a file on this machine.
    #[error(
        "refusing to follow `{from}` to `{to}`: an https address may lead only to https, and no server may name a local file"
    )]
    Downgrade {
        /// Where it began.
        from: String,
        /// Where it would go on.
        to: String,
    },
    /// The servers send us in circles.
    #[error("the server redirected more than {MAX_REDIRECTS} times")]
    Redirects,
    /// A redirect to nowhere.
    #[error("the server redirected to `{0}`, which is not a valid address")]
    Location(String),
    /// The address is of no kind that can be fetched.
    #[error("the address must begin with https://, http://, or file://")]
    Scheme,
    /// A local file cannot be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The user asked to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

impl TransferError {
    /// Whether the same request may succeed a moment later.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Stalled { .. } | Self::Cut { .. } => true,
            Self::Status { status } => status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS,
            _ => false,
        }
    }
}

/// An address fit to print: without user name, password and query, which may hold secrets.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // Both fail only for addresses that have no host, and so no user.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    printable(url.as_str())
}

/// Whether a file named by what came from `from` may be fetched from `to`.
pub(super) fn check_step(from: &Url, to: &Url) -> Result<(), TransferError> {
    let allowed = match from.scheme() {
        "https" => to.scheme() == "https",
        "http" => matches!(to.scheme(), "http" | "https"),
        _ => true,
    };
    if allowed { Ok(()) } else { Err(TransferError::Downgrade { from: shown(from), to: shown(to) }) }
}

/// Makes requests. Proxies come from `https_proxy`, `http_proxy`, `all_proxy` and `no_proxy`.
#[derive(Clone)]
pub(super) struct Client {
    agent: ureq::Agent,
    patience: Duration,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("patience", &self.patience).finish_non_exhaustive()
    }
}

impl Client {
    /// A client with the machine's certificates, or the built-in ones on a machine without any.
    pub(super) fn new() -> Self {
        let seconds = std::env::var(env_vars::JNUMPY_HTTP_TIMEOUT).ok().and_then(|text| text.parse().ok());
        let patience = Duration::from_secs(seconds.filter(|seconds| *seconds > 0).unwrap_or(PATIENCE));
        let own: Vec<_> = rustls_native_certs::load_native_certs()
            .certs
            .iter()
            .map(|certificate| Certificate::from_der(certificate.as_ref()).to_owned())
            .collect();
        let roots = if own.is_empty() { RootCerts::WebPki } else { RootCerts::Specific(Arc::new(own)) };
        let config = ureq::Agent::config_builder()
            .user_agent(concat!("jnumpy-pack/", env!("CARGO_PKG_VERSION")))
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            // A server may close a connection while the next request is on its way to it.
            .max_idle_connections(0)
            .timeout_resolve(Some(patience))
            .timeout_connect(Some(patience))
            .timeout_recv_response(Some(patience))
            .timeout_per_read(Some(patience))
            .build();
        Self { agent: config.new_agent(), patience }
    }

    /// Asks for the file from byte `offset` on. The answer may begin at 0 all the same: see [`Transfer::offset`].
    pub(super) fn open(&self, url: &Url, offset: u64) -> Result<Transfer, TransferError> {
        let (sender, receiver) = mpsc::sync_channel(QUEUE);
        let (client, url) = (self.clone(), url.clone());
        thread::spawn(move || {
            let end = client.serve(url, offset, &sender).map_or_else(Message::Failed, |()| Message::End);
            // Sending fails if the main thread has given up.
            let _ = sender.send(end);
        });
        let mut transfer = Transfer {
            receiver,
            patience: self.patience,
            window: Instant::now(),
            arrived: 0,
            offset: 0,
            size: None,
        };
        loop {
            match transfer.receive()? {
                Some(Message::Opened { offset, size }) => {
                    (transfer.offset, transfer.size) = (offset, size);
                    transfer.window = Instant::now();
                    return Ok(transfer);
                }
                Some(Message::Failed(error)) => return Err(error),
                Some(Message::Chunk(_) | Message::End) => {
                    return Err(TransferError::Connection("there was no answer".into()));
                }
                // The client's own time-outs end this wait.
                None => {}
            }
        }
    }

    /// Runs in the thread: sends what the server delivers.
    fn serve(&self, url: Url, offset: u64, sender: &SyncSender<Message>) -> Result<(), TransferError> {
        let (reader, opened) = match url.scheme() {
            "file" => file(&url, offset)?,
            "http" | "https" => self.request(url, offset)?,
            _ => return Err(TransferError::Scheme),
        };
        if sender.send(opened).is_err() {
            return Ok(());
        }
        self.pump(reader, sender)
    }

    fn pump(&self, mut reader: Box<dyn Read>, sender: &SyncSender<Message>) -> Result<(), TransferError> {
        let mut buffer = vec![0; CHUNK];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => {
                    if sender.send(Message::Chunk(buffer[..count].to_vec())).is_err() {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.explain(ureq::Error::from(error), true)),
            }
        }
    }

    fn request(&self, mut url: Url, offset: u64) -> Result<(Box<dyn Read>, Message), TransferError> {
        for _ in 0..=MAX_REDIRECTS {
            let mut request = self.agent.get(url.as_str());
            if offset > 0 {
                request = request.header("Range", format!("bytes={offset}-"));
            }
            let response = request.call().map_err(|error| self.explain(error, false))?;
            let status = response.status();
            if status.is_redirection() && response.headers().contains_key("location") {
                url = redirected(&url, response.headers())?;
                continue;
            }
            let (offset, size) = match status {
                StatusCode::OK => (0, length(response.headers())),
                StatusCode::PARTIAL_CONTENT if offset > 0 => range(response.headers(), offset)?,
                _ => return Err(TransferError::Status { status }),
            };
            let reader = Box::new(response.into_body().into_reader());
            return Ok((reader, Message::Opened { offset, size }));
        }
        Err(TransferError::Redirects)
    }

    /// The client's error in our words; `reading`: the answer had begun, so a broken connection can be taken up again.
    fn explain(&self, error: ureq::Error, reading: bool) -> TransferError {
        match error {
            ureq::Error::Timeout(_) => TransferError::Stalled { seconds: self.patience.as_secs() },
            ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::TimedOut => {
                TransferError::Stalled { seconds: self.patience.as_secs() }
            }
            _ if reading => TransferError::Cut { received: 0, expected: 0 },
            ureq::Error::HostNotFound => TransferError::Connection("the host is not known".into()),
            ureq::Error::Io(error) => TransferError::Connection(printable(&error.to_string())),
            error => TransferError::Connection(printable(&error.to_string())),
        }
    }
}

fn file(url: &Url, offset: u64) -> Result<(Box<dyn Read>, Message), TransferError> {
    let path = url.to_file_path().map_err(|()| TransferError::Location(shown(url)))?;
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    let offset = offset.min(size);
    file.seek(SeekFrom::Start(offset))?;
    Ok((Box::new(file), Message::Opened { offset, size: Some(size) }))
}

fn redirected(from: &Url, headers: &HeaderMap) -> Result<Url, TransferError> {
    let text =
        headers.get("location").map(|value| String::from_utf8_lossy(value.as_bytes())).unwrap_or_default();
    let to = from.join(&text).map_err(|_| TransferError::Location(printable(&text)))?;
    check_step(from, &to)?;
    Ok(to)
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get("content-length")?.to_str().ok()?.trim().parse().ok()
}

/// Offset and whole size from `Content-Range: bytes 10-99/100`.
fn range(headers: &HeaderMap, asked: u64) -> Result<(u64, Option<u64>), TransferError> {
    let text = headers
        .get("content-range")
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
        .unwrap_or_default();
    let parsed = text.trim().strip_prefix("bytes ").and_then(|rest| {
        let (span, size) = rest.split_once('/')?;
        let (first, _) = span.split_once('-')?;
        Some((first.trim().parse::<u64>().ok()?, size.trim().parse().ok()))
    });
    parsed.filter(|(first, _)| *first == asked).ok_or_else(|| TransferError::Range(printable(&text)))
}

enum Message {
    Opened { offset: u64, size: Option<u64> },
    Chunk(Vec<u8>),
    End,
    Failed(TransferError),
}

/// A file on its way.
pub(super) struct Transfer {
    receiver: Receiver<Message>,
    patience: Duration,
    /// Since when, and how many bytes have arrived since: a server that trickles is found by it.
    window: Instant,
    arrived: usize,
    /// Where the first chunk belongs in the file.
    pub(super) offset: u64,
    /// The whole file's size, where the server says it.
    pub(super) size: Option<u64>,
}

impl Transfer {
    /// The next chunk; `None` at the end, which need not be the end of the file.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, TransferError> {
        loop {
            let message = self.receive()?;
            if let Some(Message::Chunk(bytes)) = &message {
                self.arrived += bytes.len();
            }
            self.check_rate()?;
            match message {
                Some(Message::Chunk(bytes)) => return Ok(Some(bytes)),
                Some(Message::End) => return Ok(None),
                Some(Message::Failed(error)) => return Err(error),
                Some(Message::Opened { .. }) | None => {}
            }
        }
    }

    /// A message, or `None` after a moment without one.
    fn receive(&mut self) -> Result<Option<Message>, TransferError> {
        interrupt::check()?;
        match self.receiver.recv_timeout(BEAT) {
            Ok(message) => Ok(Some(message)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Ok(Some(Message::End)),
        }
    }

    fn check_rate(&mut self) -> Result<(), TransferError> {
        let elapsed = self.window.elapsed();
        if elapsed < self.patience {
            return Ok(());
        }
        #[expect(clippy::cast_precision_loss, reason = "a rate needs no exact count")]
        let rate = self.arrived as f64 / elapsed.as_secs_f64();
        if rate < MINIMUM_RATE {
            return Err(TransferError::Stalled { seconds: elapsed.as_secs() });
        }
        (self.window, self.arrived) = (Instant::now(), 0);
        Ok(())
    }
}

/// Waits before another attempt, longer each time.
pub(super) fn pause(attempt: u32) -> Result<(), Interrupted> {
    let end = Instant::now() + Duration::from_millis(500) * 2u32.pow(attempt - 1);
    while Instant::now() < end {
        interrupt::check()?;
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn ok_secrets_are_not_shown() {
        assert_eq!(
            shown(&url("https://me:p%40ss@mirror.example/bin/a.json?token=x")),
            "https://mirror.example/bin/a.json"
        );
        assert_eq!(shown(&url("file:///srv/versions.json")), "file:///srv/versions.json");
    }

    #[test]
    fn ok_which_steps_are_allowed() {
        let allowed = |from: &str, to: &str| check_step(&url(from), &url(to)).is_ok();
        assert!(allowed("https://a.example/x", "https://b.example/y"));
        assert!(allowed("http://a.example/x", "https://b.example/y"));
        assert!(allowed("http://a.example/x", "http://b.example/y"));
        assert!(allowed("file:///srv/x", "file:///srv/y"));
        assert!(allowed("file:///srv/x", "https://a.example/y"));
        assert!(!allowed("https://a.example/x", "http://a.example/x"));
        assert!(!allowed("https://a.example/x", "file:///etc/passwd"));
        assert!(!allowed("http://a.example/x", "file:///etc/passwd"));
    }

    #[test]
    fn err_another_range_than_the_one_asked_for() {
        let headers =
            |text: &str| HeaderMap::from_iter([("content-range".parse().unwrap(), text.parse().unwrap())]);
        assert_eq!(range(&headers("bytes 10-99/100"), 10).unwrap(), (10, Some(100)));
        assert_eq!(range(&headers("bytes 10-99/*"), 10).unwrap(), (10, None));
        for text in ["bytes 0-99/100", "", "bytes */100", "items 10-99/100", "bytes ten-99/100"] {
            assert!(matches!(range(&headers(text), 10), Err(TransferError::Range(_))), "{text}");
        }
    }
}
