#!/usr/bin/env python3
"""Writes idna2008.txt: the results of the Python package idna for many labels. The package implements RFC 5891 to 5893, and
shares no code or tables with Go's. Run it by hand after a new release of the package: python3 idna2008.py > idna2008.txt

The file has first the code points from U+0080 that are PVALID (RFC 5892), as ranges, and then random labels, each with its
A-label, or - if the package rejects it. The Bidi rule uses Python's own Unicode tables, which may be older than the package's.
"""
import random
import unicodedata

import idna

LAST = 0x323AF  # the last assigned ideograph; code points above it are unassigned, private or tags


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

# Letters of scripts in use, joiners and combining marks, digits, and characters that are never valid.
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
    if encoded and chosen.random() < 0.3:  # also A-labels with another last letter
        damaged = encoded[:-1] + chosen.choice("abcdefghijklmnopqrstuvwxyz0123456789")
        show(damaged)
