"""Run under torchrun: three updates of a small trainer; every process adds up the answers that are
scored, by gradient and by model, and the first writes the sums."""

import json
import os
import sys
import tempfile

import torch
import torch.distributed as dist

from rerec.shop.preflight import rehearsal_trainer

settings = json.loads(sys.argv[1])
seen = dict(learned=0, old=0, reference=0)
with tempfile.TemporaryDirectory() as folder:
    trainer = rehearsal_trainer(settings, folder, max_steps=3)
    score = trainer._get_per_token_logps_and_entropies

    def counted(model, ids, *args, **more):
        who = 'learned' if torch.is_grad_enabled() else 'old'
        if model is trainer.ref_model:
            who = 'reference'
        seen[who] += len(ids)
        return score(model, ids, *args, **more)

    trainer._get_per_token_logps_and_entropies = counted
    trainer.train()
parts = [seen]
if dist.is_initialized():
    parts = [None] * dist.get_world_size()
    dist.all_gather_object(parts, seen)
if not int(os.environ.get('RANK', 0)):
    found = {name: sum(part[name] for part in parts) for name in seen}
    found |= dict(sampled=trainer.sampled, updates=trainer.state.global_step)
    with open(sys.argv[2], 'w') as f:
        json.dump(found, f)
