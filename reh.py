import time, tempfile
t0=time.time()
from rerec.method.trainer import ReRecTrainer, ReRecConfig
from rerec.base.generation import tiny_llama, word_tokenizer
from datasets import Dataset
from rerec.run.language import LANGUAGE_TRAINER
from rerec.base.models import ensure_template
print('import',time.time()-t0)
def rehearse(**fields):
    t=time.time()
    try:
        with tempfile.TemporaryDirectory() as d:
            args=ReRecConfig(d, max_steps=3, **(LANGUAGE_TRAINER|fields))
            tok=word_tokenizer(['a b c']); ensure_template(tok)
            rows=Dataset.from_list([dict(prompt=[dict(role='user',content='a')],truth=[0],candidates=[0])]*64)
            tr=ReRecTrainer(model=tiny_llama(len(tok)),args=args,train_dataset=rows,reward_funcs=lambda completions,**k:[0.]*len(completions),processing_class=tok,titles=None, evaluator=lambda m,t:{})
            tr.create_optimizer_and_scheduler(3)
            r='ok'
    except Exception as e: r=f'{type(e).__name__}: {str(e)[:150]}'
    print(fields, r, round(time.time()-t,2))
rehearse()
rehearse(report_to='wandb'); rehearse(report_to='tensorboard'); rehearse(report_to=['mlflow'])
rehearse(use_liger_kernel=True); rehearse(optim='adamw_bnb_8bit'); rehearse(learning_rate=-1.); rehearse(learning_rate=float('nan')); rehearse(temperature=0.); rehearse(temperature=-1.); rehearse(top_p=3.); rehearse(lr_scheduler_type='cosine_with_min_lr'); rehearse(log_completions=True); rehearse(use_vllm=True); rehearse(logging_steps=0); rehearse(save_steps=0); rehearse(gradient_accumulation_steps=0); rehearse(per_device_train_batch_size=0);rehearse(num_generations=1); rehearse(tau=2.); rehearse(keep_at_least=-1.); rehearse(order='foo'); rehearse(loss_type='foo'); rehearse(scale_rewards='none'); rehearse(load_best_model_at_end=True); rehearse(eval_strategy='steps',eval_steps=0);rehearse(max_completion_length=0); rehearse(num_iterations=0); rehearse(w1=-1.), rehearse(refill=-1), rehearse(warmup_steps=-3),rehearse(adam_beta2=2.), rehearse(deepspeed='x.json'),rehearse(torch_compile=True), rehearse(vllm_mode='foo'), rehearse(max_grad_norm=-1.), rehearse(beta=-1.), rehearse(steps_per_generation=3), rehearse(top_k=-1),rehearse(min_p=3.),rehearse(repetition_penalty=0.),rehearse(metric_for_best_model='accuraci',load_best_model_at_end=True,eval_strategy='steps',eval_steps=5)
