"""The evidence output: what each region of the face adds to the logits, for the device.

A head that is a full connection after a mean over all places is linear in the features, so its
logit is a sum over the places (class activation maps, Zhou et al. 2016, "Learning deep features for
discriminative localization"): logit[k] = Σ_yx (Σ_c W[k, c] · features[c, y, x] + b[k]) / (h · w).
Nothing is learned or approximated.
"""

from torch import Tensor, nn
from torch.nn import functional

from training.models.expression_network import RegionNetwork

EVIDENCE = "evidence"
"""Name of the output in the model card."""


class WithEvidence(nn.Module):
    """A trained network with a further output, for the export; the weights are shared.

    Only a :class:`RegionNetwork` has this output: with a further layer between the regions and the
    logits, a logit is no sum over the regions, and any map would be an approximation.

    Args:
        network: its heads stay as they are.
        head: name of the head whose logits are taken apart.
    """

    def __init__(self, network: RegionNetwork, head: str = "expression") -> None:
        super().__init__()
        self.network = network
        self.head = head

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """N × 1 × H × W → the logits of each head in order, then the evidence, N × h × w × K.

        The evidence is what each cell adds to each of the K logits of the head, with the bias
        spread evenly; the sum over h and w is the logit.
        """
        features = self.network.features(x)
        head = self.network.heads[self.head]
        assert isinstance(head, nn.Linear)
        sums = functional.conv2d(features, head.weight[:, :, None, None], head.bias)
        cells = features.shape[2] * features.shape[3]
        return (*self.network.logits(features), (sums / cells).permute(0, 2, 3, 1))
