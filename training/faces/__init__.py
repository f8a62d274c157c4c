"""Training of the face detector, and what the face crop is measured from.

Example::

    python -m training.faces.labelling --detector YUNET.onnx --out FACES portraits.zip
    python -m training fit --recipe training/recipes/face-detector.toml --data FACES
"""
