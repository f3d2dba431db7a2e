"""Small tokenizers of the kinds for which no real file is at hand, made by the `tokenizers` and `sentencepiece`
libraries from text that the caller gives: make_all(folder, text) returns {name: path of a tokenizer.json}."""
import json
import os
import struct


def save(t, folder, name):
    path = os.path.join(folder, name + ".json")
    t.save(path)
    return path


def wordpiece(folder, text):
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    out = {}
    for name, norm in (("wordpiece-uncased", normalizers.BertNormalizer()),
                       ("wordpiece-cased", normalizers.BertNormalizer(lowercase=False, strip_accents=False)),
                       ("wordpiece-stripped", normalizers.Sequence([normalizers.NFKD(), normalizers.StripAccents(),
                                                                    normalizers.Lowercase(), normalizers.Strip()]))):
        t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        t.normalizer = norm
        t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        t.decoder = decoders.WordPiece()
        t.train_from_iterator(text.splitlines(), trainers.WordPieceTrainer(
            vocab_size=3000, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False))
        t.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
        out[name] = save(t, folder, name)
    return out


def byte_level(folder, text):
    """The SmolLM2 way: each digit by itself, then GPT-2's pattern; and a pattern that needs a regular expression."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    o200k = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
             r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
             r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
    pres = {
        "digits": pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                           pre_tokenizers.ByteLevel(add_prefix_space=False)]),
        "o200k": pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(o200k), "isolated"),
                                          pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]),
        "prefix": pre_tokenizers.ByteLevel(add_prefix_space=True),
        "punctuation": pre_tokenizers.Sequence([pre_tokenizers.Punctuation("contiguous"), pre_tokenizers.Digits(False),
                                                pre_tokenizers.ByteLevel(add_prefix_space=False)]),
    }
    out = {}
    for name, pre in pres.items():
        t = Tokenizer(models.BPE())
        t.pre_tokenizer = pre
        t.decoder = decoders.ByteLevel()
        t.train_from_iterator(text.splitlines(keepends=True), trainers.BpeTrainer(
            vocab_size=3000, special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"], show_progress=False,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
        t.add_tokens([AddedToken("the", single_word=True), AddedToken("<l>", lstrip=True), AddedToken("<r>", rstrip=True),
                      AddedToken("<think>", normalized=False), AddedToken("<thinking>", normalized=False)])
        out["bytes-" + name] = save(t, folder, "bytes-" + name)
    return out


def unigram(folder, text):
    """SentencePiece's own training, so that its character map is a real one, in a Hugging Face file."""
    import io

    import sentencepiece as spm
    from sentencepiece import sentencepiece_model_pb2 as pb
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, Regex
    out = {}
    for fallback in (False, True):
        blob = io.BytesIO()
        spm.SentencePieceTrainer.train(sentence_iterator=iter(text.splitlines()), model_writer=blob, vocab_size=2500,
                                       model_type="unigram", byte_fallback=fallback, minloglevel=2, num_threads=1)
        m = pb.ModelProto.FromString(blob.getvalue())
        # Few decimals: the library reads longer ones up to an ulp off, which turns exact ties between cuts.
        pieces = [(p.piece, round(p.score, 4)) for p in m.pieces]
        t = Tokenizer(models.Unigram(pieces, unk_id=0, byte_fallback=fallback))
        t.normalizer = normalizers.Sequence([
            normalizers.Precompiled(bytes(m.normalizer_spec.precompiled_charsmap)),
            normalizers.Replace(Regex(" {2,}"), " ")])
        t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always" if fallback else "first")
        t.decoder = decoders.Metaspace()
        t.add_special_tokens(["</s>", "<extra_id_0>"])
        name = "unigram-bytes" if fallback else "unigram"
        out[name] = save(t, folder, name)
    return out


def charsmap(first_bytes):
    """A character map of SentencePiece in which each of these bytes is an entry that becomes nothing: the size of a
    double array, the array (root, children from 256 on, their one value at 512), and the texts."""
    units = [0] * 768
    units[0] = 256 << 10
    for c in first_bytes:
        units[256 + c] = ((256 + c) ^ 512) << 10 | 1 << 8 | c
    units[512] = 1 << 31
    return struct.pack("<769I", 4 * len(units), *units) + b"\0"


def clusters(folder):
    """Ids are the bytes of the text less the grapheme clusters of under six bytes that begin with an entry: with "a" and
    U+0080 to U+00BF, or with all characters but U+0300 to U+033F."""
    from tokenizers import Tokenizer, models, normalizers
    vocab = [("<unk>", 0.0)] + [(f"<0x{i:02X}>", -1.0) for i in range(256)]
    out = {}
    for name, entries in (("clusters-few", [ord("a"), 0xC2]), ("clusters-most", set(range(0xC2, 0xF5)) - {0xCC})):
        t = Tokenizer(models.Unigram(vocab, unk_id=0, byte_fallback=True))
        t.normalizer = normalizers.Precompiled(charsmap(entries))
        out[name] = save(t, folder, name)
    return out


def llama2(folder, text):
    """BPE over characters with byte fallback, a mark in front of every piece, as Llama 2's file has it."""
    from tokenizers import Tokenizer, decoders, models, normalizers, trainers, pre_tokenizers
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    t.train_from_iterator(text.splitlines(), trainers.BpeTrainer(
        vocab_size=3000, show_progress=False, special_tokens=["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(256)]))
    j = json.loads(t.to_str())
    j["pre_tokenizer"] = None
    j["added_tokens"] = [a for a in j["added_tokens"] if a["id"] < 3]
    t = Tokenizer.from_str(json.dumps(j))
    t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                   decoders.Strip(" ", 1, 0)])
    return {"llama2": save(t, folder, "llama2")}


def make_all(folder, text):
    out = clusters(folder)
    for make in (wordpiece, byte_level, llama2, unigram):
        out.update(make(folder, text))
    return out


if __name__ == "__main__":
    import sys
    print(make_all(sys.argv[1], open(sys.argv[2], encoding="utf-8").read()))
