//! A quick look at model files, without reading them: what `tieline doctor` does where hashing would take long.

use std::path::{Path, PathBuf};

use super::locate::{ModelError, named};
use super::manifest::Manifest;

/// How a model file looks from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Glance {
    /// There, and as long as one of the model's sources says it is, or of a length nobody knows.
    Fits,
    /// Not there.
    Missing,
    /// Of another length: a download that broke off, or another file.
    Size {
        /// In bytes, by the first source that knows.
        expected: u64,
        /// In bytes.
        found: u64,
    },
}

/// Each file of a model of the manifest. It says nothing of what is in them.
pub fn glance(manifest: &Manifest, models_dir: &Path, name: &str) -> Result<Vec<(PathBuf, Glance)>, ModelError> {
    let names = [name.to_owned()];
    let models = named(manifest, &names)?.into_iter();
    let files = models.flat_map(|model| {
        model.files.iter().enumerate().map(move |(index, file)| {
            let path = models_dir.join(file);
            let lengths: Vec<Option<u64>> = model.expected(index).map(|expected| expected.bytes).collect();
            let seen = match std::fs::metadata(&path).map(|file| file.len()) {
                Ok(found) => compare(&lengths, found),
                Err(_) => Glance::Missing,
            };
            (path, seen)
        })
    });
    Ok(files.collect())
}

fn compare(lengths: &[Option<u64>], found: u64) -> Glance {
    let unknown = lengths.iter().any(Option::is_none);
    match lengths.iter().flatten().next() {
        Some(&expected) if !unknown && !lengths.contains(&Some(found)) => Glance::Size { expected, found },
        _ => Glance::Fits,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_wrong_only_if_every_source_says_so() {
        let (expected, found) = (10, 7);
        assert_eq!(compare(&[Some(10)], 7), Glance::Size { expected, found });
        assert_eq!(compare(&[Some(10), Some(7)], 7), Glance::Fits);
        assert_eq!(compare(&[Some(10), None], 7), Glance::Fits);
        assert_eq!(compare(&[], 7), Glance::Fits);
    }

    #[test]
    fn a_file_that_broke_off_is_seen() {
        let text = "[[model]]\nname = 'm'\npurpose = 'stt'\n[[model.source]]\nhf = 'a/b/m.bin'\nbytes = 4\n";
        let manifest = Manifest::parse(text, Path::new("m.toml")).expect("a manifest");
        let dir = tempfile::tempdir().expect("a temporary directory");
        let look = || glance(&manifest, dir.path(), "m").expect("a known model")[0].1.clone();
        assert_eq!(look(), Glance::Missing);
        std::fs::write(dir.path().join("m.bin"), "goo").expect("written");
        assert_eq!(look(), Glance::Size { expected: 4, found: 3 });
        std::fs::write(dir.path().join("m.bin"), "good").expect("written");
        assert_eq!(look(), Glance::Fits);
    }
}
