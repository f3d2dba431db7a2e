"""Lines for comparing tokenizers: mixed scripts, code, JSON, white space, marks, emoji, digits, special-token text and
random Unicode. The same lines on every machine: one seeded generator, no outside data but what the caller passes in."""
import json
import random

SCRIPTS = [
    (0x0000, 0x007F), (0x0080, 0x00FF), (0x0100, 0x024F), (0x0250, 0x02AF), (0x02B0, 0x036F), (0x0370, 0x03FF),
    (0x0400, 0x052F), (0x0530, 0x058F), (0x0590, 0x05FF), (0x0600, 0x06FF), (0x0700, 0x07BF), (0x0900, 0x097F),
    (0x0980, 0x0DFF), (0x0E00, 0x0EFF), (0x0F00, 0x0FFF), (0x1000, 0x109F), (0x10A0, 0x10FF), (0x1100, 0x11FF),
    (0x1200, 0x139F), (0x13A0, 0x167F), (0x1780, 0x17FF), (0x1800, 0x18AF), (0x1AB0, 0x1AFF), (0x1DC0, 0x1DFF),
    (0x1E00, 0x1FFF), (0x2000, 0x206F), (0x2070, 0x218F), (0x2190, 0x23FF), (0x2400, 0x27BF), (0x2800, 0x2BFF),
    (0x2C00, 0x2DFF), (0x2E80, 0x2FDF), (0x3000, 0x30FF), (0x3100, 0x33FF), (0x3400, 0x3500), (0x4E00, 0x9FFF),
    (0xA000, 0xA4CF), (0xA500, 0xABFF), (0xAC00, 0xD7A3), (0xD7B0, 0xD7FF), (0xE000, 0xE0FF), (0xF900, 0xFAFF),
    (0xFB00, 0xFDFF), (0xFE00, 0xFE6F), (0xFE70, 0xFEFF), (0xFF00, 0xFFEF), (0xFFF0, 0xFFFF), (0x10000, 0x101FF),
    (0x10300, 0x105FF), (0x10800, 0x10FFF), (0x11000, 0x11FFF), (0x12000, 0x1247F), (0x13000, 0x1345F),
    (0x16A00, 0x16FFF), (0x17000, 0x187FF), (0x1B000, 0x1B2FF), (0x1D000, 0x1D7FF), (0x1E000, 0x1E8FF),
    (0x1F000, 0x1F9FF), (0x20000, 0x20400), (0x2F800, 0x2FA1F), (0xE0000, 0xE01FF), (0xF0000, 0xF0040),
]
SPACES = [" ", "  ", "   ", "\t", "\n", "\r\n", "\r", "\u00a0", "\u3000", "\u2003", "\u0085", "\x0b", "\x0c", "\u2028"]
WORDS = ("the and I'm you've they'll we'd it's don't CAN'T I'LL He'S 'tis o'clock Hello world naïve café résumé Straße "
         "Привет мир 你好 世界 こんにちは 안녕하세요 مرحبا नमस्ते สวัสดี ħello éclair e\u0301clair A\u030angstrom ﬁre ſet 'ſ "
         "1234567 3.14159 1,000,000 0x1F ½ Ⅷ ٣٤٥ 2024-01-02 foo_bar fooBar FooBar HTTPServer x86_64 http://a.b/c?d=e&f "
         "user@example.com #tag @me $5 50% C++ a->b !== ... --- === ''' \"\"\" ``` <br/> </div> &amp; \\n \\u00e9").split(" ")
EMOJI = ["😀", "👩‍👩‍👧‍👦", "👍🏽", "🏳️‍🌈", "❤️", "1️⃣", "🇩🇪", "🦙", "😶‍🌫️", "✅", "\ufe0f", "\u200d", "🏴󠁧󠁢󠁳󠁣󠁴󠁿"]
MARKS = [chr(c) for c in list(range(0x300, 0x370)) + [0x1AB0, 0x1DC4, 0x20D0, 0xFE20, 0x0591, 0x064B, 0x093C, 0x0F71, 0x3099]]
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|begin_of_text|>", "<|eot_id|>", "<bos>", "<eos>", "<pad>",
           "<unk>", "<s>", "</s>", "<start_of_turn>", "<end_of_turn>", "<think>", "</think>", "<tool_call>", "[CLS]",
           "[SEP]", "[MASK]", "[UNK]", "[PAD]", "|||IP_ADDRESS|||", "<|fim_prefix|>", "<0x0A>", "▁", "▁▁", "<|pad|>"]


def char(r):
    lo, hi = r.choice(SCRIPTS)
    c = r.randint(lo, hi)
    return chr(c) if not 0xD800 <= c <= 0xDFFF else "\ufffd"


def any_char(r):
    c = r.randrange(0x110000)
    return chr(c) if not 0xD800 <= c <= 0xDFFF else "x"


