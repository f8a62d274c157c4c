"""What a published model says about itself: its card and its page.

Example::

    page = write_report(Path("NAME.tflite"), faces, Path("docs/models"))
"""
