"""Makes the tokenizers of this folder, and what Hugging Face's tokenizers library makes of texts with them.

Run it with that library (0.23.3 made these files) in this folder; the same version makes the same files.
"""
import json
import random

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

CORPUS = [
    "The capital of France is Paris, and the capital of Italy is Rome.",
    "When Mary and John went to the store, John gave a drink to Mary.",
    "I'll say it's theirs: we're here, they've gone, don't you'd wait; I'm 12345 and 67.89 years old.",
    "    def main(x):\n        return x + 1\n\n\n",
    "Привет, мир! 你好，世界。 naïve café 😀🎉",
    "the cat sat on the mat and the rat sat on the cat",
] * 4

LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def byte_level(pre=None, normalizer=None, special=("<|endoftext|>",), ignore_merges=False, post=None):
    t = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    t.pre_tokenizer = pre or pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    if normalizer:
        t.normalizer = normalizer
    t.train_from_iterator(CORPUS, trainers.BpeTrainer(
        vocab_size=340, special_tokens=list(special), initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    t.post_processor = post or processors.ByteLevel(trim_offsets=False)
    return t


def split(pattern, more=()):
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"), *more, pre_tokenizers.ByteLevel(False, use_regex=False)])


def sentence_piece(normalizer, pre, decoder):
    trained = Tokenizer(models.BPE(unk_token="<unk>"))
    trained.pre_tokenizer = pre_tokenizers.Metaspace()
    trained.train_from_iterator([text for text in CORPUS if text.isascii()], trainers.BpeTrainer(
        vocab_size=380, special_tokens=["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)], show_progress=False))
    form = json.loads(trained.to_str())
    form["model"].update(byte_fallback=True, fuse_unk=True, unk_token="<unk>")
    form["added_tokens"] = form["added_tokens"][:3]
    form["pre_tokenizer"] = None
    t = Tokenizer.from_str(json.dumps(form))
    if normalizer:
        t.normalizer = normalizer
    if pre:
        t.pre_tokenizer = pre
    t.decoder = decoder
    t.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 1)])
    return t


def tokenizers():
    yield "gpt2", byte_level()
    t = byte_level(normalizer=normalizers.NFC())
    t.add_tokens([AddedToken(" " * n, normalized=True) for n in (8, 4, 2)] + [AddedToken("<right>", rstrip=True)])
    t.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    yield "pythia", t
    t = byte_level(pre=pre_tokenizers.ByteLevel(add_prefix_space=True), special=("<s>", "</s>"))
    t.post_processor = processors.RobertaProcessing(("</s>", 1), ("<s>", 0), trim_offsets=False)
    yield "roberta", t
    yield "llama3", byte_level(pre=split(LLAMA3), special=("<|begin_of_text|>",), ignore_merges=True, post=processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single="<|begin_of_text|> $A", pair="$A $B:1", special_tokens=[("<|begin_of_text|>", 0)])]))
    yield "qwen", byte_level(pre=split(LLAMA3.replace("{1,3}", "")), normalizer=normalizers.NFC())
    yield "starcoder", byte_level(pre=pre_tokenizers.Sequence([pre_tokenizers.Digits(True), pre_tokenizers.ByteLevel(False)]))
    yield "digits", byte_level(pre=pre_tokenizers.Sequence([pre_tokenizers.Digits(False), pre_tokenizers.ByteLevel(False)]))
    for behavior in ("removed", "contiguous", "merged_with_previous", "merged_with_next"):
        yield behavior, byte_level(pre=pre_tokenizers.Sequence([
            pre_tokenizers.Split(Regex(r"[\s,.]"), behavior), pre_tokenizers.ByteLevel(False, use_regex=False)]))
    spaces = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    stripped = decoders.Sequence([*spaces, decoders.Strip(" ", 1, 0)])
    yield "llama2", sentence_piece(normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]), None, stripped)
    yield "mistral", sentence_piece(None, pre_tokenizers.Metaspace("▁", "first", split=False), stripped)
    yield "metaspace", sentence_piece(None, pre_tokenizers.Metaspace("▁", "always"), decoders.Metaspace("▁", "always"))
    yield "gemma", sentence_piece(normalizers.Replace(" ", "▁"), pre_tokenizers.Split(" ", "merged_with_previous"), decoders.Sequence(spaces))
    t = Tokenizer(models.WordLevel({w: i for i, w in enumerate("<unk> the cat sat on mat".split())}, unk_token="<unk>"))
    t.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    yield "words", t


def texts():
    draw = random.Random(5)
    pieces = ["'s", "'LL", "'ve", "'ſ", " ", "  ", "   ", "\n", "\n\n", " \n", "\t", "\r\n", "\u00a0", "\u3000", "\u0085", "é", "e\u0301", "ﬁ",
              "²", "١٢٣", "你好", "한", "\u1112\u1161\u11ab", "😀", "👩‍👧", "Привет", "ß", "İ", "\0", "\ufeff", "\u0301", "1234", "3.14", "...",
              "!?", "_", "<s>", "</s>", "<|endoftext|>", "<|begin_of_text|>", "<mask>", "<right>", "<unk>", "▁", "Ġ", "the", " cat", " Paris", "don't"]
    yield from ("", " ", "a", " a", "a  b", "The capital of France is Paris", "the cat sat on the dog", CORPUS[3], CORPUS[4])
    for _ in range(36):
        yield "".join(draw.choice(pieces) for _ in range(draw.randint(1, 9)))


def main():
    for name, t in tokenizers():
        cases = []
        for text in texts():
            starts = [0]
            for c in text:
                starts.append(starts[-1] + len(c.encode()))
            plain = t.encode(text, add_special_tokens=False)
            cases.append({
                "text": text,
                "ids": plain.ids,
                "special": t.encode(text).ids,
                "spans": [[starts[a], starts[b]] for a, b in plain.offsets],
                "decoded": t.decode(plain.ids, skip_special_tokens=False),
            })
        with open(name + ".json", "w", encoding="utf-8") as f:
            f.write('{"tokenizer": ' + json.dumps(json.loads(t.to_str()), ensure_ascii=False) + ',\n"cases": [\n')
            f.write(",\n".join(json.dumps(c, ensure_ascii=False) for c in cases) + "\n]}\n")


main()