def word(r):
    lo, hi = r.choice(SCRIPTS)
    return "".join(chr(min(max(r.randint(lo, hi), 1), 0x10FFFF)) for _ in range(r.randint(1, 12))
                   ).encode("utf-8", "replace").decode("utf-8")


def mixed(r, with_special):
    out = []
    for _ in range(r.randint(1, 14)):
        k = r.random()
        if k < 0.35:
            out.append(r.choice(WORDS))
        elif k < 0.5:
            out.append(word(r))
        elif k < 0.6:
            out.append(r.choice(EMOJI))
        elif k < 0.68:
            out.append("".join(r.choice("aeoAEOn") + "".join(r.choice(MARKS) for _ in range(r.randint(1, 3)))
                               for _ in range(r.randint(1, 4))))
        elif k < 0.76:
            out.append("".join(r.choice("0123456789٠١९½²Ⅷ,.") for _ in range(r.randint(1, 9))))
        elif k < 0.8:
            out.append("'" + r.choice(["s", "S", "t", "T", "re", "RE", "Ve", "m", "LL", "d", "ſ", "x"]))
        elif k < 0.88:
            out.append("".join(r.choice(SPACES) for _ in range(r.randint(1, 5))))
        elif k < 0.94:
            out.append("".join(r.choice("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~") for _ in range(r.randint(1, 6))))
        elif with_special:
            out.append(r.choice(SPECIAL))
        if r.random() < 0.7:
            out.append(" " * r.choice([1, 1, 1, 1, 2, 3, 7]))
    return "".join(out)


def random_json(r, depth=0):
    k = r.random()
    if depth > 3 or k < 0.3:
        return r.choice([r.randint(-10**6, 10**6), r.random() * 1000, mixed(r, False), True, None, r.choice(WORDS)])
    if k < 0.6:
        return [random_json(r, depth + 1) for _ in range(r.randint(0, 4))]
    return {r.choice(WORDS): random_json(r, depth + 1) for _ in range(r.randint(0, 4))}


def cluster_lines(n, seed=1):
    """n random lines of what the rules of grapheme clusters (UAX #29) tell apart, and lines in which every code point
    of planes 0, 1 and 14 stands between such characters."""
    r = random.Random(seed)
    kinds = "a \r\n\u200b\u0301\u1acf\u0903\u0600\U000113d1\u200d\u200c\u0915\u094d\u093c\xa9\U0001f466\U0001f1e6" \
            "\u1100\u1160\u11a8\uac00\uac01\U00016d63\U00016d67\u1039\u1000"
    out = ["".join(r.choices(kinds, k=r.randint(1, 24))) for _ in range(n)]
    around = ["a%s", "\xa9\u200d%s", "\xa9%s\u200d\xa9\u0301", "%sa\u0301", "%s\u0301", "\u0915\u094d%s\u0301",
              "\u0915%s\u0915\u0301"]
    points = [c for c in [*range(0x20, 0x20000), *range(0xE0000, 0xE1000)] if not 0xD800 <= c <= 0xDFFF]
    for i in range(0, len(points), 128):
        out.append("\n".join(a.replace("%s", chr(c)) for c in points[i:i + 128] for a in around))
    return out


def lines(n, seed=1, texts=(), with_special=True):
    """About n lines. texts: strings whose lines are used too (prose, source code)."""
    r = random.Random(seed)
    out = ["", " ", "  ", "   ", " " * 50, "\t\t\t", "\r\n", "\n \n", " \n", "\n\n\n", "a\u0000b", "'" * 9, "1234567",
           "12 345 6789", " 1", "   1", "a" * 300, "é" * 100, "e\u0301" * 60, "\u0301\u0327\u0323" * 30, "😀" * 40,
           "\ufffd\ufffe\uffff", "\U00011938", "\U00011935\U00011930", "ﷺ", "\u1e9b\u0323", "각", "\u1100\u1161\u11a8"]
    pool = [l for t in texts for l in t.splitlines(keepends=True)]
    r.shuffle(pool)
    out += pool[: n // 4]
    for t in texts:  # and longer pieces of them
        for _ in range(n // 400):
            at = r.randrange(max(1, len(t)))
            out.append(t[at:at + r.randint(20, 700)])
    while len(out) < n:
        k = r.random()
        if k < 0.55:
            out.append(mixed(r, with_special))
        elif k < 0.7:
            out.append(" ".join(word(r) for _ in range(r.randint(1, 6))))
        elif k < 0.8:
            out.append("".join(char(r) for _ in range(r.randint(1, 40))))
        elif k < 0.9:
            out.append("".join(any_char(r) for _ in range(r.randint(1, 30))))
        else:
            out.append(json.dumps(random_json(r), ensure_ascii=r.random() < 0.5, indent=r.choice([None, 2, 4])))
    return out
