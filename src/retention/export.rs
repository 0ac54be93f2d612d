//! Everything that is known of a person, as one JSON file and the audio beside it.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::{Keeper, RetentionError, private_directory, private_file};
use crate::call::recording::{RecordingError, Wav};
use crate::store::{
    AuditEvent, AuditRecord, Belongings, CustomerKey, Item, Person, RecordedCall, Recording, StoreError, TaskOrder,
    Transcript, Voicemail, Who,
};

/// What was written.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Exported {
    /// Records of the person.
    pub records: usize,
    /// Audio files.
    pub audio: usize,
    /// What could not be read: what it is, and why.
    pub unreadable: Vec<String>,
}

/// The file, and what it lacks.
struct Export {
    dir: PathBuf,
    file: Map<String, Value>,
    done: Exported,
}

impl Keeper {
    /// Writes all that there is of a person to `dir`, which must not be there, for its owner's eyes only. The audit trail says so first.
    pub async fn export(
        &self,
        person: Person<'_>,
        found: &Belongings,
        dir: &Path,
        who: Who<'_>,
    ) -> Result<Exported, RetentionError> {
        let event = AuditEvent {
            actor: who.actor,
            origin: who.origin,
            action: "export",
            subject: &found.reference,
            outcome: "allowed",
            detail: "all that is known of a person",
        };
        self.store.audit(&event).await?;
        let failed = |source| {
            let path = dir.to_owned();
            RetentionError::File { path, source }
        };
        if dir.exists() {
            return Err(failed(std::io::ErrorKind::AlreadyExists.into()));
        }
        private_directory(dir).map_err(failed)?;
        let mut export = Export {
            dir: dir.to_owned(),
            file: Map::new(),
            done: Exported {
                records: found.items.len(),
                ..Exported::default()
            },
        };
        export.put("format", json!("tieline-person-1"));
        export.put("made_at", json!(self.store.now().await?.to_string()));
        export.put("reference", json!(found.reference));
        self.export_who(person, &mut export).await?;
        self.export_orders(found, &mut export).await?;
        self.export_calls(found, &mut export).await?;
        self.export_voicemails(found, &mut export).await?;
        self.export_audit(found, &mut export).await?;
        export.finish()
    }

    async fn export_who(&self, person: Person<'_>, export: &mut Export) -> Result<(), RetentionError> {
        match person {
            Person::Patient(member) => {
                let file = self.store.patient_file(member).await;
                export.add("patient", "the patient", file.transpose())
            }
            Person::Customer(number) => {
                let customer = self.store.find_customer(CustomerKey::Number(number)).await;
                let customer = customer.map(|found| {
                    found.map(|customer| {
                        json!({
                            "customer_number": customer.customer_number,
                            "name": customer.name,
                            "phone": customer.phone,
                            "email": customer.email,
                            "address": customer.address,
                            "created_at": customer.created_at.to_string(),
                        })
                    })
                });
                export.add("customer", "the customer", customer.transpose())
            }
            Person::Caller(_) => Ok(()),
        }
    }

    async fn export_orders(&self, found: &Belongings, export: &mut Export) -> Result<(), RetentionError> {
        let mut orders = Vec::new();
        for number in found.orders() {
            let order = self.store.task_order(number).await;
            if let Some(Some(order)) = export.readable(number, order)? {
                orders.push(order_json(order));
            }
        }
        export.put("orders", Value::Array(orders));
        Ok(())
    }

    async fn export_calls(&self, found: &Belongings, export: &mut Export) -> Result<(), RetentionError> {
        let mut calls = Vec::new();
        for sid in found.calls() {
            let call = self.store.call(sid).await;
            if let Some(Some(call)) = export.readable(sid, call)? {
                let mut call = call_json(call);
                call["recording"] = self.export_recording(sid, export).await?;
                calls.push(call);
            }
        }
        export.put("calls", Value::Array(calls));
        Ok(())
    }

