"""What bench/precision times, in PyTorch: python precision_pytorch.py FOLDER PRECISION BATCH LENGTH CALLS, one line of JSON. On the GPU if
there is one, products of float32 in full precision."""
import json
import statistics
import sys
import time

import torch
from transformers import AutoModelForCausalLM

folder, precision, batch, length, calls = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
device = "cuda" if torch.cuda.is_available() else "cpu"
model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, precision)).to(device).eval()
ids = (torch.arange(batch * length) * 7919 % model.config.vocab_size).reshape(batch, length)
times = []
with torch.no_grad():
    for _ in range(calls + 3):
        start = time.perf_counter()
        model(input_ids=ids.to(device), use_cache=False, logits_to_keep=1).logits[:, -1, 0].float().cpu()
        times.append(time.perf_counter() - start)
times = times[3:]
print(json.dumps({"library": "pytorch", "backend": device, "name": f"forward_{precision}_{batch}x{length}",
                  "median_s": statistics.median(times), "min_s": min(times), "n": calls}))
