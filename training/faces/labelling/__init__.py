"""Photographs with labelled faces: by people and by a teacher."""
