"""Makes settings.json: what settings of tokenizer_config.json change of tokenizer.json in Hugging Face's transformers (4.57.6 made the file).

Run it with that library in this folder. Tokenizers are those of ../../../internal/tokenizer/testdata, whose pre_tokenizer a case may replace.
"""
import json
import os
import tempfile

from transformers import AutoTokenizer

LEVEL = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
NESTED = {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, LEVEL | {"add_prefix_space": False}]}
TEXTS = ["the cat", "in <x> he<y>the", " the<|endoftext|> the"]


def token(content, **flags):
    return dict({"content": content, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}, **flags)


def load(name, pre_tokenizer, config):
    form = json.load(open(f"../../../internal/tokenizer/testdata/{name}.json", encoding="utf-8"))["tokenizer"]
    if pre_tokenizer:
        form["pre_tokenizer"] = pre_tokenizer
    with tempfile.TemporaryDirectory() as folder:
        for file, value in {"tokenizer.json": form, "tokenizer_config.json": config}.items():
            with open(os.path.join(folder, file), "w", encoding="utf-8") as f:
                json.dump(value, f, ensure_ascii=False)
        return AutoTokenizer.from_pretrained(folder)


def main():
    cases = []
    for kind in ("PreTrainedTokenizerFast", "GPTNeoXTokenizer", "CohereTokenizerFast", "BloomTokenizerFast", "LlamaTokenizerFast"):
        for name, pre_tokenizer in (("gpt2", None), ("gpt2", LEVEL), ("gpt2", NESTED), ("llama3", None), ("metaspace", None)):
            for says in ({}, {"add_prefix_space": True}, {"add_prefix_space": False}, {"add_prefix_space": None}):
                if kind != "LlamaTokenizerFast" or says.get("add_prefix_space") is None:    # else it reads tokenizer.model
                    cases.append((name, pre_tokenizer, dict(says, tokenizer_class=kind)))
    for added in ({"2": token("he")}, {"0": token("<|endoftext|>", lstrip=True, rstrip=True)}, {"400": token("<x>", lstrip=True), "340": token("<y>")},
                  {"340": token("<y>", special=False, normalized=True, rstrip=True), "50": token("<x>")}, {"0": token("<|endoftext|>"), "7": token("th")}):
        for name in ("gpt2", "pythia", "qwen"):
            cases.append((name, None, {"tokenizer_class": "PreTrainedTokenizerFast", "added_tokens_decoder": added}))
    made = []
    for name, pre_tokenizer, config in cases:
        if config["tokenizer_class"] in ("LlamaTokenizerFast", "CohereTokenizerFast", "GPTNeoXTokenizer"):
            config["add_bos_token"] = config["add_eos_token"] = False
        config |= {f"{which}_token": "<s>" if name == "metaspace" else "<|begin_of_text|>" if name == "llama3" else "<|endoftext|>" for which in ("bos", "eos", "unk")}
        case = {"tokenizer": name, "config": config}
        if pre_tokenizer:
            case["pre_tokenizer"] = pre_tokenizer
        tokenizer = load(name, pre_tokenizer, config)
        case["texts"] = [{"text": text, "ids": tokenizer(text, add_special_tokens=False)["input_ids"]} for text in TEXTS]
        made.append(case)
    with open("settings.json", "w") as f:
        f.write("[\n" + ",\n".join(json.dumps(c) for c in made) + "\n]\n")


main()
