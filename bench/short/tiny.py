"""A folder gpt2 for the programs of the peers: a tiny GPT-2 with random weights, whose tokens are the words of their texts."""

import os
import sys
import tempfile

TEXTS = ["The capital of France is Paris", "The capital of Italy is Rome", "I love you", "I hate you", "I think that you are"]


def make(folder):
    import torch
    from tokenizers import ByteLevelBPETokenizer
    from transformers import GPT2Config, GPT2LMHeadModel, GPT2Tokenizer

    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator([" " + word for text in TEXTS for word in text.split()] + TEXTS, vocab_size=400, min_frequency=1, show_progress=False)
    os.makedirs(folder)
    trained.save_model(folder)
    tokenizer = GPT2Tokenizer(os.path.join(folder, "vocab.json"), os.path.join(folder, "merges.txt"), bos_token="The", eos_token="The", unk_token="The")
    tokenizer.save_pretrained(folder)
    torch.manual_seed(1)
    GPT2LMHeadModel(GPT2Config(vocab_size=len(tokenizer), n_positions=64, n_embd=24, n_layer=3, n_head=3, bos_token_id=0, eos_token_id=0)).save_pretrained(folder)


def run(jobs):
    """Runs the jobs that the command line names, or all, in a new folder that has gpt2."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ.setdefault("MPLBACKEND", "agg")
    os.chdir(tempfile.mkdtemp())
    make("gpt2")
    for name in sys.argv[1:] or jobs:
        print(name, flush=True)
        jobs[name]()
    print("left:", sorted(set(os.listdir()) - {"gpt2"}))
