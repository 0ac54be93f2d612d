#!/usr/bin/env python3
"""What of each interrupted answer was heard, by a recogniser that can only write down the answer's own words.

    target/release/tieline bench barge --scenario heard --record DIR --json barge.json
    pip install pocketsphinx && benches/heard/aligned.py barge.json DIR/interrupt.wav

A Whisper that hears a sentence cut in two likes to end it at a comma, or to finish it. This decoder (CMU PocketSphinx, its own acoustic model,
no language model) chooses among the answer's beginnings, of none to forty words, by the sound alone, so it errs otherwise than Whisper does.
It may put silence at the beginning, at punctuation and at the end only.
"""

import array
import json
import re
import sys
import wave

from pocketsphinx import Config, Decoder, get_model_path

WORDS = 40
# Spellings that its dictionary lacks.
SPOKEN = {"colours": "K AH L ER Z", "storehouse": "S T AO R HH AW S"}


def main():
    measured = json.load(open(sys.argv[1]))["measured"]["heard"]["each"]
    agent = right_channel(sys.argv[2])
    model = get_model_path() + "/en-us"
    wide = {"beam": 1e-120, "wbeam": 1e-80, "pbeam": 1e-120, "lw": 1, "wip": 1, "fsgusefiller": False}
    decoder = Decoder(Config(hmm=model + "/en-us", dict=model + "/cmudict-en-us.dict", lm=None, loglevel="FATAL", **wide))
    off = []
    for cut in measured:
        heard = reached(decoder, agent[int(cut["from"] * 8000) : int(cut["to"] * 8000)], *words(cut["answer"]))
        believed = cut["believed_words"]
        off.append(believed - heard)
        whisper = "-".join(str(n) for n in sorted(set(cut["heard_words"])))
        print(f"believed {believed:2}  aligned {heard:2}  whisper {whisper:>5}  {cut['believed']}")
    near = sum(abs(words) <= 1 for words in off)
    print(f"{len(off)} cuts: within one word {near}, right {off.count(0)}, mean {sum(off) / len(off):+.2f}")


def right_channel(path):
    with wave.open(path) as file:
        if (file.getnchannels(), file.getsampwidth(), file.getframerate()) != (2, 2, 8000):
            sys.exit(f"{path}: expected stereo, 16 bit, 8 kHz")
        return array.array("h", file.readframes(file.getnframes()))[1::2]


def words(text):
    """Its first words, and before which of them there may be a pause."""
    found, pauses = [], {0}
    for part in re.findall(r"[a-z']+|[,.?!;:]", text.lower()):
        if part[0].isalpha():
            found.append(part)
        else:
            pauses.add(len(found))
    return found[:WORDS], {place for place in pauses if place < WORDS}


def reached(decoder, samples, answer, pauses):
    """How many of the answer's words are in the samples, from its first."""
    for word in answer:
        if decoder.lookup_word(word) is None:
            decoder.add_word(word, SPOKEN.get(word) or sys.exit(f"no pronunciation of {word!r}: add it to SPOKEN"), True)
    last = len(answer) + 1
    steps = [(place, place + 1, 1.0, word) for place, word in enumerate(answer)]
    silence = [(place, place, 1.0, "<sil>") for place in pauses] + [(place, last, 1.0, "<sil>") for place in range(last)]
    decoder.add_fsg("answer", decoder.create_fsg("answer", 0, last, steps + silence))
    decoder.activate_search("answer")
    decoder.start_utt()
    decoder.process_raw(twice_the_rate(samples), full_utt=True)
    decoder.end_utt()
    return sum(1 for part in decoder.seg() if not part.word.startswith("<"))


def twice_the_rate(samples):
    """16 kHz, as the acoustic model wants, with a little silence after."""
    padded = list(samples) + [0] * 1600
    doubled = array.array("h")
    for here, following in zip(padded, padded[1:] + [0]):
        doubled.extend((here, (here + following) // 2))
    return doubled.tobytes()


if __name__ == "__main__":
    main()
