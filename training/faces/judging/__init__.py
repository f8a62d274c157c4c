"""How good a face detector is, beside YuNet, on photographs that were held out."""
