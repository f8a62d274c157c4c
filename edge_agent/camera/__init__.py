"""Cameras: where frames come from.

Importing this package loads no camera library; ``open_camera`` loads the one it needs.

Example:
    Read a frame of the demonstration camera::

        with open_camera(CameraSettings(source="demo")) as camera:
            frame = camera.read()
"""
