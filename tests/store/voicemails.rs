//! Messages that callers left.

use tieline::store::{NewVoicemail, StoreError, Transcript};

use crate::fresh::{Fresh, on_both};

on_both! {
    a_message_is_kept_and_its_words_are_added
    a_call_is_answered_by_whom_the_caller_chose
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
            .save_voicemail(&message(id))
            .await
            .expect("saved, without a call's row");
    }
    assert!(store.save_voicemail(&message("a")).await.is_err(), "an id is used once");
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
