#!/usr/bin/env python3
"""Ten-digit phone numbers from recorded digits: 3-3-4, a pause between the groups. Writes wavs and a manifest for the bench clients.

phone_numbers.py DIGITS_DIR OUT_DIR [--pause-ms 300] [--count 8] [--seed 1]
DIGITS_DIR holds 0.wav … 9.wav, 16 bit mono: Debian's asterisk-core-sounds-en-wav has them under sounds/*/digits.
"""

import argparse
import array
import random
import sys
import wave
from pathlib import Path

WORDS = "zero one two three four five six seven eight nine".split()
WITHIN_GROUP_MS = 60


def read(path):
    with wave.open(str(path)) as file:
        if (file.getsampwidth(), file.getnchannels()) != (2, 1):
            sys.exit(f"{path}: expected 16 bit mono")
        return file.getframerate(), array.array("h", file.readframes(file.getnframes()))


def trim(samples, rate):
    """Cuts to the 20 ms frames above -35 dB of the loudest, as the client does with whole utterances."""
    size = rate // 50
    loud = [sum(s * s for s in samples[i : i + size]) for i in range(0, len(samples), size)]
    voiced = [i for i, power in enumerate(loud) if power > max(loud) * 10**-3.5]
    return samples[voiced[0] * size : (voiced[-1] + 1) * size]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("digits", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--pause-ms", type=int, default=300)
    parser.add_argument("--count", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    rows = ["path\ttext\tlicence\tsource\tsample_rate\tseconds\tband"]
    clips = {}
    for digit in range(10):
        rate, samples = read(args.digits / f"{digit}.wav")
        clips[digit] = trim(samples, rate)
    silence = lambda ms: array.array("h", bytes(2 * (rate * ms // 1000)))
    for number in range(args.count):
        digits = [rng.randrange(2, 10)] + [rng.randrange(10) for _ in range(9)]
        audio = array.array("h")
        for place, digit in enumerate(digits):
            if place:
                audio += silence(args.pause_ms if place in (3, 6) else WITHIN_GROUP_MS)
            audio += clips[digit]
        name = f"number-{number}.wav"
        with wave.open(str(args.out / name), "wb") as file:
            file.setparams((1, 2, rate, 0, "NONE", ""))
            file.writeframes(audio.tobytes())
        text = " ".join(WORDS[digit] for digit in digits)
        rows.append(f"{name}\t{text}\tas the digits\tcomposed\t{rate}\t{len(audio) / rate:.2f}\ttelephone")
    (args.out / "manifest.tsv").write_text("\n".join(rows) + "\n")


main()
