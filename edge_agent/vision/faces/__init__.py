"""Finds faces in frames, follows them over frames, and selects the participant's face.

Example:
    Find the faces of one picture::

        faces = open_finder().detect(cv2.imread("group.jpg"))
"""
