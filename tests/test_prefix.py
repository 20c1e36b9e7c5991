"""Sharing a prompt changes no loss, no gradient and no answer: beside plain TRL, for every loss it
knows."""

import logging
from unittest.mock import patch

import pytest
import torch
from datasets import Dataset
from peft import LoraConfig
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)
from trl import GRPOConfig, GRPOTrainer

import rerec.base.prefix as prefix
from rerec.base.core import seed_everything
from rerec.base.prefix import draw_tokens
from rerec.method.settings import ReRecConfig
from rerec.method.sharing import SharedPrompt

LOSSES = ('grpo', 'bnpo', 'dr_grpo', 'dapo', 'cispo', 'sapo', 'luspo', 'vespo')
WORDS = ['<pad>', '<eos>', '<unk>', *(f'w{i}' for i in range(60))]
SHAPES = dict(
    llama=(LlamaForCausalLM, LlamaConfig),
    qwen=(Qwen2ForCausalLM, Qwen2Config),
    mistral=(MistralForCausalLM, MistralConfig),
)


def tokenizer():
    tok = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token='<unk>'))
    tok.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=tok,
        pad_token='<pad>',
        eos_token='<eos>',
        unk_token='<unk>',
        padding_side='left',
    )


def small_model(kind='llama', attention='sdpa', **settings):
    seed_everything(0)
    cls, config = SHAPES[kind]
    shape = dict(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    ends = dict(pad_token_id=0, eos_token_id=1, bos_token_id=None)
    model = cls(
        config(
            vocab_size=len(WORDS),
            initializer_range=0.3,
            attn_implementation=attention,
            **shape,
            **ends,
            **settings,
        )
    )
    model.generation_config.pad_token_id, model.generation_config.eos_token_id = 0, 1
    return model


class Shared(SharedPrompt, GRPOTrainer):
    "TRL's trainer, and nothing else changed."


def reward(completion_ids, **kwargs):
    return [float(len(set(ids)) % 5) + ids[0] / 50 for ids in completion_ids]


def prompts():
    rows = [
        ' '.join(f'w{(7 * q + 3 * j) % 60}' for j in range(n)) for q, n in enumerate((12, 5, 9, 3))
    ]
    return Dataset.from_list([dict(prompt=row) for row in rows])


def make(cls, folder, kind='llama', attention='sdpa', lora=False, model=None, **settings):
    few = dict(
        output_dir=str(folder),
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        report_to=[],
        disable_tqdm=True,
        save_strategy='no',
        logging_steps=1,
        per_device_train_batch_size=16,
        num_generations=4,
        max_completion_length=14,
        max_steps=2,
        num_iterations=2,
        optim='sgd',
        learning_rate=0.5,
        max_grad_norm=0.0,
        seed=3,
    )
    adapter = (
        LoraConfig(r=4, lora_alpha=8, target_modules='all-linear', init_lora_weights=False)
        if lora
        else None
    )
    seed_everything(1)
    return cls(
        model=model or small_model(kind, attention),
        reward_funcs=reward,
        args=GRPOConfig(**few | settings),
        train_dataset=prompts(),
        processing_class=tokenizer(),
        peft_config=adapter,
    )


def batch_of(trainer):
    "A batch that the trainer has sampled."
    trainer.create_optimizer()
    inputs = [dict(row) for row in trainer.train_dataset for _ in range(trainer.num_generations)]
    trainer.model.train()
    return trainer._generate_and_score_completions(inputs)


def loss_and_gradient(trainer, batch):
    trainer.model.zero_grad()
    trainer.current_gradient_accumulation_steps = 1
    loss = trainer.compute_loss(trainer.model, batch)
    loss.backward()
    return loss.detach(), torch.cat(
        [p.grad.flatten() for p in trainer.model.parameters() if p.requires_grad]
    )


def differences(shared, plain):
    """Largest differences of loss and gradient (in shares of the largest entry, where that is
    above 1), on the same batch."""
    batch = batch_of(plain)
    assert shared._shares_prompt()
    lengths = batch['completion_mask'].sum(1), batch['prompt_mask'].sum(1)
    assert all(n.unique().numel() > 2 for n in lengths), (
        'without padding the test would prove little'
    )
    # Ratios differ from 1, so that clipping and weighting have something to do.
    noise = torch.linspace(-0.5, 0.5, batch['completion_ids'].numel()).view_as(
        batch['completion_ids']
    )
    logps = plain._get_per_token_logps_and_entropies(
        plain.model,
        torch.cat([batch['prompt_ids'], batch['completion_ids']], 1),
        torch.cat([batch['prompt_mask'], batch['completion_mask']], 1),
        batch['completion_ids'].shape[1],
    )[0].detach()
    batch['old_per_token_logps'] = (logps + noise) * batch['completion_mask']
    found = [loss_and_gradient(t, batch) for t in (shared, plain)]
    assert found[1][1].abs().max() > 1e-2, 'nothing is learned'
    return [((a - b).abs().max() / b.abs().max().clamp(min=1)).item() for a, b in zip(*found)]


@pytest.mark.parametrize('loss_type', LOSSES)
@pytest.mark.parametrize('lora', [False, True], ids=['full', 'lora'])
@pytest.mark.parametrize('kind', ['llama', 'qwen'])
def test_losses_and_gradients_are_those_of_trl(tmp_path, kind, lora, loss_type):
    level = 'sequence' if loss_type == 'luspo' else 'token'
    settings = dict(kind=kind, lora=lora, loss_type=loss_type, importance_sampling_level=level)
    shared, plain = (make(cls, tmp_path, **settings) for cls in (Shared, GRPOTrainer))
    assert max(differences(shared, plain)) < 1e-5


@pytest.mark.parametrize('attention', ['eager', 'sdpa'])
@pytest.mark.parametrize('lora', [False, True], ids=['full', 'lora'])
def test_with_a_reference_model(tmp_path, lora, attention):
    "TRL loads the reference anew from where the model came from, so it is stored first."
    small_model(attention=attention).save_pretrained(tmp_path / 'base')

    def stored():
        return LlamaForCausalLM.from_pretrained(tmp_path / 'base', attn_implementation=attention)

    settings = dict(lora=lora, beta=0.1, attention=attention, entropy_coef=0.01)
    shared, plain = (
        make(cls, tmp_path, model=stored(), **settings) for cls in (Shared, GRPOTrainer)
    )
    assert max(differences(shared, plain)) < 1e-5


def nosy(prompt, answers, pack=prefix.pack_group):
    group = pack(prompt, answers)
    return group._replace(mask=torch.ones_like(group.mask).tril())


def running_on(prompt, answers, pack=prefix.pack_group):
    group = pack(prompt, answers)
    return group._replace(positions=torch.arange(group.ids.shape[1])[None])


@pytest.mark.parametrize('broken', [nosy, running_on])
def test_the_comparison_sees_a_fault(tmp_path, broken):
    shared, plain = (make(cls, tmp_path) for cls in (Shared, GRPOTrainer))
    assert shared._shares_prompt()
    with patch.object(prefix, 'pack_group', broken):
        assert min(differences(shared, plain)) > 1e-3
        fresh = make(Shared, tmp_path)
        assert 'log-probabilities differ' in fresh._why_not_shared()


def trained(trainer, sampled):
    keep = trainer._generate_and_score_completions

    def listen(*args):
        sampled.append(keep(*args))
        return sampled[-1]

    trainer._generate_and_score_completions = listen
    trainer.train()
    return torch.cat([p.detach().flatten() for p in trainer.model.parameters()])


@pytest.mark.parametrize('kind', ['llama', 'qwen'])
@pytest.mark.parametrize('lora', [False, True], ids=['full', 'lora'])
def test_whole_runs_agree(tmp_path, kind, lora):
    """Sampling, rewards and steps: both draw from probabilities to a token in one way, so that a
    seed gives the same answers."""
    settings = dict(
        kind=kind,
        lora=lora,
        max_steps=3,
        num_iterations=1,
        temperature=0.8,
        top_p=0.9,
        learning_rate=0.1,
    )
    ours, theirs = [], []
    seed_everything(2)
    mine = trained(make(Shared, tmp_path, **settings), ours)
    with patch.object(torch, 'multinomial', lambda probs, num_samples: draw_tokens(probs)[:, None]):
        seed_everything(2)
        other = trained(make(GRPOTrainer, tmp_path, **settings), theirs)
    assert len(ours) == len(theirs) == 3
    # A batch is one micro-batch, so how it is shuffled changes only the order of a sum; order of
    # random numbers is kept.
    assert torch.equal(ours[0]['completion_ids'], theirs[0]['completion_ids'])
    assert ours[0]['completion_mask'].sum(1).unique().numel() > 1
    assert mine.shape == other.shape and torch.isfinite(mine).all()


def test_greedy_answers_are_the_same():
    from transformers import GenerationConfig

    for kind in ('llama', 'qwen'):
        model = small_model(kind).eval()
        tok = tokenizer()
        batch = tok(
            [row['prompt'] for row in prompts() for _ in range(3)],
            padding=True,
            return_tensors='pt',
        )
        inputs = dict(input_ids=batch.input_ids, attention_mask=batch.attention_mask)
        greedily = GenerationConfig(
            do_sample=False,
            max_new_tokens=20,
            eos_token_id=1,
            pad_token_id=0,
            repetition_penalty=1.3,
        )
        plain = model.generate(**inputs, generation_config=greedily)
        shared = model.generate(
            **inputs, generation_config=greedily, custom_generate=prefix.decode_siblings
        )
        assert plain.shape[1] > batch.input_ids.shape[1] + 3
        assert torch.equal(shared, plain)


def test_a_prompt_of_one_token_and_groups_of_unequal_size():
    from transformers import GenerationConfig

    model = small_model().eval()
    ids = torch.tensor([[0, 0, 5], [0, 0, 5], [0, 0, 5], [7, 8, 9], [0, 4, 6], [0, 4, 6]])
    mask = (ids != 0).long()
    greedily = GenerationConfig(
        do_sample=False, max_new_tokens=6, min_new_tokens=6, eos_token_id=1, pad_token_id=0
    )
    plain = model.generate(input_ids=ids, attention_mask=mask, generation_config=greedily)
    shared = model.generate(
        input_ids=ids,
        attention_mask=mask,
        generation_config=greedily,
        custom_generate=prefix.decode_siblings,
    )
    assert torch.equal(shared, plain)
    short = ids[:2, 2:]
    plain = model.generate(input_ids=short, attention_mask=mask[:2, 2:], generation_config=greedily)
    shared = model.generate(
        input_ids=short,
        attention_mask=mask[:2, 2:],
        generation_config=greedily,
        custom_generate=prefix.decode_siblings,
    )
    assert torch.equal(shared, plain)


def test_a_prompt_is_read_once(tmp_path):
    "Counts the tokens that the model reads while it samples and while it learns."
    counts = {}
    for cls in (Shared, GRPOTrainer):
        trainer = make(cls, tmp_path, max_completion_length=3, num_generations=4)
        if cls is Shared:
            assert trainer._shares_prompt()
        seen = []
        layer = trainer.model.model.embed_tokens
        hook = layer.register_forward_hook(lambda module, args, out: seen.append(args[0].numel()))
        batch = batch_of(trainer)
        sampling, before = sum(seen), len(seen)
        trainer.current_gradient_accumulation_steps = 1
        trainer.compute_loss(trainer.model, batch)
        counts[cls] = sampling, sum(seen[before:])
        hook.remove()
    width = batch['prompt_ids'].shape[1]
    assert counts[GRPOTrainer][1] == 16 * (width + 3)
    assert counts[Shared][0] < counts[GRPOTrainer][0] / 2
    assert counts[Shared][1] < counts[GRPOTrainer][1] / 2


def said(trainer, caplog):
    logging.getLogger('transformers').propagate = True
    logger = logging.getLogger('rerec.method.sharing')
    logger.propagate = True
    with caplog.at_level(logging.WARNING):
        trainer.train()
    return [r.getMessage() for r in caplog.records if 'computes its prompt anew' in r.getMessage()]


def test_a_model_that_cannot_says_so_once_and_trains(tmp_path, caplog):
    model = small_model('mistral', sliding_window=4)
    lines = said(make(Shared, tmp_path, model=model), caplog)
    assert lines == ['each answer computes its prompt anew: it has a sliding window']


def test_a_model_that_refuses_masks_says_so(tmp_path, caplog):
    model = small_model()
    forward = model.model.forward

    def refusing(*args, attention_mask=None, **kwargs):
        if attention_mask is not None and attention_mask.ndim == 4:
            raise ValueError('masks have two dimensions')
        return forward(*args, attention_mask=attention_mask, **kwargs)

    model.model.forward = refusing
    lines = said(make(Shared, tmp_path, model=model), caplog)
    assert len(lines) == 1 and 'masks have two dimensions' in lines[0]


def test_it_can_be_turned_off(tmp_path):
    trainer = make(Shared, tmp_path)
    trainer.args = ReRecConfig(
        output_dir=str(tmp_path), share_prompt=False, use_cpu=True, bf16=False
    )
    assert trainer._why_not_shared() == 'share_prompt is off'
    assert ReRecConfig(output_dir=str(tmp_path), use_cpu=True, bf16=False).share_prompt
