//! What the agent says by itself; the file may change each sentence.

use serde::{Deserialize, Deserializer};

use crate::dialog::slot::Language;

macro_rules! phrases {
    ($($(#[$doc:meta])* $name:ident: $en:literal, $es:literal;)*) => {
        /// Fixed sentences; each has a default in the agent's language.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Phrases {
            $($(#[$doc])* pub $name: String,)*
        }

        #[cfg(test)]
        impl Phrases {
            /// Each with its name.
            pub(super) fn list(&self) -> Vec<(&'static str, &str)> {
                vec![$((stringify!($name), self.$name.as_str()),)*]
            }
        }

        /// Those of them that the file gives.
        #[derive(Debug, Clone, Default, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub(super) struct Given {
            $(#[serde(deserialize_with = "sentence")] $name: Option<String>,)*
        }

        impl Given {
            /// With the defaults of a language for the others.
            pub(super) fn over(self, language: Language) -> Phrases {
                let of = |given: Option<String>, en: &str, es: &str| {
                    given.unwrap_or_else(|| if language == Language::Es { es } else { en }.to_owned())
                };
                Phrases { $($name: of(self.$name, $en, $es),)* }
            }
        }
    };
}

phrases! {
    /// An engine failed or was too slow; the caller may try again.
    apology: "I am sorry, something went wrong on my side. Could you say that again?",
        "Lo siento, algo ha fallado. ¿Puede repetirlo?";
    /// Before the agent hangs up.
    goodbye: "Thank you for calling. Goodbye.", "Gracias por llamar. Adiós.";
    /// There was speech, and no words could be made out.
    not_heard: "Sorry, I did not catch that.", "Perdone, no le he oído bien.";
    /// Nobody has said anything for `SILENCE_PROMPT`.
    still_there: "Are you still there?", "¿Sigue ahí?";
    /// The call is refused, as all lines are taken.
    busy: "All our lines are busy at the moment. Please call again in a few minutes.",
        "Todas nuestras líneas están ocupadas. Vuelva a llamar en unos minutos, por favor.";
    /// The call has reached `MAX_CALL` and ends.
    too_long: "We have reached the time limit for this call. Please call again if you need more. Goodbye.",
        "Hemos llegado al límite de tiempo de esta llamada. Vuelva a llamar si necesita algo más. Adiós.";
    /// The words were clear, and fit nothing that the agent can do.
    not_understood: "Sorry, I did not understand that.", "Perdone, no le he entendido.";
    /// What callers may ask for; said when they have asked for something else.
    menu: "How can I help you?", "¿En qué puedo ayudarle?";
    /// Part of a number or date was said.
    go_on: "Go on.", "Siga, por favor.";
    /// The caller looks for it.
    take_time: "Take your time.", "Tómese su tiempo.";
    /// A tool takes its time.
    checking: "One moment, let me check that for you.", "Un momento, voy a comprobarlo.";
    /// A tool takes even longer.
    still_checking: "Thank you for waiting, I am still checking.", "Gracias por esperar, sigo comprobando.";
    /// The caller says that the summary is wrong, and not what of it.
    which_wrong: "Which part is wrong?", "¿Qué parte no es correcta?";
    /// The form is done.
    anything_else: "Is there anything else I can help you with?", "¿Puedo ayudarle en algo más?";
    /// A person has to go on with the call.
    hand_over: "I cannot finish this by myself. A member of our team will take it from here.",
        "No puedo terminar esto yo sola. Una persona de nuestro equipo le atenderá.";
    /// The call could not be handed over, or nobody took it.
    no_one_free: "I am sorry, I cannot connect you at the moment. Is there anything else I can do for you?",
        "Lo siento, ahora no puedo pasarle con nadie. ¿Puedo ayudarle en algo más?";
}

impl Phrases {
    /// The defaults of a language.
    pub fn of(language: Language) -> Self {
        Given::default().over(language)
    }
}

fn sentence<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    super::sentence(deserializer).map(Some)
}
