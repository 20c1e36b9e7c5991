"""A reward function reaches another process whole: notebooks cannot show it, since their classes
live in no module."""

import pickle
import subprocess
import sys

from rerec.base.core import tiny_world
from rerec.base.titles import TitleIndex
from rerec.method.facts import AttributeGraph
from rerec.method.graphs import InteractionGraph
from rerec.method.lightgcn import train_lightgcn
from rerec.method.official import OfficialReward
from rerec.method.rewards import DualGraphReward


def test_a_pickled_reward_gives_the_same_rewards_elsewhere(tmp_path):
    world = tiny_world()
    items = train_lightgcn(InteractionGraph.from_catalogue(world), dim=8, epochs=5).items
    reward = DualGraphReward(AttributeGraph.from_catalogue(world), items, TitleIndex(world.items))
    asked = dict(
        completions=['Answer: Heat [SEP] The Insider', 'Answer: Alien', ''],
        truth=[[7]] * 3,
        candidates=[list(range(8))] * 3,
    )
    (tmp_path / 'reward.pickle').write_bytes(pickle.dumps((reward, asked)))
    code = f"import pickle; r,a = pickle.load(open({str(tmp_path / 'reward.pickle')!r}, 'rb')); print(r.__name__, r(**a))"  # noqa: E501
    said = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True
    ).stdout
    assert said.strip() == f'dual_graph {reward(**asked)}' and reward(**asked)[0] > 1


def test_the_official_reward_travels_too(tmp_path):
    world = tiny_world()
    items = train_lightgcn(InteractionGraph.from_catalogue(world), dim=8, epochs=5).items
    reward = OfficialReward(world, items, TitleIndex(world.items))
    asked = dict(
        completions=['\\boxed{The Insider}', 'Answer: The Insider', '\\boxed{Heat}'],
        truth=[[7]] * 3,
        candidates=[list(range(8))] * 3,
    )
    (tmp_path / 'reward.pickle').write_bytes(pickle.dumps((reward, asked)))
    code = f"import pickle; r,a = pickle.load(open({str(tmp_path / 'reward.pickle')!r}, 'rb')); print(r.__name__, r(**a))"  # noqa: E501
    said = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True
    ).stdout
    assert (
        said.strip() == f'official {reward(**asked)}'
        and reward(**asked)[0] > 1 > 0 > reward(**asked)[1]
    )
