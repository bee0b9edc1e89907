#!/bin/sh
# make_adapter.sh DIR COLUMNS ALPHA
#
# Writes a LoRA adapter as PEFT does, of rank 1, for the queries of a model's first layer: 128 rows of so many columns.
# Both of its matrices are ones.
set -eu
mkdir -p "$1"
printf '{"peft_type":"LORA","r":1,"lora_alpha":%s}\n' "$3" >"$1/adapter_config.json"
stem=base_model.model.model.layers.0.self_attn.q_proj
a=$((2 * $2)) end=$((2 * $2 + 256))
header=$(printf '{"%s.lora_A.weight":{"dtype":"F16","shape":[1,%s],"data_offsets":[0,%s]},' "$stem" "$2" "$a")
header=$header$(printf '"%s.lora_B.weight":{"dtype":"F16","shape":[128,1],"data_offsets":[%s,%s]}}' "$stem" "$a" "$end")
{
  printf '\000\002\000\000\000\000\000\000%-512s' "$header"  # 512 bytes of header
  # shellcheck disable=SC2046  # numbers
  printf '\000\074%.0s' $(seq $((end / 2)))  # 1 in fp16
} >"$1/adapter_model.safetensors"
