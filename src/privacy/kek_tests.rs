use std::os::unix::fs::PermissionsExt as _;

use super::*;

const A: &str = "6ZlXh9uMZ9nUj1hN0Yq0F5bX2c7t9m3kQ1w4e5r6t7A=";
const B: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

fn given(keys: &str) -> KekSource {
    KekSource::Given(keys.into())
}

fn ring(keys: &str) -> KeyRing {
    KeyRing::load(&given(keys)).expect("good").expect("there")
}

fn mode(path: &Path) -> u32 {
    path.metadata().expect("a file").permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("changed");
}

#[test]
fn a_key_is_made_once_for_its_owner_alone() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let source = KekSource::File(dir.path().join("new/kek.key"));
    assert!(KeyRing::load(&source).expect("readable").is_none());
    let made: Vec<String> = std::thread::scope(|scope| {
        let make = || KeyRing::create(&source).expect("made").first().to_owned();
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .collect()
    });
    assert!(made.iter().all(|id| *id == made[0] && id.len() == 16), "{made:?}");
    let path = dir.path().join("new/kek.key");
    assert_eq!(mode(&path), 0o600);
    let entries = fs::read_dir(dir.path().join("new")).expect("listed").count();
    assert_eq!(entries, 1, "nothing is left beside it");
    assert_eq!(
        KeyRing::load(&source).expect("readable").expect("there").first(),
        made[0]
    );
}

#[test]
fn a_file_that_others_may_use_is_refused() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("kek.key");
    fs::write(&path, A).expect("written");
    for bad in [0o644, 0o640, 0o620, 0o604, 0o601, 0o660] {
        set_mode(&path, bad);
        let error = KeyRing::load(&KekSource::File(path.clone())).expect_err("loose");
        assert!(matches!(error, KekError::Loose { mode, .. } if mode == bad), "{error}");
        assert!(error.to_string().contains(&format!("(mode 0{bad:o})")), "{error}");
        assert!(error.remedy().contains("chmod 600"));
    }
    for good in [0o600, 0o400] {
        set_mode(&path, good);
        assert!(KeyRing::load(&KekSource::File(path.clone())).expect("good").is_some());
    }
}

#[test]
fn the_first_of_several_wraps_and_all_of_them_open() {
    let (one, both) = (ring(A), ring(&format!("# new\n{B}\n\n{A}\n{B}")));
    assert_eq!(both.ids().count(), 2);
    assert_eq!(ring(&format!("{B},{A}")).first(), both.first());
    assert!(both.has(one.first()) && !one.has(both.first()));
    let key = DataKey::random("call/CA1");
    let wrapped = one.wrap(one.first(), &key).expect("its own");
    let opened = both.unwrap(one.first(), "call/CA1", &wrapped).expect("opens");
    assert_eq!(opened.bytes(), key.bytes());
    assert_eq!(both.wrap("0000000000000000", &key), None);
    assert_eq!(
        one.unwrap(both.first(), "call/CA1", &wrapped).err(),
        Some(UnwrapError::NoSuchKek)
    );
    for (kek, id, wrapped) in [
        (one.first(), "call/CA2", wrapped.clone()),
        (both.first(), "call/CA1", wrapped.clone()),
        (one.first(), "call/CA1", format!("{wrapped}A")),
        (one.first(), "call/CA1", String::new()),
    ] {
        let error = both.unwrap(kek, id, &wrapped).err();
        assert_eq!(error, Some(UnwrapError::DoesNotOpen(DoesNotOpen)), "{kek} {id}");
    }
}

#[test]
fn what_is_no_key_is_named_and_not_shown() {
    for (text, told) in [
        ("", "KEK holds no key"),
        ("# only words", "KEK holds no key"),
        ("c2hvcnQ=", "KEK, line 1,"),
        ("hidden word", "KEK, line 1,"),
        (&format!("{A}\n\nhidden"), "KEK, line 3,"),
        ("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "KEK, line 1,"),
    ] {
        let error = KeyRing::load(&given(text)).expect_err(text).to_string();
        assert!(error.starts_with(told) && !error.contains("hidden"), "{error}");
    }
    let shown = format!("{:?} {:?}", ring(A), given(A));
    assert!(shown.contains(ring(A).first()) && !shown.contains("6ZlX"), "{shown}");
}

#[test]
fn a_new_key_goes_before_those_of_the_file() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (path, link) = (dir.path().join("kek.key"), dir.path().join("link"));
    std::os::unix::fs::symlink(&path, &link).expect("linked");
    fs::write(&path, A).expect("written");
    set_mode(&path, 0o400);
    let source = KekSource::File(link.clone());
    let before = ring(A);
    let after = KeyRing::add_new(&source).expect("added");
    assert!(after.first() != before.first() && after.has(before.first()));
    let read = KeyRing::load(&source).expect("good").expect("there");
    assert!(read.ids().eq(after.ids()), "the file has them, in order");
    assert_eq!(mode(&path), 0o600);
    let mut beside: Vec<_> = fs::read_dir(dir.path())
        .expect("listed")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    beside.sort();
    assert!(
        link.is_symlink() && beside == ["kek.key", "kek.key.lock", "link"],
        "{beside:?}"
    );
    let error = KeyRing::add_new(&KekSource::File(dir.path().join("none"))).expect_err("no file");
    assert!(matches!(error, KekError::Unwritable { .. }), "{error}");
}

#[test]
fn keys_that_are_added_at_the_same_time_are_all_kept() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("kek.key");
    fs::write(&path, A).expect("written");
    set_mode(&path, 0o600);
    let source = KekSource::File(path);
    let together = std::sync::Barrier::new(8);
    let added: Vec<String> = std::thread::scope(|scope| {
        let add = || {
            together.wait();
            KeyRing::add_new(&source).expect("added").first().to_owned()
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(add)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .collect()
    });
    let kept = KeyRing::load(&source).expect("good").expect("there");
    assert_eq!(kept.ids().count(), 9);
    assert!(added.iter().all(|id| kept.has(id)), "{added:?} {kept:?}");
}

#[test]
fn a_credential_comes_before_the_file_and_is_not_ours_to_write() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let source = KekSource::Credential {
        directory: dir.path().to_owned(),
        otherwise: dir.path().join("kek.key"),
    };
    assert!(KeyRing::load(&source).expect("readable").is_none());
    let own = KeyRing::create(&source).expect("made").first().to_owned();
    fs::write(dir.path().join(CREDENTIAL), B).expect("written");
    set_mode(&dir.path().join(CREDENTIAL), 0o400);
    let theirs = KeyRing::load(&source).expect("readable").expect("there");
    assert!(theirs.first() != own && theirs.first() == ring(B).first());
    for (refused, place) in [(source, CREDENTIAL), (given(A), "KEK")] {
        let error = KeyRing::add_new(&refused).expect_err("not ours");
        assert!(
            matches!(error, KekError::NotOurs { .. }) && error.to_string().contains(place),
            "{error}"
        );
    }
}
