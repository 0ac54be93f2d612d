//! The chunks of a streamed completion, read leniently, and the tool calls that come in pieces in them.

use serde::Deserialize;
use serde_json::Value;

use super::CallRequest;

/// One event's JSON. What nobody reads is left out, as servers differ in it.
#[derive(Debug, Deserialize)]
pub(super) struct Chunk {
    /// Required: an `{"error": …}` has none.
    pub(super) choices: Vec<Choice>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Choice {
    #[serde(default)]
    pub(super) delta: Option<ChunkDelta>,
    #[serde(default)]
    pub(super) finish_reason: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct ChunkDelta {
    #[serde(default)]
    pub(super) content: Option<String>,
    #[serde(default)]
    pub(super) refusal: Option<String>,
    #[serde(default)]
    pub(super) tool_calls: Option<Vec<Fragment>>,
    /// What `tool_calls` was called before there could be several.
    #[serde(default)]
    pub(super) function_call: Option<FunctionFragment>,
}

/// A piece of one call.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Fragment {
    #[serde(default)]
    pub(super) index: Option<i64>,
    #[serde(default)]
    pub(super) id: Option<String>,
    #[serde(default)]
    pub(super) function: Option<FunctionFragment>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct FunctionFragment {
    #[serde(default)]
    pub(super) name: Option<String>,
    /// A string by the standard; some servers send the object itself.
    #[serde(default)]
    pub(super) arguments: Option<Value>,
}

/// Puts calls together.
#[derive(Debug, Default)]
pub(super) struct Calls {
    open: Vec<Open>,
    /// Whose pieces without index and id are.
    latest: Option<usize>,
    dropped: bool,
}

#[derive(Debug, Default)]
struct Open {
    index: Option<i64>,
    id: String,
    name: String,
    arguments: String,
    too_long: bool,
}

impl Calls {
    /// Takes the pieces of one chunk.
    pub(super) fn push(&mut self, fragments: Vec<Fragment>) {
        // Without indices, several in one chunk are several calls.
        let distinct = fragments.len() > 1 && fragments.iter().all(|fragment| fragment.index.is_none());
        for fragment in fragments {
            self.take(fragment, distinct);
        }
    }

    /// A call in one piece, such as one found in the text.
    pub(super) fn whole(&mut self, name: String, arguments: String) {
        self.begin(None);
        self.extend("", &name, &arguments);
        // The next piece without a name belongs to nothing.
        self.latest = None;
    }

    /// The calls, in the order in which they began. `earlier` calls were asked for before in this conversation: ids that the
    /// server left out count on from there. `true` if some were beyond the bounds and are left out.
    pub(super) fn finish(self, earlier: usize) -> (Vec<CallRequest>, bool) {
        let begun = self.open.len();
        let calls: Vec<CallRequest> = self
            .open
            .into_iter()
            .filter(|call| !call.too_long && !call.name.is_empty())
            .enumerate()
            .map(|(n, call)| CallRequest {
                id: if call.id.is_empty() {
                    format!("call_{}", earlier + n + 1)
                } else {
                    call.id
                },
                name: call.name,
                arguments: call.arguments,
            })
            .collect();
        let dropped = self.dropped || calls.len() < begun;
        (calls, dropped)
    }

    fn take(&mut self, fragment: Fragment, distinct: bool) {
        let function = fragment.function.unwrap_or_default();
        let id = fragment.id.unwrap_or_default();
        let name = function.name.unwrap_or_default();
        let arguments = match function.arguments {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text,
            Some(object) => object.to_string(),
        };
        match self.find(fragment.index, &id, &name, distinct) {
            Place::At(place) => self.latest = Some(place),
            Place::New => self.begin(fragment.index),
            Place::Nowhere => self.latest = None,
        }
        self.extend(&id, &name, &arguments);
    }

    fn find(&self, index: Option<i64>, id: &str, name: &str, distinct: bool) -> Place {
        // Some servers number all calls 0 and tell them apart by id; others make a new id for every piece.
        let other = |call: &Open| !name.is_empty() && !id.is_empty() && !call.id.is_empty() && call.id != id;
        if let Some(index) = index {
            return match self.open.iter().rposition(|call| call.index == Some(index)) {
                Some(place) if !other(&self.open[place]) => Place::At(place),
                // Its first pieces were beyond the bounds, or never came.
                _ if name.is_empty() && id.is_empty() => Place::Nowhere,
                _ => Place::New,
            };
        }
        if !id.is_empty()
            && let Some(place) = self.open.iter().position(|call| call.id == id)
        {
            return Place::At(place);
        }
        let Some(latest) = self.latest else {
            return if name.is_empty() { Place::Nowhere } else { Place::New };
        };
        let call = &self.open[latest];
        // A name after arguments is that of the next call.
        let next = !name.is_empty() && (distinct || other(call) || !call.arguments.is_empty());
        if next { Place::New } else { Place::At(latest) }
    }

    fn begin(&mut self, index: Option<i64>) {
        self.latest = if self.open.len() < MAX_CALLS {
            self.open.push(Open {
                index,
                ..Open::default()
            });
            Some(self.open.len() - 1)
        } else {
            self.dropped = true;
            None
        };
    }

    fn extend(&mut self, id: &str, name: &str, arguments: &str) {
        let Some(call) = self.latest.map(|latest| &mut self.open[latest]) else {
            return;
        };
        if call.id.is_empty() && id.len() <= MAX_ID {
            id.clone_into(&mut call.id);
        }
        // Some servers repeat the whole name with every piece.
        if call.name != name {
            call.name.push_str(name);
        }
        call.arguments.push_str(arguments);
        if call.name.len() > MAX_NAME || call.arguments.len() > MAX_ARGUMENTS {
            call.too_long = true;
            call.name.truncate(0);
            call.arguments.truncate(0);
        }
    }
}

enum Place {
    At(usize),
    New,
    Nowhere,
}

/// A dialog asks one thing at a time; more is a model that has lost its way.
pub(super) const MAX_CALLS: usize = 4;
/// Bytes of one call's arguments.
pub(super) const MAX_ARGUMENTS: usize = 8 << 10;
/// Bytes of a tool's name, as `OpenAI` has it.
pub(super) const MAX_NAME: usize = 64;
/// Bytes of an id; a longer one is replaced.
const MAX_ID: usize = 128;
