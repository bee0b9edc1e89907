"""Generated strings that tokenizers are compared on: every script, emoji, white space, controls, damaged UTF-8."""

import random
import unicodedata

SEED = 20260101
COUNT = 10_000

# First and last character of a range, in which what Unicode does not assign is skipped.
SCRIPTS = {
    "latin": (0x41, 0x24F), "ipa": (0x250, 0x2AF), "greek": (0x370, 0x3FF), "cyrillic": (0x400, 0x4FF),
    "armenian": (0x530, 0x58F), "hebrew": (0x590, 0x5FF), "arabic": (0x600, 0x6FF), "devanagari": (0x900, 0x97F),
    "bengali": (0x980, 0x9FF), "tamil": (0xB80, 0xBFF), "telugu": (0xC00, 0xC7F), "thai": (0xE00, 0xE7F),
    "tibetan": (0xF00, 0xFFF), "myanmar": (0x1000, 0x109F), "georgian": (0x10A0, 0x10FF), "jamo": (0x1100, 0x11FF),
    "ethiopic": (0x1200, 0x137F), "cherokee": (0x13A0, 0x13FF), "khmer": (0x1780, 0x17FF),
    "mongolian": (0x1800, 0x18AF), "extended": (0x1E00, 0x1EFF), "greek extended": (0x1F00, 0x1FFF),
    "signs": (0x2000, 0x23FF), "boxes": (0x2500, 0x27BF), "kana": (0x3040, 0x30FF), "cjk": (0x4E00, 0x9FFF),
    "hangul": (0xAC00, 0xD7A3), "compatibility": (0xF900, 0xFAFF), "forms": (0xFE30, 0xFFEF), "gothic": (0x10330, 0x1034F),
    "mathematical": (0x1D400, 0x1D7FF), "emoji": (0x1F300, 0x1FAFF), "cjk extension": (0x20000, 0x2A6DF),
    "marks": (0x300, 0x36F),
}
SPACES = [" ", "  ", "   ", " " * 9, "\n", "\n\n", "\r\n", "\t", "\u00a0", "\u2003", "\u3000", "\u0085", "\u2028", "\u180e",
          "\u200b", "\u1680", "\x0b", "\x0c", "\x1c"]
WORDS = """the quick brown fox jumps over a lazy dog I'm you're they've it's DON'T we'LL he'd naïve café Zürich coöperate
 straße İstanbul ſt's K'RE don’t 3.14159 1,000,000 0x1F600 2024-01-31 12:34:56 ½ ² Ⅷ ١٢٣ 四 100% $5 C++ foo_bar snake_case
 CamelCase <s> </s> <|eot_id|> <|im_start|> [INST] <tool_call> https://example.org/?q=1&r=2 user@example.com #tag **bold**
 `code` {"key": [1, 2]} def f(x): return x; //comment /* */ → ≠ ∑ ▁ ▁▁ Ġ Ċ Ã© <0x41> <0xE2> 你好 こんにちは 안녕 привет שלום مرحبا
 नमस्ते สวัสดี 👍 👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪🇫🇷 👋🏽 e\u0301 a\u0323\u0302 \u1100\u1161\u11a8 \ufb01 \u212b \u2126 \u0344""".split()
CONTROLS = [chr(c) for c in [*range(0, 9), *range(14, 32), 0x7F, 0x80, 0x9F, 0xAD, 0x200D, 0x202E, 0xFEFF, 0xFFFD]]


def letters():
    """By script, the characters that Unicode assigns in the version of this Python."""
    return {
        name: [chr(c) for c in range(first, last + 1) if unicodedata.category(chr(c)) not in ("Cn", "Cs", "Co")]
        for name, (first, last) in SCRIPTS.items()
    }


def texts():
    """The strings, the same in every run."""
    source = random.Random(SEED)
    scripts = letters()
    names = list(scripts)

    def word(script):
        return "".join(source.choices(scripts[script], k=source.randint(1, 8)))

    def sentence():
        script = source.choice(names)
        parts = []
        for _ in range(source.randint(1, 14)):
            kind = source.random()
            if kind < 0.45:
                parts.append(source.choice(WORDS))
            elif kind < 0.8:
                parts.append(word(script))
            elif kind < 0.88:
                parts.append(word(source.choice(names)))
            elif kind < 0.93:
                parts.append(str(source.randint(0, 10 ** source.randint(1, 12))))
            elif kind < 0.97:
                parts.append(source.choice("!?.,;:-_/\\|()[]{}<>@#$%^&*+=~'\"") * source.randint(1, 5))
            else:
                parts.append(source.choice(CONTROLS))
            if source.random() < 0.85:
                parts.append(" " if source.random() < 0.75 else source.choice(SPACES))
        return "".join(parts)

    fixed = ["", " ", "  ", "\n", "a", " a", "a ", "▁", "<s>", "</s>", "hello world", "é" * 300, "a" * 3000, " " * 500, "\n" * 99]
    fixed += [chr(c) for c in range(0x250)] + WORDS + SPACES + CONTROLS
    for text in fixed:
        yield text
    for _ in range(COUNT - len(fixed)):
        yield sentence()


def damaged():
    """Bytes that are not UTF-8, or only in part."""
    source = random.Random(SEED + 1)
    cut = ["é".encode()[:1], "€".encode()[:2], "😀".encode()[:3], b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf5\x80\x80\x80"]
    for text in texts():
        if source.random() > 0.05:
            continue
        data = bytearray(text.encode())
        for _ in range(source.randint(1, 4)):
            at = source.randint(0, len(data))
            data[at:at] = source.choice([*cut, bytes(source.choices(range(256), k=source.randint(1, 5)))])
        yield bytes(data)
