"""Texts that a generator writes, so that the truth about them is known: dates, numbers, captcha, scenes."""

from __future__ import annotations

import datetime
import random
from pathlib import Path

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
    "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")


def in_words(n: int) -> str:
    """0 to 999,999 in words.

    >>> in_words(42_017)
    'forty-two thousand seventeen'
    """
    if n < 20:
        return ONES[n]
    if n < 100:
        return TENS[n // 10 - 2] + (f"-{ONES[n % 10]}" if n % 10 else "")
    for size, name in ((1_000, "thousand"), (100, "hundred")):
        if n >= size:
            return f"{in_words(n // size)} {name}" + (f" {in_words(n % size)}" if n % size else "")
    raise AssertionError


def date_or_number(random_: random.Random) -> tuple[str, str]:
    """A date as people write it and in ISO 8601, or a number in words and in digits."""
    if random_.random() < 0.5:
        n = random_.randrange(10 ** random_.randint(1, 6))
        return in_words(n), str(n)
    day = datetime.date(1900, 1, 1) + datetime.timedelta(random_.randrange(60_000))
    month = MONTHS[day.month - 1]
    form = random_.choice(
        ("{d} {month} {y}", "{month} {d}, {y}", "{short} {d} {y}", "{d}.{m}.{y}", "the {d} of {month} {y}")
    )
    text = form.format(d=day.day, m=day.month, y=day.year, month=month, short=month[:3])
    return text, day.isoformat()


def write_pairs(folder: Path, n: int, seed: int = 0) -> Path:
    """train.tsv, val.tsv and test.tsv with n pairs in all, a tenth each for val and test; no source occurs twice."""
    random_, pairs = random.Random(seed), {}
    while len(pairs) < n:
        source, target = date_or_number(random_)
        pairs.setdefault(source, target)
    folder.mkdir(parents=True, exist_ok=True)
    rows = [f"{source}\t{target}\n" for source, target in pairs.items()]
    tenth = n // 10
    parts = {"val": rows[:tenth], "test": rows[tenth : 2 * tenth], "train": rows[2 * tenth :]}
    for name, some in parts.items():
        (folder / f"{name}.tsv").write_text("source\ttarget\n" + "".join(some), "utf-8")
    return folder


SYMBOLS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"  # without those that look alike


def write_captchas(folder: Path, n: int, seed: int = 0, size: tuple[int, int] = (72, 24)) -> Path:
    """n images of 4 characters in {train,val,test}, a tenth each for val and test; the text is the name of the file. No text
    occurs twice. Letters are turned, sheared, moved and overlap a little; lines and dots lie over them."""
    import numpy as np
    from PIL import Image, ImageDraw, ImageFont

    random_, texts = random.Random(seed), set()
    while len(texts) < n:
        texts.add("".join(random_.choice(SYMBOLS) for _ in range(4)))
    width, height = size
    font = ImageFont.load_default(size=18)
    for i, text in enumerate(sorted(texts, key=lambda text: random_.random())):
        canvas = Image.new("L", size, 255)
        for k, letter in enumerate(text):
            one = Image.new("L", (24, 24), 0)
            ImageDraw.Draw(one).text((12, 12), letter, 255, font, anchor="mm")
            shear = random_.uniform(-0.25, 0.25)
            one = one.transform(
                one.size, Image.Transform.AFFINE, (1, shear, -12 * shear, 0, 1, 0), Image.Resampling.BILINEAR
            )
            one = one.rotate(random_.uniform(-20, 20), Image.Resampling.BILINEAR)
            place = (round(k * (width - 22) / 4) + random_.randint(0, 4), random_.randint(-2, 2))
            canvas.paste(random_.randint(0, 90), place, one)
        draw = ImageDraw.Draw(canvas)
        for _ in range(2):
            ends = [(random_.randrange(width), random_.randrange(height)) for _ in range(2)]
            draw.line(ends, random_.randint(60, 160))
        pixels = np.asarray(canvas).astype(np.int64)
        noise = np.random.default_rng([seed, i]).normal(0, 20, pixels.shape)
        split = "val" if i < n // 10 else "test" if i < 2 * (n // 10) else "train"
        (folder / split).mkdir(parents=True, exist_ok=True)
        Image.fromarray((pixels + noise).clip(0, 255).astype(np.uint8)).save(folder / split / f"{text}.png")
    return folder
