#!/bin/bash
# Three nodes of eight GPUs, of which the last one samples:
#   sbatch nodes.sh llama-3b-nodes.yaml accelerate/nodes.yaml
#SBATCH --job-name=rerec-nodes
#SBATCH --nodes=3
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=64
#SBATCH --time=24:00:00
#SBATCH --output=rerec-%j.log
set -euo pipefail

config=${1:?a config, such as llama-3b-nodes.yaml}
machine=${2:?a file of accelerate, such as accelerate/nodes.yaml}
model=$(awk '$1 == "model:" {print $2}' "$config")

mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
sampler=${nodes[2]}

# The node that samples: one copy of the model on each GPU
srun --nodes=1 --ntasks=1 --nodelist="$sampler" \
  trl vllm-serve --model "$model" --data_parallel_size 8 --host 0.0.0.0 --port 8000 &
trap 'kill %1 2>/dev/null || true' EXIT

# The nodes that train; each task expands the variables itself, and its number is its rank
export MAIN=${nodes[0]} SAMPLER=$sampler CONFIG=$config MACHINE=$machine
# shellcheck disable=SC2016
srun --nodes=2 --ntasks=2 --nodelist="${nodes[0]},${nodes[1]}" bash -c '
  accelerate launch --config_file "$MACHINE" --machine_rank "$SLURM_PROCID" \
    --main_process_ip "$MAIN" --main_process_port 29500 \
    "$(command -v rerec)" train --config "$CONFIG" --vllm_server_host "$SAMPLER" --resume'
