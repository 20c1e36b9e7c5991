#!/bin/bash
# One node of eight GPUs:  sbatch one-node.sh qwen-3b-full.yaml zero3.yaml
#SBATCH --job-name=rerec
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=64
#SBATCH --time=24:00:00
#SBATCH --signal=B:TERM@300
#SBATCH --output=rerec-%j.log
set -euo pipefail

config=${1:?a config, such as qwen-3b-full.yaml}
machine=${2:?a file of accelerate, such as accelerate/zero3.yaml}

rerec plan --config "$config" --gpu H100 --processes 8 --sharding zero3

# A job that is started again goes on from its last checkpoint
accelerate launch --config_file "$machine" "$(command -v rerec)" train --config "$config" --resume
