"""Reads single pictures in a process of its own, and keeps none.

The vision libraries and the models load in that process only, so the dashboard stays small and
answers others while a picture is read. It ends when nobody asked for a while.

Example:
    Read one picture::

        reader = PictureReader(VisionSettings())
        with reader.place():
            answer = reader.read(Path("face.jpg").read_bytes())
        reader.close()
"""
