#!/bin/bash
# One training on four AMD GPUs without submitit: sbatch rocm-train.sh
# "--" keeps torchrun from reading --run as its own --run-path.
# The same run goes on when the job is put back into the queue: --start-or-resume.
#SBATCH --job-name=segtoolkit
#SBATCH --partition=mi250
#SBATCH --account=my-project
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=56
#SBATCH --time=12:00:00
#SBATCH --signal=B:USR1@300
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log

module load rocm/6.2.4 python/3.11
source "$HOME/segtoolkit-rocm/bin/activate"
export OMP_NUM_THREADS=14
export MIOPEN_USER_DB_PATH="/tmp/miopen-$SLURM_JOB_ID" MIOPEN_CUSTOM_CACHE_DIR="/tmp/miopen-$SLURM_JOB_ID"
mkdir -p "$MIOPEN_USER_DB_PATH"

RUN="$HOME/runs/liver"
# Five minutes before the end: the training finishes its step, saves and ends; then the job is put back.
save_and_requeue() { touch "$RUN/stop"; wait "$TRAINING"; scontrol requeue "$SLURM_JOB_ID"; exit 0; }
trap save_and_requeue USR1

torchrun --standalone --nproc-per-node=4 -m -- SegToolkitLib train alpnet \
  --dataset "$HOME/data/prepared" --run "$RUN" --preset published --start-or-resume &
TRAINING=$!
wait "$TRAINING"
