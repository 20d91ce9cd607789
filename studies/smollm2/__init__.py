"""SmolLM2-135M-Instruct, fine-tuned on MBPP's training problems, merged back, and measured on MBPP+."""
