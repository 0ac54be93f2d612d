//! Files of calls: on a thread of their own, since a disk may take its time and calls may not wait for it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tokio::sync::oneshot;

/// Does it there; `name` is the thread's.
pub(super) async fn on_a_thread<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let (done, result) = oneshot::channel();
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        // An error means that nobody waits any more.
        let _ = done.send(work());
    })?;
    result
        .await
        .unwrap_or_else(|_| Err(io::Error::other("the thread that does it has ended")))
}

/// Makes a folder for its owner's eyes only, unless it is there.
pub(super) fn make_dir(dir: &Path) -> io::Result<()> {
    let mut made = fs::DirBuilder::new();
    made.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut made, 0o700);
    made.create(dir)
}

/// The files of a folder whose names end so, by what is before that.
pub(super) fn files(dir: &Path, ending: &str) -> io::Result<Vec<(String, PathBuf)>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let id = path
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| name.strip_suffix(ending));
        if let Some(id) = id {
            found.push((id.to_owned(), path));
        }
    }
    Ok(found)
}

/// Removes files; how many of them were there.
pub(super) fn remove(paths: &[PathBuf]) -> io::Result<usize> {
    let mut removed = 0;
    for path in paths {
        match fs::remove_file(path) {
            Ok(()) => removed += 1,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_thread_has_the_name_of_what_it_does() {
        let name = on_a_thread("recordings", || Ok(std::thread::current().name().map(str::to_owned)));
        assert_eq!(name.await.expect("done").as_deref(), Some("recordings"));
    }
}
