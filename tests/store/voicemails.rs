//! Messages that callers left.

use std::path::Path;

use tieline::call::voicemail::Mailbox;
use tieline::store::{Item, NewVoicemail, Store, StoreError, Transcript};

use crate::fresh::{Fresh, found_in, on_both};
use crate::shred;

on_both! {
    a_message_is_kept_and_its_words_are_added
    a_call_is_answered_by_whom_the_caller_chose
    files_that_were_plain_are_sealed
    an_altered_file_is_found
}

fn message(id: &str) -> NewVoicemail {
    NewVoicemail {
        id: id.to_owned(),
        call_sid: "CA1".to_owned(),
        from: Some("+12125550101".to_owned()),
        to: None,
        agent: "front-desk".to_owned(),
        language: "es".to_owned(),
        duration_ms: 61_500,
        sha256: "0f".repeat(32),
    }
}

async fn a_message_is_kept_and_its_words_are_added(fresh: Fresh) {
    let store = fresh.open().await;
    for id in ["a", "b", "c"] {
        store
            .save_voicemail(&message(id), &Store::new_voicemail_key(id))
            .await
            .expect("saved, without a call's row");
    }
    let again = store
        .save_voicemail(&message("a"), &Store::new_voicemail_key("a"))
        .await;
    assert!(again.is_err(), "an id is used once");
    let raw = fresh.raw().await;
    sqlx::query("UPDATE voicemails SET created_at_ms = created_at_ms + 60000 WHERE id = 'b'")
        .execute(&raw)
        .await
        .expect("changed");
    store
        .save_transcript("a", Some("¿Me llama? \"Sí\"."))
        .await
        .expect("saved");
    store.save_transcript("c", None).await.expect("saved");
    store.save_transcript("gone", Some("x")).await.expect("nothing to do");
    let waiting = store.untranscribed_voicemails(10).await.expect("listed");
    assert!(waiting.len() == 1 && waiting[0].new.id == "b" && waiting[0].transcript == Transcript::Waiting);
    drop(store);

    let all = fresh.open().await.recent_voicemails(10).await.expect("listed");
    assert_eq!(all.len(), 3);
    assert!(all[0].new.id == "b", "the newest first");
    let found = |id: &str| all.iter().find(|kept| kept.new.id == id).expect("there");
    assert!(found("a").transcript == Transcript::Done("¿Me llama? \"Sí\".".to_owned()));
    assert!(found("c").transcript == Transcript::Failed);
    let (kept, new) = (&found("a").new, message("a"));
    assert!(kept.from == new.from && kept.to.is_none() && kept.agent == new.agent && kept.language == new.language);
    assert!(kept.call_sid == "CA1" && kept.duration_ms == 61_500 && kept.sha256 == new.sha256);
    assert!(found("a").created_at.to_string().starts_with("20"));
}

async fn a_call_is_answered_by_whom_the_caller_chose(fresh: Fresh) {
    let store = fresh.open().await;
    let new = tieline::store::NewCall {
        call_sid: "CA1".to_owned(),
        agent: "front-desk".to_owned(),
        ..Default::default()
    };
    store.begin_call(&new).await.expect("begun");
    store.answered_by("CA1", "billing").await.expect("changed");
    let call = store.call("CA1").await.expect("answered").expect("there").call;
    assert!(call.agent == "billing" && call.ended_at.is_none());
    assert!(matches!(
        store.answered_by("CA2", "billing").await,
        Err(StoreError::UnknownCall)
    ));
}

/// What an earlier version has written: a row and a plain file.
async fn plain(store: &Store, dir: &Path, id: &str) -> Vec<u8> {
    let wav: Vec<u8> = format!("RIFF a message of {id} ").into_bytes().repeat(500);
    std::fs::write(dir.join(format!("{id}.wav")), &wav).expect("written");
    store
        .save_voicemail(&message(id), &Store::new_voicemail_key(id))
        .await
        .expect("saved");
    wav
}

async fn files_that_were_plain_are_sealed(fresh: Fresh) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = fresh.open().await;
    let mailbox = Mailbox::new(dir.path().to_owned(), store.clone());
    mailbox.seal_plain_files().await.expect("nothing to do");
    let (a, b) = (
        plain(&store, dir.path(), "a").await,
        plain(&store, dir.path(), "b").await,
    );
    // One was sealed, and the server killed before the plain one was removed.
    mailbox.seal_plain_files().await.expect("sealed");
    std::fs::write(dir.path().join("a.wav"), &a).expect("written");
    // Of nobody: left for people to look at. Of one that was deleted for good as well.
    std::fs::write(dir.path().join("x.wav"), "x").expect("written");
    plain(&store, dir.path(), "gone").await;
    assert!(shred(&store, Item::Voicemail("gone".to_owned())).await);
    mailbox.seal_plain_files().await.expect("sealed");
    let mut names: Vec<String> = std::fs::read_dir(dir.path())
        .expect("listed")
        .map(|entry| entry.expect("a file").file_name().into_string().expect("UTF-8"))
        .collect();
    names.sort();
    assert_eq!(names, ["a.wav.sealed", "b.wav.sealed", "gone.wav", "x.wav"]);
    for (id, wav) in [("a", a), ("b", b)] {
        assert!(mailbox.wav(id).await.expect("readable").expect("there") == wav);
        let file = std::fs::read(dir.path().join(format!("{id}.wav.sealed"))).expect("a file");
        assert!(found_in(&file, &["RIFF", "message"]).is_empty());
    }
    assert!(mailbox.wav("gone").await.expect("answered").is_none());
    assert_eq!(mailbox.verify().await.expect("readable"), Vec::<String>::new());
}

async fn an_altered_file_is_found(fresh: Fresh) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = fresh.open().await;
    let mailbox = Mailbox::new(dir.path().to_owned(), store.clone());
    for id in ["a", "b", "c", "d"] {
        plain(&store, dir.path(), id).await;
    }
    mailbox.seal_plain_files().await.expect("sealed");
    let path = |id: &str| dir.path().join(format!("{id}.wav.sealed"));
    let mut file = std::fs::read(path("a")).expect("a file");
    file[5_000] ^= 1;
    std::fs::write(path("a"), &file).expect("written");
    std::fs::copy(path("c"), path("b")).expect("copied");
    std::fs::remove_file(path("d")).expect("removed");
    // What is wrong with a row is told elsewhere, and does not hide what is wrong with files.
    plain(&store, dir.path(), "e").await;
    sqlx::query("UPDATE voicemails SET message_sealed = '1:x' WHERE id = 'e'")
        .execute(&fresh.raw().await)
        .await
        .expect("written");
    let faults = mailbox.verify().await.expect("readable");
    let told = |part: &str| faults.iter().any(|fault| fault.contains(part));
    assert!(
        told("the file of voicemail a is not the one that was written"),
        "{faults:?}"
    );
    assert!(
        told("voicemail a: the file of a voicemail does not open: chunk 1 at byte "),
        "{faults:?}"
    );
    assert!(
        told("voicemail b: the file of a voicemail does not open: the header does not open"),
        "{faults:?}"
    );
    assert!(
        told("the file of voicemail d cannot be read") && !told("voicemail c"),
        "{faults:?}"
    );
}
