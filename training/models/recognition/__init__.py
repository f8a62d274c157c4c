"""Networks that recognise whose face it is: read to learn from their features, never published.

Example::

    network = load_face_network(Path("mobilefacenet_068.ckpt"))   # training.expression.bases
    network.features(as_face_input(pictures)).shape               # N × 512 × 7 × 6
"""

from training.models.recognition.mobilefacenet import MobileFaceNet, as_face_input

__all__ = ["MobileFaceNet", "as_face_input"]
