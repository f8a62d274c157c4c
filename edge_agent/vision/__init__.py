"""The vision chain: from a frame to the expression of each face in it.

Example:
    Read the faces of a still picture::

        recognizer = open_recognizer(VisionSettings(expression_model="expression-fast"))
        for reading in recognizer.read_picture(cv2.imread("face.jpg")):
            print(reading.face.box, reading.emotion)
"""
