"A step whose prompts are shared gives the loss and the gradients of TRL's own step on the same batch."
import pytest
import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM
from trl import GRPOConfig, GRPOTrainer
from rerec.core import seed_everything
from rerec.generation import word_tokenizer
from rerec.trainer import ReRecConfig, TaskTrainer

WORDS = ' '.join(f'w{i}' for i in range(40))
TOKENIZER = word_tokenizer([WORDS])
SHAPES = dict(llama=(LlamaConfig, LlamaForCausalLM), qwen=(Qwen2Config, Qwen2ForCausalLM))
LOSSES = ('grpo', 'dr_grpo', 'dapo', 'bnpo', 'cispo', 'sapo', 'luspo')


def model_of(shape, attention):
    seed_everything(0)
    config, kind = SHAPES[shape]
    return kind(config(vocab_size=len(TOKENIZER), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        initializer_range=.2, pad_token_id=0, bos_token_id=1, eos_token_id=2, attn_implementation=attention))


def trainer_of(kind, config, folder, shape='llama', attention='sdpa', lora=False, **settings):
    settings = dict(per_device_train_batch_size=8, num_generations=4, max_completion_length=6, use_cpu=True, bf16=False, gradient_checkpointing=False, report_to=[],
        temperature=.9, disable_tqdm=True, max_steps=1, save_strategy='no') | settings
    peft = LoraConfig(r=4, target_modules='all-linear', init_lora_weights=False) if lora else None
    seed_everything(1)
    return kind(model=model_of(shape, attention), args=config(str(folder), **settings), reward_funcs=lambda completions, **k: [float(len(c)) for c in completions],
        train_dataset=Dataset.from_list([dict(prompt='w1 w2 w3')]*8), processing_class=TOKENIZER, peft_config=peft)


def batch_of(trainer):
    "Two prompts of different length, four answers each, of 1 to 6 tokens; advantages by token; an old policy."
    seed_everything(2)
    prompts = torch.randint(6, 40, (2, 5)).repeat_interleave(4, 0)
    prompt_mask = torch.tensor([[0, 0, 1, 1, 1], [1]*5]).repeat_interleave(4, 0)
    ids = torch.randint(6, 40, (8, 6))
    mask = (torch.arange(6) < torch.tensor([6, 1, 3, 5, 2, 6, 4, 4])[:, None]).long()
    batch = dict(prompt_ids=prompts*prompt_mask, prompt_mask=prompt_mask, completion_ids=ids*mask, completion_mask=mask, advantages=torch.randn(8, 6), num_items_in_batch=mask.sum())
    with torch.no_grad():
        logps = trainer._get_per_token_logps_and_entropies(trainer.model, torch.cat([batch['prompt_ids'], batch['completion_ids']], 1), torch.cat([prompt_mask, mask], 1), 6)[0]
    batch['old_per_token_logps'] = logps + .3*torch.randn(8, 6)*mask
    if trainer.beta: batch['ref_per_token_logps'] = logps + .3*torch.randn(8, 6)*mask
    return batch


def loss_and_gradients(trainer, batch):
    trainer.model.train()
    trainer.model.zero_grad()
    trainer.current_gradient_accumulation_steps = 1
    loss = trainer._compute_loss(trainer.model, dict(batch))
    loss.backward()
    return loss.detach(), torch.cat([p.grad.flatten() for p in trainer.model.parameters() if p.grad is not None])


@pytest.mark.parametrize('loss_type', LOSSES)
@pytest.mark.parametrize('shape, attention, lora, beta', [('llama', 'sdpa', False, 0.), ('qwen', 'eager', True, .1), ('llama', 'eager', True, 0.), ('qwen', 'sdpa', False, 0.)])
def test_loss_and_gradients_are_those_of_trl(tmp_path, loss_type, shape, attention, lora, beta):
    same = dict(shape=shape, attention=attention, lora=lora, loss_type=loss_type, beta=beta)
    try: plain = trainer_of(GRPOTrainer, GRPOConfig, tmp_path/'plain', **same)
    except ValueError as e: pytest.skip(f'TRL does not take {loss_type} so: {e}')
    shared = trainer_of(TaskTrainer, ReRecConfig, tmp_path/'shared', **same)
    shared.model.load_state_dict(plain.model.state_dict())
    batch = batch_of(plain)
    assert shared._shares_prompt()
    (loss, gradients), (expected, expected_gradients) = loss_and_gradients(shared, batch), loss_and_gradients(plain, batch)
    assert expected_gradients.abs().max() > 1e-4
    assert torch.allclose(loss, expected, atol=1e-5)
    assert torch.allclose(gradients, expected_gradients, atol=1e-5)


def test_siblings_are_sampled_as_the_plain_way_samples_them(tmp_path):
    "The likeliest answers are the same; drawn ones come from the same random numbers."
    found = {}
    for share in (True, False):
        trainer = trainer_of(TaskTrainer, ReRecConfig, tmp_path/str(share), share_prompt=share, generation_kwargs=dict(do_sample=False))
        prompts = [[6, 7, 8]]*4 + [[9, 6, 7, 8, 10]]*4
        found[share] = trainer._generate_single_turn(prompts, None, {}, 4)[0]
    assert found[True] == found[False] and len({tuple(a) for a in found[True]}) == 2


def test_a_whole_step_learns_the_same(tmp_path):
    "From the same seed, a step of training with shared prompts moves the weights as one without."
    after = {}
    for share in (True, False):
        trainer = trainer_of(TaskTrainer, ReRecConfig, tmp_path/str(share), share_prompt=share, gradient_accumulation_steps=2, learning_rate=1e-2)
        before = torch.cat([p.detach().flatten().clone() for p in trainer.model.parameters()])
        trainer.train()
        after[share] = torch.cat([p.detach().flatten() for p in trainer.model.parameters()])
        assert (after[share] - before).abs().max() > 1e-3
    assert torch.allclose(after[True], after[False], atol=2e-3)


def test_a_model_that_cannot_share_goes_the_plain_way(tmp_path, caplog):
    from transformers import MistralConfig, MistralForCausalLM
    from transformers.utils import logging
    logging.enable_propagation()
    trainer = trainer_of(TaskTrainer, ReRecConfig, tmp_path)
    trainer.model = MistralForCausalLM(MistralConfig(vocab_size=len(TOKENIZER), hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4, num_key_value_heads=2, sliding_window=4))
    with caplog.at_level('WARNING'):
        assert not trainer._shares_prompt()
    logging.disable_propagation()
    assert 'each answer computes its prompt anew: it has a sliding window' in caplog.text
