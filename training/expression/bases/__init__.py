"""Weights that were learnt elsewhere, for a network to begin with: transfer learning.

Example::

    network = recipe.build_network()
    load_base(Path("mobilenet_v1_0.5_160_quant.tflite"), network, grey=(0.507, 0.255))
    settle_norms(network, recipe.as_input(pictures))
"""

from training.expression.bases.load import load_base, settle_norms

__all__ = ["load_base", "settle_norms"]
