"""Load a base into a network, whatever kind of file it comes in."""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from training.errors import RecipeError
from training.expression.bases.mobilenet_tflite import load_mobilenet
from training.learning.checkpoint import averaged_weights, read_checkpoint
from training.models.expression_network import ExpressionNetwork
from training.models.mobilenet import MobileNet

_HEADS = "heads."


def load_base(path: Path, network: ExpressionNetwork, grey: tuple[float, float]) -> None:
    """Let a network begin with the weights of a file or a run; its heads stay new.

    Args:
        path: a TFLite file of MobileNet v1 (uint8), weights of the same network (``.pt``), or the
            folder of a run.
        network: changed in place.
        grey: what the network takes off a pixel of 0…1, and what it divides by then.

    Raises:
        RecipeError: when the file cannot be read, or is of another network.
    """
    if path.suffix == ".tflite":
        if not isinstance(network, MobileNet):
            raise RecipeError(
                f"--weights {path}: a TFLite file is a base for architecture mobilenet alone"
            )
        load_mobilenet(path, network, grey)
        return
    if path.is_dir():
        weights = averaged_weights(path)
    else:
        weights = {name: value.float() for name, value in read_checkpoint(path).items()}
    _load_all_but_heads(path, network, weights)


def _load_all_but_heads(path: Path, network: nn.Module, weights: dict[str, Tensor]) -> None:
    own = network.state_dict()
    base = {name: value for name, value in weights.items() if not name.startswith(_HEADS)}
    unlike = [
        name
        for name, value in own.items()
        if not name.startswith(_HEADS) and (name not in base or base[name].shape != value.shape)
    ]
    if unlike:
        raise RecipeError(
            f"--weights {path}: is of another network; this one needs {unlike[0]} of shape "
            f"{tuple(own[unlike[0]].shape)}"
        )
    network.load_state_dict({**own, **{name: base[name] for name in own if name in base}})


def settle_norms(network: nn.Module, pictures: Tensor) -> None:
    """Measure batch norm's statistics on pictures without changing what the network says.

    A base whose batch norms are folded into its filters has none. Left at 0 and 1, the first step
    of learning would normalise anew and change everything. So each norm gets the mean and variance
    that it sees, and a factor and an offset that take both back.

    Args:
        network: changed in place.
        pictures: float32, N × C × H × W, normalised as the network takes them.
    """
    seen: dict[nn.Module, tuple[Tensor, Tensor]] = {}

    def measure(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        values = inputs[0]
        seen[norm] = (values.mean(dim=(0, 2, 3)), values.var(dim=(0, 2, 3), unbiased=False))

    norms = [layer for layer in network.modules() if isinstance(layer, _BatchNorm)]
    hooks = [norm.register_forward_pre_hook(measure) for norm in norms]
    network.eval()
    with torch.no_grad():
        network(pictures)
        for norm, (mean, variance) in seen.items():
            assert isinstance(norm, _BatchNorm)
            assert norm.running_mean is not None
            assert norm.running_var is not None
            per_unit = norm.weight / (norm.running_var + norm.eps).sqrt()
            norm.bias.add_(per_unit * (mean - norm.running_mean))
            norm.weight.copy_(per_unit * (variance + norm.eps).sqrt())
            norm.running_mean.copy_(mean)
            norm.running_var.copy_(variance)
    for hook in hooks:
        hook.remove()
