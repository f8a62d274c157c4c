"""Is the mouth or are the eyes of a face covered: crops of photographs, drawn covers, training.

Example::

    python -m training.covers.crops ARCHIVES --fer2013 fer2013.csv.xz --out COVERS
    python -m training fit --recipe training/recipes/face-cover.toml --data COVERS
"""
