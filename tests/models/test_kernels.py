"""Fused kernels are off inside the block, and as they were after it."""

import threading

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from spectraledge.models import differentiable_kernels

CPU = torch.device("cpu")


def switches():
    cuda = torch.backends.cuda
    return (
        torch.backends.mha.get_fastpath_enabled(),
        cuda.flash_sdp_enabled(),
        cuda.mem_efficient_sdp_enabled(),
        cuda.math_sdp_enabled(),
    )


def attention_derivative():
    query = torch.randn(2, 1, 5, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return torch.func.jvp(lambda q: F.scaled_dot_product_attention(q, query, query), (query,), (query,))[1]


def test_attention_has_a_forward_derivative_inside_only():
    with pytest.raises(NotImplementedError, match="forward AD"):
        attention_derivative()
    with differentiable_kernels(CPU):
        assert attention_derivative().shape == (2, 1, 5, 4)
    with pytest.raises(NotImplementedError, match="forward AD"):
        attention_derivative()


def interrupted():
    with differentiable_kernels(CPU), differentiable_kernels(CPU):
        assert switches() == (False, False, False, True)
        raise KeyboardInterrupt


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("backend", [SDPBackend.FLASH_ATTENTION, SDPBackend.MATH])
def test_switches_are_put_back_also_after_an_exception(fast, backend):
    known = torch.backends.mha.get_fastpath_enabled()
    try:
        torch.backends.mha.set_fastpath_enabled(fast)
        with sdpa_kernel(backend):
            before = switches()
            with pytest.raises(KeyboardInterrupt):
                interrupted()
            assert switches() == before
    finally:
        torch.backends.mha.set_fastpath_enabled(known)


def test_the_last_thread_to_leave_puts_switches_back():
    before = switches()
    inside, leave = threading.Event(), threading.Event()

    def other():
        with differentiable_kernels(CPU):
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with differentiable_kernels(CPU):
        thread.start()
        assert inside.wait(10)
    # The other one computes still, and without fused kernels.
    assert switches() == (False, False, False, True)
    leave.set()
    thread.join()
    assert switches() == before


def test_mixed_precision_and_inference_mode_are_off_inside():
    module = nn.Linear(3, 3)
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16), differentiable_kernels(CPU):
        found = module(torch.ones(1, 3))
        assert not found.is_inference()
        assert found.dtype == torch.float32
