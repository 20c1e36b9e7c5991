"""Run under torchrun or alone: four steps of ReRecTrainer on given completions; process 0 writes
what came out. Twelve answers in groups of four: with two processes, the second group is cut in
the middle."""

import json
import os
import sys

import torch
from datasets import Dataset
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from rerec.base.core import seed_everything, tiny_queries, tiny_world
from rerec.base.titles import TitleIndex
from rerec.method.facts import AttributeGraph
from rerec.method.rewards import DualGraphReward
from rerec.method.settings import ReRecConfig
from rerec.method.trainer import ReRecTrainer

world, queries = tiny_world(), tiny_queries()
tok = Tokenizer(
    models.WordLevel(
        {
            w: i
            for i, w in enumerate(['<pad>', '<eos>', '<unk>', '\n', 'yes', 'no', 'Answer:', '?'])
        },
        unk_token='<unk>',
    )
)
tok.pre_tokenizer = pre_tokenizers.Sequence(
    [pre_tokenizers.Split('\n', 'isolated'), pre_tokenizers.Split(' ', 'removed')]
)
tok.add_tokens([AddedToken(t, single_word=True, normalized=False) for t in world.titles])
tok = PreTrainedTokenizerFast(
    tokenizer_object=tok,
    pad_token='<pad>',
    eos_token='<eos>',
    unk_token='<unk>',
    padding_side='left',
)


class Given(ReRecTrainer):
    "Answers are given by query and place in the group, so that one and two processes see the same."

    seen = []
    played = []  # (epoch, queries) of each step

    def _generate_single_turn(self, prompt_ids, *args, **kwargs):
        g, rank = self.num_generations, self.accelerator.process_index
        self.played.append((self.curriculum.epoch, self.step_state.queries))
        texts = []
        for i in range(len(prompt_ids)):
            place, query = (
                (rank * len(prompt_ids) + i) % g,
                self.step_state.queries[(rank * len(prompt_ids) + i) // g],
            )
            a, b = world.titles[(query + place) % 8], world.titles[(3 * query + 2 * place) % 8]
            texts.append(f'{a} no \n {b} yes \n Answer: {b}' + ' \n yes' * place)
        return [tok(t).input_ids + [tok.eos_token_id] for t in texts], None

    def token_advantages(self):
        out = super().token_advantages()
        rows = [r[m].tolist() for r, m in zip(out, self.step_state.mask)]
        both = [None] * self.accelerator.num_processes
        if len(both) > 1:
            torch.distributed.all_gather_object(both, rows)
        else:
            both = [rows]
        self.seen.append([r for part in both for r in part])
        return out


if __name__ == '__main__':
    seed_everything(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tok),
            hidden_size=16,
            intermediate_size=16,
            num_hidden_layers=1,
            num_attention_heads=1,
            pad_token_id=0,
            eos_token_id=1,
            bos_token_id=None,
        )
    )
    model.generation_config.pad_token_id, model.generation_config.eos_token_id = 0, 1
    n = int(os.environ.get('WORLD_SIZE', 1))
    reward = DualGraphReward(
        AttributeGraph.from_catalogue(world),
        torch.randn(10, 4, generator=torch.Generator().manual_seed(0)),
        TitleIndex(world.items),
    )
    args = ReRecConfig(
        output_dir=sys.argv[1] + '.run',
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        report_to=[],
        disable_tqdm=True,
        save_strategy='no',
        logging_steps=1,
        per_device_train_batch_size=12 // n,
        num_generations=4,
        max_completion_length=24,
        num_train_epochs=2,  # five queries, three in a generation: two generations an epoch
        tau=0.0,
        learning_rate=1e-3,
        seed=1,
        min_std=0.0,
    )
    data = Dataset.from_list(
        [dict(prompt='?', truth=list(q.truth), candidates=list(q.candidates)) for q in queries]
    )
    t = Given(
        model=model,
        reward_funcs=reward,
        args=args,
        train_dataset=data,
        processing_class=tok,
        titles=TitleIndex(world.items),
    )
    assert t.accelerator.num_processes == n == int(sys.argv[2]), (t.accelerator.num_processes, n)
    before = [p.double().norm().item() for p in model.parameters()]
    t.train()
    assert before != [p.double().norm().item() for p in model.parameters()], 'nothing was learned'
    if t.accelerator.is_main_process:
        with open(sys.argv[1], 'w') as f:
            json.dump(
                dict(
                    advantages=t.seen,
                    played=t.played,
                    rates=[float(row['learning_rate']) for row in t.state.log_history[:-1]],
                    curriculum=t.curriculum.state_dict(),
                    weights=[p.double().norm().item() for p in model.parameters()],
                ),
                f,
            )
    t.accelerator.wait_for_everyone()
    t.accelerator.end_training()
    sys.stdout.flush()
    sys.stderr.flush()
    # All is done and written: a thread that PyTorch leaves to the interpreter's end now and then
    # aborts it (one in ten on a busy machine).
    os._exit(0)
