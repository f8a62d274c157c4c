"""What the device needs to explain itself: the network's logits with, for each region, its part in
them.

A head that is a full connection after a mean over all places is linear in the features, so its
logit is a sum over the places (class activation maps, Zhou et al. 2016, "Learning deep features for
discriminative localization"): logit[k] = Σ_yx (Σ_c W[k, c] · features[c, y, x] + b[k]) / (h · w).
Nothing is learnt or approximated.
"""

from torch import Tensor, nn
from torch.nn import functional

from training.models.small_resnet import SmallResNet

EVIDENCE = "evidence"
"""Name of the output in the model card."""


class WithEvidence(nn.Module):
    """A trained :class:`SmallResNet` with a further output.

    For the export, its weights are shared and not copied.

    Args:
        network: its heads stay as they are.
        head: name of the head whose logits are taken apart.
    """

    def __init__(self, network: SmallResNet, head: str = "expression") -> None:
        super().__init__()
        self.network = network
        self.head = head

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """N × 1 × H × W → the logits of each head in order, then N × h × w × K: what each cell adds
        to each of the K logits of the head, the bias spread evenly; the sum over h and w is the
        logit."""
        features = self.network.features(x)
        head = self.network.heads[self.head]
        assert isinstance(head, nn.Linear)
        sums = functional.conv2d(features, head.weight[:, :, None, None], head.bias)
        cells = features.shape[2] * features.shape[3]
        return (*self.network.logits(features), (sums / cells).permute(0, 2, 3, 1))
