"""Sessions as EDF+ files: what a signal is, what an annotation is, and how both are written.

EDF+ knows signals at an even rate and annotations at any time. So what has a level at each time
(heart rate, oxygen saturation) is a signal at one sample a second, the RR intervals are a signal at
four, and what happens at an instant stays what it is: each beat, each reading of a cuff, each
marker is an annotation at its own time. No value is made up: where no reading was, the signal is 0,
which none of these kinds can be, and an annotation says from when to when.

https://www.edfplus.info/specs/edfplus.html
"""
