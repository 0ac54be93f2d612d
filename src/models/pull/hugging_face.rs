//! Files over HTTP, resumable.

use std::error::Error;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::header::{CONTENT_RANGE, RANGE};
use reqwest::{Client, Response, StatusCode};

use super::{Progress, PullEvent, SourceError, Target};

pub(super) fn client() -> reqwest::Result<Client> {
    let builder = Client::builder()
        .user_agent(concat!("tieline/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(STALL_TIMEOUT);
    // The tests' server is on the loopback, where a proxy from the environment has no business.
    #[cfg(test)]
    let builder = builder.no_proxy();
    builder.build()
}

/// Downloads `url` into the target's `.part` file and returns its path. The checksum is the caller's task.
pub(super) async fn download(
    client: &Client,
    url: &str,
    target: &Target,
    progress: &Progress<'_>,
) -> Result<PathBuf, SourceError> {
    let part = target.part();
    let mut have = resumable_bytes(target);
    if have > 0 && target.expected.bytes == Some(have) {
        return Ok(part);
    }
    let mut response = get(client, url, have).await?;
    if response.status() == StatusCode::RANGE_NOT_SATISFIABLE && have > 0 {
        have = 0;
        response = get(client, url, have).await?;
    }
    match response.status() {
        StatusCode::PARTIAL_CONTENT if starts_at(&response, have) => {}
        StatusCode::PARTIAL_CONTENT => return Err(SourceError::Range),
        StatusCode::OK => have = 0,
        other => return Err(SourceError::Status(other)),
    }
    let total = target
        .expected
        .bytes
        .or_else(|| response.content_length().map(|rest| have + rest));
    progress(PullEvent::Started {
        file: target.file.clone(),
        done: have,
        total,
    });
    let received = receive(response, have, target, progress).await;
    progress(PullEvent::Ended);
    match (received?, target.expected.bytes) {
        (found, Some(expected)) if found < expected => Err(SourceError::Short { found, expected }),
        _ => Ok(part),
    }
}

/// Appends the body to the first `have` bytes of the `.part` file; returns the length it has then.
///
/// Written with the blocking API: a pull is a command of its own, and nothing else waits for this thread.
async fn receive(
    mut response: Response,
    have: u64,
    target: &Target,
    progress: &Progress<'_>,
) -> Result<u64, SourceError> {
    let path = target.part();
    let io = |source| SourceError::Io {
        path: path.clone(),
        source,
    };
    let mut file = open(&path, have).map_err(io)?;
    let mut length = have;
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| SourceError::Broken(innermost(&error)))?
    {
        length += chunk.len() as u64;
        if length > target.limit() {
            std::fs::remove_file(&path).map_err(io)?;
            return Err(SourceError::TooLarge {
                file: target.file.clone(),
                limit: target.limit(),
            });
        }
        file.write_all(&chunk).map_err(io)?;
        progress(PullEvent::Advanced {
            bytes: chunk.len() as u64,
        });
    }
    Ok(length)
}

/// How much of an earlier try can be used. Without a known sha256 a mixture of two versions could not be told, so nothing.
fn resumable_bytes(target: &Target) -> u64 {
    if target.expected.sha256.is_none() {
        return 0;
    }
    let length = std::fs::metadata(target.part()).map_or(0, |metadata| metadata.len());
    if length > target.limit() { 0 } else { length }
}

async fn get(client: &Client, url: &str, from: u64) -> Result<Response, SourceError> {
    let mut request = client.get(url);
    if from > 0 {
        request = request.header(RANGE, format!("bytes={from}-"));
    }
    request
        .send()
        .await
        .map_err(|error| SourceError::Unreachable(innermost(&error)))
}

fn starts_at(response: &Response, offset: u64) -> bool {
    let range = response
        .headers()
        .get(CONTENT_RANGE)
        .and_then(|value| value.to_str().ok());
    range.is_some_and(|range| range.starts_with(&format!("bytes {offset}-")))
}

fn open(path: &std::path::Path, keep: u64) -> std::io::Result<File> {
    let mut file = OpenOptions::new().create(true).write(true).truncate(false).open(path)?;
    file.set_len(keep)?;
    std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(keep))?;
    Ok(file)
}

/// reqwest's own text repeats the URL and hides the cause; the innermost error says it in one short line.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// Long enough for a slow link, short enough not to stop an offline site from going on to the next source.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Without a byte for that long, a transfer is given up; it can be resumed.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);
