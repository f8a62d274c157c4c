"""Labelled faces and photographs, read from tables, folders and archives.

Example::

    faces = load_faces(Path("fer2013.csv.xz"), Path("fer2013new.csv"))
    learn, held_back = split_held_back(faces.of_usage("Training"), 0.02)
"""