    /// A call's recording as one WAV, with what its caller was told. `null` if there never was one.
    async fn export_recording(&self, sid: &str, export: &mut Export) -> Result<Value, RetentionError> {
        let parts = self.store.recordings_of(sid).await;
        let what = format!("the recording of call {sid}");
        let Some(parts) = export.readable(&what, parts)?.filter(|parts| !parts.is_empty()) else {
            return Ok(Value::Null);
        };
        let mut recording = json!({
            "audio": Value::Null,
            "parts": parts.iter().map(part_json).collect::<Value>(),
        });
        let found = match self.recordings.read_what_opens(sid).await {
            Err(RecordingError::Store(error)) => export.readable(&what, Err(error))?,
            found => Some(found?),
        };
        let Some(Some((tape, faults))) = found else {
            return Ok(recording);
        };
        for (part, fault) in faults {
            export.done.unreadable.push(format!("{what}, part {part}: {fault}"));
        }
        // What a killed server has left is given out as far as it goes.
        if !tape.played.caller.is_empty() {
            let name = format!("recording-{sid}.wav");
            recording["ended"] = json!(tape.played.ended);
            export.audio(&name, Wav::new(tape.played))?;
            recording["audio"] = json!(name);
        }
        Ok(recording)
    }

    async fn export_voicemails(&self, found: &Belongings, export: &mut Export) -> Result<(), RetentionError> {
        let mut voicemails = Vec::new();
        for id in found.voicemails() {
            let voicemail = self.store.voicemail(id).await;
            let Some(Some(voicemail)) = export.readable(id, voicemail)? else {
                continue;
            };
            let mut voicemail = voicemail_json(voicemail);
            match self.mailbox.wav(id).await {
                Ok(Some(wav)) => {
                    let name = format!("voicemail-{id}.wav");
                    export.audio(&name, [wav])?;
                    voicemail["audio"] = json!(name);
                }
                Ok(None) => {}
                Err(error) => export
                    .done
                    .unreadable
                    .push(format!("the audio of voicemail {id}: {error}")),
            }
            voicemails.push(voicemail);
        }
        export.put("voicemails", Value::Array(voicemails));
        Ok(())
    }

    async fn export_audit(&self, found: &Belongings, export: &mut Export) -> Result<(), RetentionError> {
        let mut subjects = vec![found.reference.clone()];
        for item in &found.items {
            subjects.push(item.key());
            // Events of the API name calls and messages by their id alone.
            if let Item::Content(id) | Item::Voicemail(id) | Item::Order(id) = item {
                subjects.push(id.clone());
            }
            if let Item::Content(sid) = item {
                subjects.push(Item::Recording(sid.clone()).key());
            }
        }
        subjects.sort();
        subjects.dedup();
        let mut events: Vec<AuditRecord> = Vec::new();
        for subject in subjects {
            events.extend(self.store.audit_of(&subject).await?);
        }
        events.sort_by_key(|event| event.seq);
        let events = events.into_iter().map(|event| {
            json!({
                "seq": event.seq,
                "at": event.at.to_string(),
                "actor": event.actor,
                "action": event.action,
                "subject": event.subject,
                "outcome": event.outcome,
                "detail": event.detail,
                "origin": event.origin,
            })
        });
        export.put("audit", events.collect());
        Ok(())
    }
}

impl Export {
    fn put(&mut self, name: &str, value: Value) {
        self.file.insert(name.to_owned(), value);
    }

    fn add(&mut self, name: &str, what: &str, value: Option<Result<Value, StoreError>>) -> Result<(), RetentionError> {
        if let Some(value) = value
            && let Some(value) = self.readable(what, value)?
        {
            self.put(name, value);
        }
        Ok(())
    }

    /// What cannot be read is said to be so; the rest is given out.
    fn readable<T>(&mut self, what: &str, value: Result<T, StoreError>) -> Result<Option<T>, RetentionError> {
        match value {
            Ok(value) => Ok(Some(value)),
            Err(error @ StoreError::Database { .. }) => Err(error.into()),
            Err(error) => {
                self.done.unreadable.push(format!("{what}: {error}"));
                Ok(None)
            }
        }
    }

