"""What a network costs: multiply-adds and parameters, as the model card states them."""

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


def multiply_adds(module: nn.Module, sample: Tensor) -> int:
    """Multiply-adds of the convolutions and full connections for ``sample``.

    N × C × H × W; they are counted while the network runs.
    """
    was_training = module.training
    module.eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(sample)
    module.train(was_training)
    return int(counter.get_total_flops()) // 2


def parameters(module: nn.Module) -> int:
    """Learnt numbers of the network (batch norm's running statistics are not counted)."""
    return sum(parameter.numel() for parameter in module.parameters())
