"""Photographs with labelled faces: by people and by a teacher.

Example::

    for picture in read_labels(Path("FACES")):
        print(picture.file, picture.part, len(picture.faces))
"""