    fn audio(&mut self, name: &str, audio: impl IntoIterator<Item = Vec<u8>>) -> Result<(), RetentionError> {
        self.write(name, audio)?;
        self.done.audio += 1;
        Ok(())
    }

    fn write(&self, name: &str, content: impl IntoIterator<Item = Vec<u8>>) -> Result<(), RetentionError> {
        let path = self.dir.join(name);
        private_file(&path)
            .and_then(|mut file| content.into_iter().try_for_each(|piece| file.write_all(&piece)))
            .map_err(|source| RetentionError::File { path, source })
    }

    fn finish(mut self) -> Result<Exported, RetentionError> {
        let unreadable = json!(self.done.unreadable);
        self.put("unreadable", unreadable);
        let text = format!("{:#}\n", Value::Object(std::mem::take(&mut self.file)));
        self.write(FILE, [text.into_bytes()])?;
        Ok(self.done)
    }
}

fn call_json(RecordedCall { call, turns, tool_runs }: RecordedCall) -> Value {
    let turns = turns.into_iter().map(|turn| {
        json!({
            "number": turn.number,
            "said": turn.said,
            "heard": turn.heard,
            "outcome": turn.outcome,
            "ledger": turn.ledger,
        })
    });
    let tools = tool_runs.into_iter().map(|run| {
        json!({
            "turn": run.turn,
            "tool": run.tool,
            "args": run.args,
            "outcome": run.outcome,
            "duration_ms": run.duration_ms,
        })
    });
    json!({
        "call_sid": call.call_sid,
        "from": call.from,
        "to": call.to,
        "agent": call.agent,
        "started_at": call.started_at.to_string(),
        "ended_at": call.ended_at.map(|at| at.to_string()),
        "outcome": call.outcome,
        "deleted": call.shredded,
        "turns": turns.collect::<Value>(),
        "tools": tools.collect::<Value>(),
    })
}

fn part_json(part: &Recording) -> Value {
    let mut known = json!({
        "part": part.part,
        "state": part.state.name(),
        "began_at": part.began_at.to_string(),
        "deleted_at": part.deleted_at.map(|at| at.to_string()),
    });
    if let Some(facts) = &part.facts {
        let consent = &facts.consent;
        known["duration_ms"] = json!(facts.duration_ms);
        known["lost_ms"] = json!(facts.lost_ms);
        known["consent"] = json!({
            "asked": consent.asked,
            "notice": consent.notice,
            "answer": consent.answer,
            "by": consent.by,
            "at": consent.at.to_string(),
        });
        let pauses = facts.pauses.iter().map(|pause| {
            json!({
                "from_ms": pause.from_ms,
                "to_ms": pause.to_ms,
                "why": pause.why,
            })
        });
        known["pauses"] = pauses.collect();
    }
    known
}

fn order_json(order: TaskOrder) -> Value {
    json!({
        "order_number": order.order_number,
        "customer_number": order.customer_number,
        "service_type": order.service_type,
        "description": order.description,
        "location": order.location,
        "urgency": order.urgency,
        "status": order.status,
        "call_sid": order.call_sid,
        "created_at": order.created_at.to_string(),
    })
}

fn voicemail_json(voicemail: Voicemail) -> Value {
    let Voicemail {
        new,
        transcript,
        created_at,
    } = voicemail;
    json!({
        "id": new.id,
        "call_sid": new.call_sid,
        "from": new.from,
        "to": new.to,
        "agent": new.agent,
        "language": new.language,
        "duration_ms": new.duration_ms,
        "transcript": match transcript {
            Transcript::Done(said) => Some(said),
            Transcript::Waiting | Transcript::Failed => None,
        },
        "created_at": created_at.to_string(),
    })
}

/// The file's name.
const FILE: &str = "person.json";
