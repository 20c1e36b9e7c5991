"`rerec score` on the real outputs of language models."

import os

import pytest

data = os.environ.get('REREC_DATA')


@pytest.mark.skipif(not data, reason='REREC_DATA does not name the folder with the real data')
@pytest.mark.xdist_group('runs')
def test_every_stored_answer_is_scored():
    from rerec.cli_score import score_file

    table = score_file(f'{data}/llm_outputs.jsonl.gz')
    total = table.loc['all']
    assert total['answers'] == 487 == table['answers'].iloc[:-1].sum()
    assert total['parsed'] >= 400 and total['judged'] >= 100
    assert 0 < total['ndcg'] < 1 and 0 < total['qas'] < 1 and -1 < total['pas'] < 1
    assert table.loc['grpo-finetuned (official repo)', 'parsed'] == 50
