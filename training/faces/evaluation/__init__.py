"""The evaluation of a face detector, beside YuNet, on photographs that were held out.

Example::

    report = run_trial("face-detector", Path("ARCHIVES"), Path("YUNET.onnx"), recipe)
    print(report_text(report))
"""
