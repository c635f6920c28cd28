"""Makes classes.json: which tokens tokenizers of each class put around a text in Hugging Face's transformers (4.57.6 made the file).

Run it with that library in this folder. The tokenizer is ../../../internal/tokenizer/testdata/llama2.json, with other names for its
special tokens and another post-processor or none.
"""
import itertools
import json
import os
import tempfile

from transformers import AutoTokenizer

FORM = json.load(open("../../../internal/tokenizer/testdata/llama2.json", encoding="utf-8"))["tokenizer"]
NAMES = {"Llama": ("<s>", "</s>"), "CodeLlama": ("<s>", "</s>"), "Gemma": ("<bos>", "<eos>"), "Cohere": ("<BOS_TOKEN>", "<|END_OF_TURN_TOKEN|>"),
         "GPTNeoX": ("<|endoftext|>", "</s>"), "PreTrained": ("<s>", "</s>"), "GPT2": ("<s>", "</s>"), "Qwen2": ("<s>", "</s>")}


def form(bos, eos, processor):
    text = json.dumps(FORM, ensure_ascii=False).replace('"<s>"', json.dumps(bos)).replace('"</s>"', json.dumps(eos))
    made = json.loads(text)
    if not processor:
        made["post_processor"] = None
    return made


def load(config, tokenizer, family=None):
    with tempfile.TemporaryDirectory() as folder:
        files = {"tokenizer.json": tokenizer, "tokenizer_config.json": config}
        if family:
            files["config.json"] = {"model_type": family}
        for name, value in files.items():
            with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
                json.dump(value, f, ensure_ascii=False)
        return AutoTokenizer.from_pretrained(folder)


def main():
    cases = []
    for name, (bos, eos) in NAMES.items():
        for processor, says_bos, says_eos in itertools.product((True, False), (None, True, False), (None, True)):
            config = {"tokenizer_class": name + ("TokenizerFast" if says_eos or name == "PreTrained" else "Tokenizer"), "unk_token": "<unk>",
                      "bos_token": bos, "eos_token": eos}
            if says_bos is not None:
                config["add_bos_token"] = says_bos
            if says_eos is not None:
                config["add_eos_token"] = says_eos
            ids = load(config, form(bos, eos, processor))("the cat")["input_ids"]
            cases.append({"bos": bos, "eos": eos, "processor": processor, "config": config, "ids": ids})
    for family in ("llama", "gemma2", "cohere", "gpt_neox", "qwen2"):
        config = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "add_eos_token": True}
        ids = load(config, form("<s>", "</s>", False), family)("the cat")["input_ids"]
        cases.append({"bos": "<s>", "eos": "</s>", "processor": False, "config": config, "family": family, "ids": ids})
    with open("classes.json", "w") as f:
        f.write("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")


main()
