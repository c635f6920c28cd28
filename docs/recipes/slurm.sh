#!/bin/bash
# A sweep in eight parts as a Slurm array: sbatch --array=1-8 slurm.sh JOB.json, then, once all are done,
# govene merge JOB.part-*.json. A part that is killed or requeued goes on where it was.
#SBATCH --job-name=govene
#SBATCH --array=1-8
#SBATCH --cpus-per-task=8
#SBATCH --mem=16G
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --output=govene-%A-%a.log
set -eu
exec govene sweep "${1:?wanted the job file}" --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT"
