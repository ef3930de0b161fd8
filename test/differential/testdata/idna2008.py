#!/usr/bin/env python3
"""Writes idna2008.txt: what the Python package idna, an implementation of RFC 5891 to 5893 that shares no code or tables
with Go's, says of labels. Run it by hand when the package is newer: python3 idna2008.py > idna2008.txt

First the code points from U+0080 that it takes for PVALID (RFC 5892), as ranges; then labels made of several, each with its
A-label, or - for refused. Its Bidi rule goes by Python's own tables of Unicode, which may be older than the package's.
"""
import random
import unicodedata

import idna

LAST = 0x323AF  # the last assigned ideograph; what lies beyond is unassigned, private or tags


def alabel(label):
    try:
        return idna.alabel(label).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        return None


def ranges():
    begin = None
    for point in range(0x80, LAST + 2):
        good = point <= LAST and idna.intranges.intranges_contain(point, idna.idnadata.codepoint_classes["PVALID"])
        if good and begin is None:
            begin = point
        if not good and begin is not None:
            yield begin, point - 1
            begin = None


print(f"# package idna {idna.__version__}, Unicode {idna.idnadata.__version__}; Python with Unicode {unicodedata.unidata_version}")
for begin, end in ranges():
    print(f"pvalid {begin:x} {end:x}")

# Letters of scripts that people use, what joins and stretches them, digits, and what is refused on sight.
ALPHABETS = [
    "abcxyz019-", "äöüßéñçæœåøłğış", "абвгдежзиёієї", "αβγδεςσωάή", "אבגדהוםןףץ", "ابتثجحخدذرزسشصىيکیپ۰۱٠١",
    "अआइकखगघ्ािी\u200c\u200d", "กขคงจฉ่้", "中文字漢日本語々", "あいうえおアイウエオー・ゝ", "한국어가나다", "ა\u10d1\u10d2", "ⴰⴱⵣ",
    "\u00b7\u0375\u05f3\u05f4\u30fb", "\u0301\u0308\u0338", "ＡＢａｂ１２", "\u2024\u3002\uff0e\uff61", "ı\u212a\u017f\ufb01", "𝐚𝒃①²",
    "😀♥™©", "\u00ad\u200b\u2060\ufeff", "ẞK\u0130Ω",
]
chosen = random.Random(5891)
labels = set()
while len(labels) < 4000:
    alphabets = chosen.sample(ALPHABETS, chosen.choice((1, 1, 1, 2, 2, 3)))
    label = "".join(chosen.choice(chosen.choice(alphabets)) for _ in range(chosen.randint(1, 8)))
    if chosen.random() < 0.7:
        label = unicodedata.normalize("NFC", label)
    if not label.isascii():
        labels.add(label)


def show(label):
    print("label", ",".join(f"{ord(c):x}" for c in label), alabel(label) or "-")


for label in sorted(labels):
    encoded = alabel(label)
    show(label)
    if encoded and chosen.random() < 0.3:  # and A-labels, whole and damaged
        damaged = encoded[:-1] + chosen.choice("abcdefghijklmnopqrstuvwxyz0123456789")
        show(damaged)
