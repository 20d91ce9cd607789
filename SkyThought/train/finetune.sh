#!/usr/bin/env bash
# Checks that LLaMA-Factory reads the dataset as step 4 intended, and fine-tunes on it. Takes a configuration, and settings
# that override it.
#
#     bash SkyThought/train/finetune.sh SkyThought/train/lab_cpu.yaml max_steps=3      # or `make finetune`
#
# With OUTPUT=folder the checkpoint is written there, and another run resumes: it does not repeat a finished training, and
# starts from the last save if the configuration saves during training. Without it, `output_dir` must have no checkpoint yet.
# EXPORT=SkyThought/train/lora_export.yaml turns the adapter of a LoRA configuration into the whole checkpoint OUTPUT.
source "$(dirname "${BASH_SOURCE[0]}")/run.sh"
OUTPUT=${OUTPUT:-}
EXPORT=${EXPORT:-}

train() {
    run "$(dirname "$LLAMAFACTORY")/python" SkyThought/train/check_dataset.py "$@"
    run "$LLAMAFACTORY" train "$@"
}

if [[ -z $OUTPUT ]]; then
    train "$@"
    exit
fi
trained=${EXPORT:+$(dirname "$OUTPUT")/adapter}
trained=${trained:-$OUTPUT}
if [[ ! -e $trained/train_results.json ]]; then  # which LLaMA-Factory writes after the weights
    compgen -G "$trained/checkpoint-*" >/dev/null || (set +f; rm -f "$trained"/*.safetensors)  # half-written weights
    train "$@" "output_dir=$trained"
fi
if [[ ! -e $OUTPUT ]]; then
    model=$(printf '%s\n' "$@" | grep '^model_name_or_path=' || true)
    run "$LLAMAFACTORY" export "$EXPORT" ${model:+"$model"} "adapter_name_or_path=$trained" "export_dir=$OUTPUT.part"
    mv "$OUTPUT.part" "$OUTPUT"
fi
