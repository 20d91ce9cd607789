"""RMS norms on a CPU by vLLM's own kernel, which vLLM 0.32 builds for CPUs but does not use there.

Without it a norm is seven operations of PyTorch, which together take a third of SmolLM2-135M's time in bfloat16. The
kernel rounds once where these round twice, so an answer may differ in a token. A server uses it when it is started with
`ServeOptions(fused_norms=True)`; vLLM's option `--ir-op-priority` names the implementation.
"""

import torch
from torch import Tensor
from vllm import ir
from vllm.platforms import current_platform

from hindsight.servers.vllm_process import CPU_NORMS


def register() -> None:
    """Makes the implementation known to vLLM in this process, if it serves on a CPU with that kernel."""
    current_platform.import_kernels()
    if not current_platform.is_cpu() or not hasattr(torch.ops._C, "fused_add_rms_norm"):
        return

    @ir.ops.rms_norm.register_impl(CPU_NORMS, supports_args=_rms_norm_takes)
    def rms_norm(x: Tensor, weight: Tensor | None, epsilon: float, variance_size: int | None = None) -> Tensor:
        output = torch.empty_like(x)
        torch.ops._C.rms_norm(output, x, weight, epsilon)
        return output

    @ir.ops.fused_add_rms_norm.register_impl(CPU_NORMS, supports_args=_fused_add_rms_norm_takes, inplace=True)
    def fused_add_rms_norm(
        x: Tensor, x_residual: Tensor, weight: Tensor | None, epsilon: float, variance_size: int | None = None
    ) -> tuple[Tensor, Tensor]:
        torch.ops._C.fused_add_rms_norm(x, x_residual, weight, epsilon)
        return x, x_residual


def _rms_norm_takes(x: Tensor, weight: Tensor | None, epsilon: float, variance_size: int | None = None) -> bool:
    return variance_size is None and _are_rows(x, weight)


def _fused_add_rms_norm_takes(
    x: Tensor, x_residual: Tensor, weight: Tensor | None, epsilon: float, variance_size: int | None = None
) -> bool:
    return variance_size is None and _are_rows(x, x_residual, weight)


def _are_rows(x: Tensor, *others: Tensor | None) -> bool:
    """Whether the kernel can take these tensors: [rows, width] of one dtype, each in one piece."""
    same = all(each is not None and each.dtype == x.dtype and each.is_contiguous() for each in others)
    return same and x.dim() == 2 and x.is_contiguous()
