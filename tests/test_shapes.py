"""The shapes that signatures promise are those that the code takes and gives: beartype watches
while functions are called."""

import subprocess
import sys
from pathlib import Path

root = Path(__file__).resolve().parent.parent

WATCHED = """
from jaxtyping import TypeCheckError, install_import_hook
names = ['base.metrics', *(f'method.{n}' for n in 'facts graphs lightgcn rewards segments advantages curriculum'.split())]
with install_import_hook([f'rerec.{n}' for n in names], 'beartype.beartype'):
    import rerec.base.metrics as metrics, rerec.method.facts as facts, rerec.method.graphs as graphs, rerec.method.lightgcn as lightgcn, rerec.method.rewards as rewards
    import rerec.method.segments as segmentation, rerec.method.advantages as advantages, rerec.method.curriculum as curriculum
import numpy as np, torch
from rerec.base.core import tiny_queries, tiny_world
from rerec.base.titles import TitleIndex
torch.manual_seed(0)

def refused(f, *args, **kwargs):
    try: f(*args, **kwargs)
    except TypeCheckError: return
    raise SystemExit(f'{f.__name__} took arguments of the wrong shape or kind')

# metrics
places, truth = metrics.pad_rows([[7, 1], [6], []]), metrics.pad_rows([[7], [1, 6], [2]])
for f in (metrics.ndcg_at_k, metrics.recall_at_k, metrics.precision_at_k): assert f(places, truth, k=2).shape==(3,)
assert metrics.accuracy(places, truth).tolist()==[1, 1, 0] and metrics.ranked_hits(places, truth).shape==places.shape
assert metrics.misled(places, metrics.pad_rows([[1], [6], [2]])).tolist()==[0, 1, 0]
refused(metrics.ndcg_at_k, places, truth[:2])
refused(metrics.ndcg_at_k, places.float(), truth)
refused(metrics.accuracy, places[0], truth)

# graphs and rewards
world, queries = tiny_world(), tiny_queries()
attributes, people = facts.AttributeGraph.from_catalogue(world), graphs.InteractionGraph.from_catalogue(world)
taste = lightgcn.train_lightgcn(people, dim=8, epochs=2)
assert attributes.overlap(torch.tensor([5, 0]), torch.tensor([7, -1])).shape==(2,)
refused(attributes.overlap, torch.tensor([5, 0]), torch.tensor([7]))
assert rewards.query_alignment(attributes, places, truth).shape==rewards.preference_alignment(taste.items, places, truth).shape==(3,)
refused(rewards.query_alignment, attributes, places, truth[:1])
refused(rewards.preference_alignment, taste.items[0], places, truth)
reward = rewards.DualGraphReward(attributes, taste.items, TitleIndex(world.items))
terms = reward.terms(['Answer: The Insider', 'Answer: Heat', 'nothing'], [[7]]*3, [list(range(8))]*3)
assert terms.total.shape==terms.ndcg.shape==(3,) and len(reward(completions=['Answer: Heat'], truth=[[7]], candidates=[None]))==1

# segments
text = 'Heat is by Mann.\\nAliens is not.\\nAnswer: Aliens'
parts = segmentation.segment(text, TitleIndex(world.items))
starts = torch.arange(0, len(text), 3)
assert segmentation.token_segments(starts, parts).shape==starts.shape and segmentation.segments_naming(parts, 1).shape==(len(parts),)

# advantages
r, blamed, mask = torch.rand(8), torch.rand(8, 5) > .7, torch.ones(8, 5).bool()
credit = advantages.Credit(.5)
assert advantages.group_advantages(r.view(2, 4)).shape==(2, 4)
assert advantages.reasoning_aware_advantages(r, blamed, mask, group_size=4).shape==(8, 5)
assert advantages.token_rewards(r, blamed, credit).shape==(8, 5)
mean, std = advantages.group_statistics(r, mask.sum(1), (blamed & mask).sum(1), 4, credit)
assert mean.shape==std.shape==(2,)
assert advantages.zero_variance_groups(r > .5, 4).shape==advantages.zero_std(std).shape==(2,)
refused(advantages.group_advantages, r)
refused(advantages.reasoning_aware_advantages, r[:7], blamed, mask, group_size=4)
refused(advantages.reasoning_aware_advantages, r, blamed.float(), mask, group_size=4)
refused(advantages.token_rewards, r, blamed[:, 0], credit)

# curriculum
c = curriculum.Curriculum(5, tau=.1, seed=0)
asked = c.next_batch(5)
c.update(np.array(asked), np.linspace(0, 1, 5))
assert sorted(asked)==list(range(5)) and len(c.next_batch(3))==3
print('watched', len(names))
"""  # noqa: E501


def test_shapes_are_as_annotated(tmp_path):
    (tmp_path / 'watched.py').write_text(WATCHED)
    r = subprocess.run(
        [sys.executable, tmp_path / 'watched.py'],
        capture_output=True,
        text=True,
        cwd=root,
        env={
            'PYTHONPATH': str(root),
            'OMP_NUM_THREADS': '1',
            'PATH': '/usr/bin:/bin',
            'HOME': str(tmp_path),
        },
    )
    assert r.stdout.strip() == 'watched 8', r.stdout + r.stderr[-3000:]
