#!/usr/bin/env bash
# Prints the flags with which XLA compiles in a hurry, for the Python $1: the most that its XLA does
# not refuse.
set -u
level="--xla_backend_optimization_level=0"
# LLVM gets a program in one part, not in 32, and leaves out what takes long.
quick="$level --xla_cpu_parallel_codegen_split_count=1 --xla_llvm_disable_expensive_passes=true"
for flags in "$quick --xla_cpu_use_fusion_emitters=false" "$quick"; do
  if XLA_FLAGS="$flags" "$1" -c 'import jax; jax.devices()' >/dev/null 2>&1; then
    echo "$flags"
    exit
  fi
done
echo "$level"
