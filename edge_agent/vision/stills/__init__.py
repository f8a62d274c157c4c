"""Still pictures: read, classified, explained and drawn, without any tracking.

Example:
    Read a picture, turned as its EXIF data says, in pixels of BGR::

        picture = load_picture(Path("face.jpg"))
"""
