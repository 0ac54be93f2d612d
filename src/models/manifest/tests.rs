use super::*;

fn parse(text: &str) -> Result<Manifest, ManifestError> {
    Manifest::parse(text, Path::new("m.toml"))
}

#[test]
fn the_built_in_manifest_is_valid_and_pins_every_file() {
    let manifest = Manifest::load(Path::new("/nonexistent")).unwrap();
    let names: Vec<_> = manifest.models().iter().map(|model| model.name.as_str()).collect();
    let expected = [
        "tiny.en",
        "base",
        "en_US-joe-medium",
        "silero-vad",
        "smart-turn-v3.2",
        "onnxruntime",
        "smollm2-135m",
    ];
    assert_eq!(names, expected);
    let pinned = manifest
        .models()
        .iter()
        .filter(|model| model.purpose != Purpose::Runtime);
    for expected in pinned
        .flat_map(|model| &model.sources)
        .flat_map(|source| &source.digests)
    {
        assert!(expected.bytes.is_some() && expected.sha256.is_some());
    }
    let voice = manifest.model("en_US-joe-medium").unwrap();
    assert_eq!(voice.files, ["en_US-joe-medium.onnx", "en_US-joe-medium.onnx.json"]);
    assert_eq!(voice.bytes(), Some(63_201_294 + 4_794));
}

#[test]
fn three_lines_add_a_model() {
    let whisper = "[[model]]\nname = 'small.en'\npurpose = 'stt'\nhf = 'ggerganov/whisper.cpp/ggml-small.en.bin'\n";
    let voice =
        "[[model]]\nname = 'amy'\npurpose = 'tts'\nhf = 'rhasspy/piper-voices/en/en_US/amy/medium/amy.onnx@v1.0.0'\n";
    let manifest = parse(&format!("{whisper}{voice}")).unwrap();
    let whisper = manifest.model("small.en").unwrap();
    assert_eq!(whisper.files, ["ggml-small.en.bin"]);
    assert_eq!(
        whisper.sources[0].origin.to_string(),
        "hf ggerganov/whisper.cpp/ggml-small.en.bin@main"
    );
    assert_eq!(whisper.sources[0].digests, [Expected::default()]);
    let voice = manifest.model("amy").unwrap();
    assert_eq!(voice.files, ["amy.onnx", "amy.onnx.json"]);
    assert_eq!(voice.sources[0].digests.len(), 2);
}

#[test]
fn sources_for_other_platforms_are_left_out() {
    let model = "[[model]]\nname = 'r'\npurpose = 'runtime'\nfile = 'r.so'\n";
    let source = "[[model.source]]\nplatform = 'plan9-vax'\npip = ['a==1']\nmembers = ['r.so']\n";
    assert!(
        parse(&format!("{model}{source}"))
            .unwrap()
            .model("r")
            .unwrap()
            .sources
            .is_empty()
    );
}

#[test]
fn faults_carry_the_file_and_the_line() {
    let message = |text: &str| parse(text).unwrap_err().to_string();
    let head = "\n[[model]]\nname = 'a'\npurpose = 'stt'\n";
    let table = [
        ("\n\nmodel = 3".to_owned(), "line 3: invalid type"),
        (
            "[[model]]\nname = 'a'\npurpose = 'sst'".to_owned(),
            "line 3: unknown variant `sst`",
        ),
        (format!("{head}hff = 'a/b/c'"), "line 5: unknown field `hff`"),
        (head.to_owned(), "line 2: `a` needs `file`"),
        (
            format!("{head}file = '../x'\nhf = 'a/b/c'"),
            "line 2: `a`: `../x` is not a plain file name",
        ),
        (
            format!("{head}hf = 'a/b'"),
            "line 2: `a`: `b` is not of the form owner/repository/path@revision",
        ),
        (
            format!("{head}hf = 'a/b/../c'"),
            "line 2: `a`: `a/b/../c` has an empty or unusual part",
        ),
        (
            format!("{head}hf = 'a/b/c'\nsha256 = 'ABC'"),
            "line 2: `a`: `ABC` is not a sha256",
        ),
        (
            format!("{head}hf = 'a/b/c'{head}hf = 'a/b/d'"),
            "line 6: `a` and `a` share a name or a file",
        ),
        (
            format!("{head}file = 'f'\nsource = [{{pip = ['-r x==1'], members = ['m']}}]"),
            "`-r x==1` is not of the form",
        ),
        (
            format!("{head}file = 'f'\nsource = [{{pip = ['x==1']}}]"),
            "either `hf`, or `pip` and `members`",
        ),
        (head.replace("'a'", "'a.bin'"), "would be taken for a path"),
    ];
    for (text, expected) in table {
        let found = message(&text);
        assert!(found.starts_with("model manifest m.toml, line "), "{found}");
        assert!(
            found.contains(expected) || found.contains("form owner"),
            "{found}\nlacks {expected}"
        );
    }
}
