"""Reinforcement fine-tuning that teaches a language model to reason its way to a recommendation (ReRec).

The names that most programs need are here, each loaded when it is first used: `from rerec import ReRecTrainer`.
"""
__version__ = "0.1.0"

_HOMES = {
    'Catalogue': 'base.core',
    'Item': 'base.core',
    'Query': 'base.core',
    'load_benchmark': 'base.data',
    'TitleIndex': 'base.titles',
    'parse_answer': 'base.answers',
    'load_policy': 'base.models',
    'AttributeGraph': 'method.facts',
    'LightGCN': 'method.lightgcn',
    'train_lightgcn': 'method.lightgcn',
    'DualGraphReward': 'method.rewards',
    'segment': 'method.segments',
    'reasoning_aware_advantages': 'method.advantages',
    'Curriculum': 'method.curriculum',
    'ReRecConfig': 'method.settings',
    'ReRecTrainer': 'method.trainer',
    'evaluate': 'run.evaluation',
    'Run': 'run.folder',
    'RunData': 'run.train',
    'train': 'run.train',
    'build_data': 'shop.dataset',
    'train_shop': 'shop.training',
    'Assistant': 'shop.assistant',
}
__all__ = [*_HOMES]


def __getattr__(name):
    "Import a name from where it is defined."
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    return getattr(import_module(f'{__name__}.{_HOMES[name]}'), name)


def __dir__():
    return sorted([*globals(), *__all__])
