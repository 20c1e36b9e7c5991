"Two processes evaluate together and find what one finds alone."

import json
import os
import subprocess
import sys
from pathlib import Path

root = Path(__file__).resolve().parent.parent

script = """
import json, os, sys
import torch, torch.distributed as dist
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from rerec.base.answers import render_prompt
from rerec.base.core import tiny_queries, tiny_world
from rerec.run.evaluation import evaluate
if 'RANK' in os.environ: dist.init_process_group('gloo')
size = dist.get_world_size() if dist.is_initialized() else 1
world, queries = tiny_world(), tiny_queries()
words = dict.fromkeys(' '.join(m['content'] for q in queries for m in render_prompt(q, world)).split())
inner = Tokenizer(WordLevel({w: i for i,w in enumerate(['<pad>', '</s>', '<unk>', *words])}, unk_token='<unk>'))
inner.pre_tokenizer = WhitespaceSplit()
tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token='</s>', pad_token='<pad>', unk_token='<unk>')
torch.manual_seed(0)
model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, bos_token_id=None, eos_token_id=1, pad_token_id=0))
if size>1: model = torch.nn.parallel.DistributedDataParallel(model)
calls = []
inner_model = getattr(model, 'module', model); generate = inner_model.generate
inner_model.generate = lambda **kw: calls.append(len(kw['input_ids'])) or generate(**kw)
result = evaluate(model, tokenizer, queries, world, batch_size=2, max_new_tokens=8, progress=False)
rank = dist.get_rank() if size>1 else 0
table = json.loads(result.table().to_json(orient='split'))
open(sys.argv[1] + f'.{rank}', 'w').write(json.dumps(dict(size=size, calls=calls, texts=result.rows.text.tolist(), ids=result.rows.id.tolist(), table=table)))
if size>1: dist.destroy_process_group()
"""  # noqa: E501


def run(tmp_path, name, *launch):
    (tmp_path / 'job.py').write_text(script)
    env = dict(os.environ, PYTHONPATH=str(root), OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES='')
    r = subprocess.run(
        [sys.executable, *launch, str(tmp_path / 'job.py'), str(tmp_path / name)],
        env=env,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=300,
    )
    assert r.returncode == 0, r.stderr[-3000:]
    return [json.loads(p.read_text()) for p in sorted(tmp_path.glob(f'{name}.*'))]


def test_two_processes_find_what_one_finds(tmp_path):
    (one,) = run(tmp_path, 'alone')
    two = run(
        tmp_path, 'together', '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node', '2'
    )
    assert [r['size'] for r in two] == [2, 2] and one['size'] == 1
    assert all(r['calls'] == [2, 1] for r in two), (
        'each process has its half, in as many calls as the other'
    )
    assert len(set(one['texts'])) > 1
    for r in two:
        assert [r[k] for k in ('texts', 'ids', 'table')] == [
            one[k] for k in ('texts', 'ids', 'table')
        ]
