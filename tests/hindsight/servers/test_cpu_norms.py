"""RMS norms on a CPU: vLLM's kernel gives what vLLM's own definition gives, and is asked only what it can do."""

import pytest
import torch

from hindsight.servers.vllm_process import CPU_NORMS, FUSED_NORMS

pytestmark = pytest.mark.slow  # importing vLLM takes seconds

ROWS, ADDED, WEIGHT = (torch.randn(size, generator=torch.Generator().manual_seed(7)) for size in ((3, 8), (3, 8), (8,)))


@pytest.fixture(scope="module")
def ops():
    """vLLM's operations, with the implementation."""
    from vllm import ir  # here, as vLLM takes long to import

    from hindsight.servers import cpu_norms

    cpu_norms.register()
    if CPU_NORMS not in ir.ops.rms_norm.impls:
        pytest.skip("this vLLM has no such kernel for CPUs")
    return ir.ops


def test_a_norm_is_vllms_own(ops):
    fused = ops.rms_norm.impls[CPU_NORMS].impl_fn(ROWS, WEIGHT, 1e-5)
    assert torch.allclose(fused, ops.rms_norm.impls["native"].impl_fn(ROWS, WEIGHT, 1e-5), atol=1e-6)
    by_hand = ROWS / (ROWS.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt() * WEIGHT
    assert torch.allclose(fused, by_hand, atol=1e-6)


def test_a_norm_of_a_sum_also_gives_the_sum(ops):
    fused, added = ops.fused_add_rms_norm.impls[CPU_NORMS].impl_fn(ROWS.clone(), ADDED.clone(), WEIGHT, 1e-5)
    native = ops.fused_add_rms_norm.impls["native"].impl_fn(ROWS, ADDED, WEIGHT, 1e-5)
    assert torch.allclose(fused, native[0], atol=1e-6) and torch.equal(added, ROWS + ADDED)


@pytest.mark.parametrize(
    "arguments",
    [(ROWS.bfloat16(), WEIGHT, 1e-5), (ROWS.T, WEIGHT[:3], 1e-5), (ROWS[None], WEIGHT, 1e-5), (ROWS, None, 1e-5),
     (ROWS, WEIGHT, 1e-5, 4)],
    ids=["another dtype", "not in one piece", "three dimensions", "no weight", "a part of the row"],
)  # fmt: skip
def test_what_the_kernel_cannot_do_stays_with_vllm(ops, arguments):
    assert not ops.rms_norm.impls[CPU_NORMS].supports_args(*arguments)
    assert ops.rms_norm.impls[CPU_NORMS].supports_args(ROWS, WEIGHT, 1e-5)


def test_the_flag_names_operations_that_vllm_has(ops):
    assert all(hasattr(ops, name) for name in ("rms_norm", "fused_add_rms_norm"))
    assert CPU_NORMS in FUSED_NORMS[1]
